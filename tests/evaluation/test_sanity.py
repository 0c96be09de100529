"""Sanity checks, agreement, intervals and costs against independent truths."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from glocal.errors import UsageError
from glocal.evaluation.cost import costs, peak_bytes
from glocal.evaluation.sanity import (
    hog_correlation,
    label_check,
    randomisation_check,
    randomised,
    similarity,
    ssim,
    survives_randomisation,
    weight_parts,
)
from glocal.evaluation.sanity.gradient_histograms import gradient_histograms
from glocal.evaluation.statistics import bootstrap, rank_correlations, spearman
from glocal.models import load_model
from helpers.networks import Small3d, seeded

RNG = np.random.default_rng(0)


def changed(before: Any, after: Any) -> Any:
    """Names of the top modules whose parameters or statistics differ."""
    old, new = before.state_dict(), after.state_dict()
    return {key.split(".")[0] for key in old if not torch.equal(old[key], new[key])}


def test_the_cascade_runs_from_the_head_to_the_stem_and_leaves_the_network_alone() -> None:
    network = seeded(Small3d())
    kept = {key: value.clone() for key, value in network.state_dict().items()}
    seen = [(name, changed(network, copy)) for name, copy in randomised(network)]
    assert seen == [
        ("fc", {"fc"}),
        ("layer2", {"fc", "layer2"}),
        ("layer1", {"fc", "layer2", "layer1"}),
        ("conv1", {"fc", "layer2", "layer1", "conv1", "bn1"}),
    ]
    assert all(torch.equal(kept[key], value) for key, value in network.state_dict().items())
    alone = [(name, changed(network, copy)) for name, copy in randomised(network, "independent")]
    assert alone == [
        ("fc", {"fc"}),
        ("layer2", {"layer2"}),
        ("layer1", {"layer1"}),
        ("conv1", {"conv1", "bn1"}),
    ]


def test_the_last_copy_has_no_weight_left_also_of_odd_modules() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.randn(7) + 5)
            self.body = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)))
            self.scale = nn.ParameterList([nn.Parameter(torch.randn(50) * 3)])

    network = Odd()
    *_, (_, last) = randomised(network)
    old, new = network.state_dict(), last.state_dict()
    same = [key for key in old if torch.equal(old[key], new[key])]
    assert same == ["body.1.1.weight", "body.1.1.bias"], "a fresh norm is all ones and zeros, as this one was"
    assert abs(float(new["token"].mean()) - 5) < 3
    assert 1 < float(new["scale.0"].std()) < 6


def test_randomisation_follows_from_the_seed_alone_and_touches_no_global_state() -> None:
    network = seeded(Small3d())
    state = torch.random.get_rng_state()
    weights = [[c.fc.weight.clone() for _, c in randomised(network, seed=s)][-1] for s in (0, 0, 1)]
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_parts_can_be_named_and_wrong_ones_are_answered() -> None:
    network = seeded(Small3d())
    assert [changed(network, c) for _, c in randomised(network, parts=["layer1", "fc"])] == [
        {"layer1"},
        {"layer1", "fc"},
    ]
    with pytest.raises(UsageError, match="Did you mean 'layer1'"):
        list(randomised(network, parts=["leyer1"]))
    with pytest.raises(UsageError, match="Orders: cascading, independent"):
        list(randomised(network, "cascade"))


def test_a_gated_network_is_taken_apart_gates_first() -> None:
    model = load_model("gated/resnext3d-small", num_classes=3)
    parts = weight_parts(model.network)
    assert next(iter(parts)) == "gates"
    assert next(reversed(parts)).startswith("backbone.conv")
    every = {name for name, m in model.network.named_modules() if list(m.parameters(recurse=False))}
    assert {name for group in parts.values() for name in group} == every


def test_a_network_of_one_layer_has_one_part() -> None:
    assert weight_parts(nn.Linear(3, 2)) == {"": [""]}


def explain_by_gradient(network: Any, clips: Any, classes: Any) -> Any:
    clips = clips.clone().requires_grad_()
    network(clips).gather(1, classes[:, None]).sum().backward()
    maps = clips.grad.abs().sum(1)
    return maps / maps.amax((1, 2, 3), keepdim=True)


def explain_by_edges(network: Any, clips: Any, classes: Any) -> Any:
    """Does not ask the network."""
    maps = clips.std(1)
    return maps / maps.amax((1, 2, 3), keepdim=True)


def test_a_method_that_does_not_ask_the_network_survives_and_is_flagged() -> None:
    network = seeded(Small3d()).eval()
    clips = torch.rand(6, 3, 8, 24, 24, generator=torch.Generator().manual_seed(2))
    classes = network(clips).argmax(1).detach()
    last = {}
    for explain in (explain_by_gradient, explain_by_edges):
        steps = list(randomisation_check(network, clips, classes, explain))
        assert [step.part for step in steps] == ["", "fc", "layer2", "layer1", "conv1"]
        assert all(np.allclose(values, 1, atol=1e-5) for values in steps[0].similarities.values())
        last[explain] = steps[-1].similarities["spearman"]
    assert survives_randomisation(last[explain_by_edges])
    assert not survives_randomisation(last[explain_by_gradient])
    other = seeded(Small3d(), seed=9).eval()
    assert survives_randomisation(
        label_check(network, other, clips, classes, explain=explain_by_edges)["spearman"]
    )
    assert not survives_randomisation(
        label_check(network, other, clips, classes, explain=explain_by_gradient)["spearman"]
    )


def test_what_hovers_about_one_half_is_not_flagged() -> None:
    assert not survives_randomisation(0.5 + 0.3 * RNG.standard_normal(20))
    assert survives_randomisation(np.full(5, 0.6))


def test_spearman_is_scipys_with_ties() -> None:
    stats = pytest.importorskip("scipy.stats")
    for _ in range(5):
        a, b = RNG.integers(0, 6, (2, 4, 5, 6)).astype(np.float32)
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a.ravel(), b.ravel()).statistic)
    assert spearman(a, np.exp(3 * a)) == pytest.approx(1)
    assert spearman(a, np.zeros_like(a)) == 0


def test_agreement_is_symmetric_and_equals_its_pairs() -> None:
    maps = {name: RNG.random((3, 4, 5)) for name in "abc"}
    table = rank_correlations(maps)
    assert np.allclose(np.diag(table), 1)
    assert table[0, 2] == table[2, 0] == pytest.approx(spearman(maps["a"], maps["c"]))


def test_ssim_is_that_of_its_formula() -> None:
    a, b = RNG.random((2, 20, 18)).astype(np.float32)
    line = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    window = np.outer(line, line) / line.sum() ** 2
    values = []
    for y in range(20 - 10):
        for x in range(18 - 10):
            p, q = a[y : y + 11, x : x + 11].astype(float), b[y : y + 11, x : x + 11].astype(float)
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            c = (window * (p - mp) * (q - mq)).sum()
            values.append((2 * mp * mq + 1e-4) * (2 * c + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    assert ssim(a, b) == pytest.approx(np.mean(values), abs=1e-5)
    assert ssim(a, a) == pytest.approx(1)


def test_hog_sees_directions_not_brightness() -> None:
    y, x = np.mgrid[:40, :40].astype(np.float32)
    upright, lying = 0.5 + 0.5 * np.sin(x / 2), 0.5 + 0.5 * np.sin(y / 2)
    assert hog_correlation(upright, 0.3 * upright) == pytest.approx(1, abs=1e-3)
    assert hog_correlation(upright, lying) < 0.1
    assert hog_correlation(upright, np.zeros_like(upright)) == 0


def test_histograms_of_gradients_are_those_of_opencv() -> None:
    descriptor = cv2.HOGDescriptor((64, 64), (16, 16), (8, 8), (8, 8), 9)
    for seed in range(3):
        smooth = gaussian_filter(np.random.default_rng(seed).random((64, 64)), 4)
        image = ((smooth - smooth.min()) * 255 / np.ptp(smooth)).astype(np.uint8)
        histograms = gradient_histograms(image)
        assert histograms.shape == (7, 7, 2, 2, 9)
        # OpenCV goes down the columns of blocks, and of their cells
        ordered = histograms.transpose(1, 0, 3, 2, 4).ravel()
        assert np.abs(ordered - np.asarray(descriptor.compute(image)).ravel()).max() < 1e-3


def test_ssim_blurs_as_opencv_does() -> None:
    def blur(values: np.ndarray) -> np.ndarray:
        blurred = cv2.GaussianBlur(values, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT)
        return np.asarray(blurred)[5:-5, 5:-5]

    a, b = RNG.random((2, 20, 24))
    x, y = blur(a), blur(b)
    spread = blur(a * a) - x**2 + blur(b * b) - y**2 + 0.03**2
    expected = (2 * x * y + 1e-4) / (x**2 + y**2 + 1e-4) * (2 * (blur(a * b) - x * y) + 0.03**2) / spread
    assert ssim(a, b) == pytest.approx(expected.mean(), abs=1e-9)


def test_similarity_takes_clips_and_images() -> None:
    a = RNG.random((3, 20, 20)).astype(np.float32)
    b = RNG.random((3, 20, 20)).astype(np.float32)
    found = similarity(a, b)
    assert found["ssim"] == pytest.approx(np.mean([ssim(p, q) for p, q in zip(a, b, strict=True)]))
    assert found["spearman"] == pytest.approx(spearman(a, b))
    assert similarity(a[0], a[0]) == pytest.approx({"ssim": 1, "spearman": 1, "hog": 1})


def test_the_interval_is_that_of_the_normal_law_for_many_clips() -> None:
    values = RNG.normal(3, 2, 400)
    found = bootstrap(values)
    error = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert (found.mean - found.low, found.high - found.mean) == pytest.approx((error, error), rel=0.12)
    assert bootstrap([*values, np.nan]) == pytest.approx(found, abs=0.05)
    assert np.isnan(bootstrap([]).mean)
    assert bootstrap([0.25]) == (0.25, 0.25, 0.25)
    paired = bootstrap(np.repeat([0.0, 1.0, 0.5], 20), groups=np.repeat(["a", "b", "c"], 20).tolist())
    assert paired == bootstrap([0.0, 1.0, 0.5]), "whole videos are drawn"
    uneven = bootstrap([0.0, 0.0, 0.0, 1.0, np.nan], groups=["a", "a", "a", "b", "c"])
    assert uneven == (0.25, 0.0, 1.0)


def test_peak_bytes_counts_what_is_alive_at_once() -> None:
    def work() -> Any:
        for _ in range(3):
            a = torch.zeros(1000)  # 4000 bytes, replaced only after the next one is made
        b = a.view(10, 100)[2:]  # no memory of its own
        c = b + 1  # 3200 bytes
        return c.sum()

    assert peak_bytes(work) == 8000


def test_peak_bytes_sees_what_a_backward_pass_keeps() -> None:
    x = torch.ones(1000)
    layers = nn.Sequential(*[nn.Sigmoid() for _ in range(10)])

    def backward() -> None:
        y = x.clone().requires_grad_()
        layers(y).sum().backward()

    with torch.no_grad():
        assert peak_bytes(lambda: layers(x)) == 8000
    assert 11 * 4000 <= peak_bytes(backward) <= 14 * 4000


def test_costs_are_multiples_of_the_forward_pass() -> None:
    x = torch.rand(200, 200)

    def once() -> Any:
        return x @ x

    def thrice() -> Any:
        for _ in range(30):
            y = x @ x @ x
        return y

    found = costs(once, {"same": once, "more": thrice}, rounds=5)
    assert found["same"].memory == 1
    assert found["more"].memory == 3  # y, the inner product, and the next one
    assert found["more"].time > 10 * found["same"].time

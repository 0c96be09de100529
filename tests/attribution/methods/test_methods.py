"""Input methods against plain loops over what their papers define, and what all methods have in common."""

import inspect
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Size, nn

import glocal
from glocal.attribution import METHODS
from glocal.errors import InputError, UsageError
from helpers import reference
from helpers.networks import Small2d, Small3d, seeded

CASES = {
    "3d": (Small3d, (2, 3, 6, 20, 14), "layer1"),
    "2d": (Small2d, (2, 3, 18, 26), "features.1"),
}
SHORT = {"samples": 12, "steps": 4, "pixels": 8, "frames": 3}
PIXELS = ("saliency", "smoothgrad", "guided-backprop", "inputxgradient", "integrated-gradients", "occlusion")
EVERY = tuple(name for name, row in METHODS.items() if row.needs not in ("attention weights", "an ST-ABN"))
SLOW_TO_DIFFER = ("extremal-perturbation",)
"""After a few steps its masks are nearly whole; tests/attribution/methods/test_extremal.py takes more."""
UNSIGNED = ("saliency", "smoothgrad", "eigencam")


class Plain2d(Small2d):
    """With ReLUs alone."""

    def __init__(self) -> None:
        super().__init__()
        self.features[4] = nn.ReLU()


def make(case: str, plain: bool = False) -> tuple[Any, ...]:
    kind, shape, layer = CASES[case]
    network = seeded(Plain2d() if plain and kind is Small2d else kind()).eval()
    return network, torch.randn(shape, generator=torch.Generator().manual_seed(1)), layer


def options(method: str) -> dict[str, int]:
    return {name: value for name, value in SHORT.items() if name in METHODS[method].options}


def activation_of(network: Small2d | Small3d, clips: torch.Tensor, layer: str) -> np.ndarray:
    kept = []
    handle = network.get_submodule(layer).register_forward_hook(lambda m, a, r: kept.append(r.clone()))
    with torch.no_grad():
        network(clips)
    handle.remove()
    return kept[0].numpy().astype(float)


def upsampled(cam: np.ndarray, size: Size) -> np.ndarray:
    return reference.upsample(reference.normalised(cam), size)


def assert_close(got: torch.Tensor, maps: list[np.ndarray] | np.ndarray, size: Size) -> None:
    for one, cam in zip(got, maps, strict=True):
        assert np.abs(one.numpy() - reference.normalised(upsampled(cam, size))).max() <= 1e-4


@pytest.mark.parametrize("case", CASES)
def test_eigen_cam_is_the_first_singular_vector(case: Any) -> None:
    network, clips, layer = make(case)
    got = glocal.attribute(network, clips, [layer], method="eigencam").attention
    maps = [reference.eigen_cam(a) for a in activation_of(network, clips, layer)]
    assert_close(got, maps, clips.shape[2:])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sign", [1, -1])
def test_cam_and_saliency_tubes_take_the_weights_of_the_class(case: str, sign: int) -> None:
    network, clips, _ = make(case)
    last = "layer2" if case == "3d" else "features.6"
    weights = sign * network.fc.weight[2].detach().numpy()
    maps = [np.tensordot(weights, a, 1) for a in activation_of(network, clips, last)]
    for method, expected in (("cam", maps), ("saliency-tubes", [m - m.min() for m in maps])):
        got = glocal.attribute(network, clips, method=method, target=2, counterfactual=sign < 0)
        assert list(got.layers) == [last], "the layer that the head reads is found among the defaults"
        assert_close(got.attention, expected, clips.shape[2:])


def test_cam_finds_a_head_that_is_a_convolution() -> None:
    class Convolved(Small3d):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Conv3d(10, 5, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.layer2(self.layer1(self.pool(self.relu1(self.bn1(self.conv1(x))))))
            return self.fc(x).mean((2, 3, 4))

    network, clips, _ = make("3d")
    convolved = Convolved().eval()
    convolved.load_state_dict(
        {
            name: v.view(5, 10, 1, 1, 1) if name == "fc.weight" else v
            for name, v in network.state_dict().items()
        }
    )
    expected = glocal.attribute(network, clips, ["layer2"], method="cam").attention
    assert torch.allclose(
        glocal.attribute(convolved, clips, ["layer2"], method="cam").attention, expected, atol=1e-5
    )


@pytest.mark.parametrize("method", ["cam", "saliency-tubes"])
def test_without_a_linear_head_cam_is_refused(method: str) -> None:
    network, clips, _ = make("3d")
    network.fc = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 5))
    with pytest.raises(UsageError, match=rf"method '{method}' needs a linear head .* relu1, layer1, layer2"):
        glocal.attribute(network, clips, method=method)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("case", CASES)
def test_score_cam_channel_by_channel(case: str, batch: int) -> None:
    network, clips, layer = make(case)
    got = glocal.attribute(network, clips, [layer], method="scorecam", target=2, options={"batch": batch})
    maps = []
    for clip, activation in zip(
        clips.numpy().astype(float), activation_of(network, clips, layer), strict=True
    ):
        scores = []
        for channel in activation:
            mask = reference.upsample(channel, clips.shape[2:])
            spread = mask.max() - mask.min()
            mask = (mask - mask.min()) / spread if spread > 0 else np.zeros_like(mask)
            with torch.no_grad():
                scores.append(float(network(torch.tensor(clip * mask, dtype=torch.float32)[None])[0, 2]))
        weights = np.exp(np.array(scores) - max(scores))
        maps.append(np.tensordot(weights / weights.sum(), activation, 1))
    assert_close(got.attention, maps, clips.shape[2:])


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("case", CASES)
def test_ablation_cam_channel_by_channel(case: str, batch: int) -> None:
    network, clips, layer = make(case)
    got = glocal.attribute(
        network, clips, [layer], method="ablationcam", target=[2, 1], options={"batch": batch}
    )
    maps = []
    activations = activation_of(network, clips, layer)
    for clip, target, activation in zip(clips, (2, 1), activations, strict=True):
        with torch.no_grad():
            whole = network(clip[None])[0, target]
            drops = []
            for channel in range(len(activation)):

                def ablate(
                    module: nn.ReLU | nn.Sequential,
                    args: tuple[torch.Tensor],
                    result: torch.Tensor,
                    channel: int = channel,
                ) -> torch.Tensor:
                    result = result.clone()
                    result[:, channel] = 0
                    return result

                handle = network.get_submodule(layer).register_forward_hook(ablate)
                drops.append(float(whole - network(clip[None])[0, target]))
                handle.remove()
        maps.append(np.tensordot(drops, activation, 1))
    assert_close(got.attention, maps, clips.shape[2:])


class Around(Small3d):
    """`layer1`, and a connection round it: added, or joined."""

    def __init__(self, joined: bool) -> None:
        super().__init__()
        self.layer1, self.joined = nn.Conv3d(3, 4, 3, padding=1), joined
        self.stem, self.fc = nn.Conv3d(3, 3, 1), nn.Linear(7 if joined else 4, 3)
        self.seen = []
        self.stem.register_forward_hook(lambda module, args, result: self.seen.append(len(result)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stem = self.stem(x)
        found = self.layer1(stem).relu()
        together = torch.cat([stem, found], 1) if self.joined else found + stem.mean(1, keepdim=True)
        return self.fc(together.mean((2, 3, 4)))


@pytest.mark.parametrize(("joined", "clips", "largest"), [(False, 1, 1), (False, 2, 8), (True, 1, 4)])
def test_ablation_cam_runs_what_is_before_the_layer_once_where_it_can(
    joined: bool, clips: int, largest: int
) -> None:
    network = seeded(Around(joined)).eval()
    shown = torch.randn(clips, 3, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    got = glocal.attribute(network, shown, ["layer1"], method="ablationcam", target=1)
    assert network.seen[-1] == largest, "clips that the stem saw in the last pass, with four channels ablated"
    stem = network.stem(shown)
    weights = network.fc.weight[1, -4:]
    found = network.layer1(stem)
    drops = torch.stack([weights[c] * found.relu()[:, c].mean((1, 2, 3)) for c in range(4)], 1)
    maps = torch.einsum("bc,bc...->b...", drops, found).clamp(min=0).detach().numpy()
    assert_close(got.attention, maps, shown.shape[2:])


class Watcher(nn.Module):
    """Its score for class 1 is the brightness of one place, and nothing else."""

    def __init__(self, place: tuple[Any, Any, Any]) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 2, 1)
        self.place = place

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        index = (slice(None), slice(None), *self.place)
        seen = x[index].flatten(1).mean(1)
        return torch.stack([torch.zeros_like(seen), seen], 1) + 0 * self.conv(x).mean((2, 3, 4))


PLACE = (slice(4, 6), slice(2, 6), slice(8, 12))


@pytest.mark.parametrize("method", ["rise", "occlusion", "integrated-gradients", "saliency", "smoothgrad"])
def test_what_a_network_looks_at_is_where_the_method_looks(method: str) -> None:
    clips = torch.rand(1, 3, 8, 16, 16, generator=torch.Generator().manual_seed(0)) + 0.5
    given = {
        "rise": {"samples": 400, "cells": 4, "batch": 50},
        "occlusion": {"pixels": 2, "frames": 2, "batch": 50},
    }.get(method)
    network = Watcher(PLACE).eval()
    attention = glocal.attribute(network, clips, method=method, target=1, options=given).attention[0]
    inside = torch.zeros_like(attention, dtype=torch.bool)
    inside[PLACE] = True
    assert attention[inside].mean() > 4 * attention[~inside].mean()
    assert inside.flatten()[attention.argmax()]
    blank = glocal.attribute(network, clips, method=method, target=0, options=given)
    assert blank.attention.abs().max() == 0, "a score that never moves has no reasons"


@pytest.mark.parametrize("method", ["occlusion", "integrated-gradients"])
@pytest.mark.parametrize("baseline", ["zero", "mean", "blur"])
def test_a_baseline_that_looks_like_the_clip_takes_nothing_away(method: str, baseline: str) -> None:
    """A clip of one colour is its own mean and its own blur; zeros take that colour away."""
    clips = torch.full((1, 3, 8, 16, 16), 0.5)
    given = {"baseline": baseline} | ({"pixels": 2, "frames": 2} if method == "occlusion" else {"steps": 2})
    attribution = glocal.attribute(Watcher(PLACE).eval(), clips, method=method, target=1, options=given)
    assert bool(attribution.raw.max() > 1e-4) == (baseline == "zero")


def test_integrated_gradients_add_up_to_the_scores_difference_from_the_baseline() -> None:
    """Completeness (Sundararajan et al., 2017, proposition 1), where no part is negative."""
    clips = torch.rand(1, 3, 8, 16, 16, generator=torch.Generator().manual_seed(0))

    class Squares(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return ((x - x.mean((2, 3, 4), keepdim=True)) ** 2).sum((1, 2, 3, 4))[:, None]

    options = {"baseline": "mean", "steps": 4}
    raw = glocal.attribute(Squares(), clips, method="integrated-gradients", target=0, options=options).raw
    assert torch.allclose(raw.sum(), Squares()(clips)[0, 0], rtol=1e-4)


def test_an_unknown_baseline_is_named() -> None:
    clips = torch.zeros(1, 3, 8, 16, 16)
    with pytest.raises(UsageError, match="unknown baseline 'grey'"):
        glocal.attribute(Watcher(PLACE), clips, method="occlusion", options={"baseline": "grey"})


def test_rise_is_the_covariance_of_score_and_mask() -> None:
    """The same masks, seen through a network that adds up what it sees, weighted one by one."""
    seen = []

    class Sum(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x[:, 0])
            return torch.stack([x.mean((1, 2, 3, 4)), x[:, :, :2].sum((1, 2, 3, 4))], 1)

    clips = torch.ones(1, 3, 4, 10, 10)
    got = glocal.attribute(Sum(), clips, method="rise", target=1, options={"samples": 30, "batch": 7}).raw[0]
    masks = torch.cat(seen[1:]).double()
    assert masks.shape == (30, 4, 10, 10)
    assert masks.min() == 0
    assert masks.max() == 1
    scores = 3 * masks[:, :2].sum((1, 2, 3))
    expected = ((scores - scores.mean())[:, None, None, None] * (masks - masks.mean(0))).sum(0).clamp(min=0)
    assert torch.allclose(got.double(), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("method", ["rise", "smoothgrad"])
def test_random_methods_are_the_same_under_a_seed_and_leave_the_callers_alone(method: str) -> None:
    network, clips, _ = make("3d")
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = glocal.attribute(network, clips, method=method, options={"samples": 8})
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    again = glocal.attribute(network, clips, method=method, options={"samples": 8, "seed": 0})
    other = glocal.attribute(network, clips, method=method, options={"samples": 8, "seed": 1})
    assert torch.equal(first.attention, again.attention)
    assert not torch.equal(first.attention, other.attention)


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("rise", {"samples": 20}),
        ("occlusion", {"pixels": 8, "frames": 3}),
        ("smoothgrad", {"samples": 7}),
        ("integrated-gradients", {"steps": 7}),
    ],
)
def test_methods_of_many_passes_do_not_depend_on_the_batch(method: str, given: dict[str, Any]) -> None:
    network, clips, _ = make("3d")
    one = glocal.attribute(network, clips, method=method, target=1, options={**given, "batch": 1})
    many = glocal.attribute(network, clips, method=method, target=1, options={**given, "batch": 6})
    assert torch.allclose(one.attention, many.attention, atol=1e-4)
    if method != "smoothgrad":  # its noise has the range of the batch's values
        alone = glocal.attribute(network, clips[1:], method=method, target=1, options=given)
        assert torch.allclose(one.attention[1:], alone.attention, atol=1e-4)


def test_a_processor_gets_fewer_copies_of_a_large_clip_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Recording(Small3d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            return super().forward(x)

    network = seeded(Recording(5))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for side, most in ((32, 12), (64, 4), (192, 1)):
        sizes.clear()
        clips = torch.zeros(1, 3, 16, side, side)
        glocal.attribute(network, clips, method="rise", target=1, options={"samples": 12, "batch": 12})
        assert max(sizes) == most


@pytest.mark.parametrize("method", ["rise", "scorecam"])
def test_a_network_that_cannot_take_channels_last_gets_clips_as_they_are(method: str) -> None:
    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc, self.refused = nn.Conv3d(3, 6, 3, padding=1), nn.Linear(6 * 4 * 64, 5), 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            try:
                return self.fc(x.view(len(x), -1))
            except RuntimeError:
                self.refused += 1
                raise

    class Reshapes(Views):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.conv(x).reshape(len(x), -1))

    views, reshapes = seeded(Views()), seeded(Reshapes())
    given = {"method": method, "options": {"batch": 2, **({"samples": 12} if method == "rise" else {})}}
    clips = torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    layers = ["conv"] if method == "scorecam" else None
    got = glocal.attribute(views, clips, layers, **given).attention
    assert torch.allclose(got, glocal.attribute(reshapes, clips, layers, **given).attention, atol=1e-5)
    assert got.amax() == 1
    assert views.refused == 1, "tried once"


# --- what all methods have in common --------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", EVERY)
def test_every_method_explains_clips_and_images_for_several_classes(method: str, case: str) -> None:
    network, clips, _ = make(case, plain=True)
    network.train()
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    got = glocal.attribute(network, clips, method=method, target="top2", options=options(method))
    assert [c.target.tolist() for c in got.per_class] == got.logits.topk(2).indices.T.tolist()
    for explained in got.per_class:
        assert explained.attention.shape == (2, *clips.shape[2:])
        assert explained.attention.dtype == torch.float32
        assert explained.attention.flatten(1).amax(1).tolist() == pytest.approx([1, 1])
        assert explained.attention.min() >= 0
        for layer in explained.layers.values():
            assert layer.shape == explained.attention.shape
        again = glocal.attribute(
            network, clips, method=method, target=explained.target, options=options(method)
        )
        assert torch.allclose(again.attention, explained.attention, atol=1e-4)
    if method not in ("eigencam", *SLOW_TO_DIFFER):
        assert not torch.allclose(got.attention, got.per_class[1].attention, atol=1e-2)
    assert network.training
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in network.modules())
    assert all(torch.equal(kept[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("method", sorted(set(EVERY) - set(SLOW_TO_DIFFER)))
def test_a_counterfactual_shows_something_else_or_is_refused(method: str) -> None:
    network, clips, _ = make("3d")
    given = {"method": method, "target": 1, "options": options(method)}
    if method in UNSIGNED:
        with pytest.raises(UsageError, match="counterfactual"):
            glocal.attribute(network, clips, counterfactual=True, **given)
        return
    pro = glocal.attribute(network, clips, **given).attention
    contra = glocal.attribute(network, clips, counterfactual=True, **given).attention
    assert not torch.allclose(pro, contra, atol=1e-2)


@pytest.mark.parametrize("method", ["cam", "eigencam", "c-mwp", "scorecam", "ablationcam"])
def test_layers_of_input_methods_are_aggregated_as_those_of_layer_methods(method: str) -> None:
    network, clips, _ = make("3d")
    layers = ["layer1", "layer2"]
    for how in ("sum", "mean", "max"):
        got = glocal.attribute(
            network, clips, layers, method=method, aggregate=how, target=1, options=options(method)
        )
        raw = reference.aggregate([m.numpy() for m in got.layers.values()], how)
        assert np.abs(got.raw.numpy() - raw).max() <= 1e-6


class Pathways(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, 8, 3, padding=1), nn.Conv3d(2, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = [self.relu(m(p)).mean((2, 3, 4)) for m, p in zip((self.slow, self.fast), x, strict=True)]
        return self.fc(torch.cat(pooled, 1))


@pytest.mark.parametrize("method", sorted({"rise", "scorecam", "ablationcam", "c-mwp", *PIXELS}))
def test_a_network_of_two_inputs_has_one_map(method: str) -> None:
    inputs = [torch.randn(2, 3, 2, 16, 16), torch.randn(2, 2, 8, 16, 16)]
    network = seeded(Pathways())
    got = glocal.attribute(network, inputs, ["slow", "fast"], method=method, options=options(method))
    assert got.attention.shape == (2, 8, 16, 16)
    assert got.attention.max() == 1


@pytest.mark.parametrize("method", ["rise", "scorecam"])
def test_a_mask_covers_the_same_moments_of_both_pathways(method: str) -> None:
    seen = []

    class Strided(Pathways):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x[0]) > 1:
                seen.append([p[:, 0] for p in x])
            return super().forward(x)

    inputs = [torch.ones(1, 3, 2, 16, 16), torch.ones(1, 2, 8, 16, 16)]
    network = seeded(Strided())
    with torch.no_grad():
        network.fast.weight.normal_()
    glocal.attribute(network, inputs, ["fast"], method=method, options={"batch": 4, **options(method)})
    for slow, fast in seen:
        assert fast.std() > 0
        assert torch.allclose(slow, fast[:, ::4], atol=1e-6)


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("rise", {"sample": 3}, r"no option 'sample'\. Did you mean 'samples'\? Its options: samples, cells"),
        ("3dcam", {"samples": 3}, r"'3dcam' has no option 'samples'\. It takes none"),
        ("rise", {"samples": 0}, r"option 'samples' of method 'rise' is 0; give a whole number above 0"),
        ("rise", {"samples": "many"}, r"is 'many'; give a whole number"),
        ("rise", {"samples": 2.5}, r"is 2.5; give a whole number"),
        ("rise", {"keep": 1.5}, "give a share between 0 and 1"),
        ("rise", {"seed": -1}, "not below 0"),
        ("smoothgrad", {"noise": float("nan")}, "give a number above 0"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_allowed(
    method: str, given: dict[str, float | str], message: str
) -> None:
    network, clips, _ = make("3d")
    with pytest.raises(UsageError, match=message):
        glocal.attribute(network, clips, method=method, options=given)


def test_options_may_be_words_as_the_command_line_gives_them() -> None:
    network, clips, _ = make("3d")
    words = glocal.attribute(network, clips, method="rise", options={"samples": "8", "keep": "0.3"})
    numbers = glocal.attribute(network, clips, method="rise", options={"samples": 8, "keep": 0.3})
    assert torch.equal(words.attention, numbers.attention)


def test_no_method_imports_captum(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    network, clips, _ = make("3d")
    for method in EVERY:
        assert glocal.attribute(network, clips, method=method, options=options(method)).attention.max() == 1


def test_a_network_that_cuts_the_gradient_is_refused_by_methods_at_the_input() -> None:
    class Detached(Small3d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).detach()

    clips = make("3d")[1]
    for method in PIXELS[:-1]:
        with pytest.raises(InputError, match=r"the network cuts gradients off, as detach.*such as rise"):
            glocal.attribute(seeded(Detached()), clips, method=method, options=options(method))


def test_guided_grad_cam_is_the_product_of_its_two_parts_on_every_layer() -> None:
    network, clips, _ = make("3d")
    layers = ["layer1", "layer2"]
    got = glocal.attribute(network, clips, layers, method="guided-gradcam", target=1)
    guided = glocal.attribute(network, clips, method="guided-backprop", target=1).raw
    for layer in layers:
        product = guided * glocal.attribute(network, clips, [layer], method="gradcam", target=1).raw
        expected = product / product.flatten(1).amax(1).view(-1, 1, 1, 1)
        assert torch.allclose(got.layers[layer], expected, atol=1e-5)


def test_guided_backprop_refuses_a_network_without_relus() -> None:
    network = nn.Sequential(
        nn.Conv3d(3, 4, 1), nn.Tanh(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    with pytest.raises(UsageError, match="needs a network with ReLUs"):
        glocal.attribute(network, torch.randn(1, 3, 4, 8, 8), method="guided-backprop")


def _most_forward_passes(method: str, clips: torch.Tensor, channels: int) -> tuple[int, bool]:
    """What the stated cost comes to for one layer, and whether it is only an upper bound."""
    at_most, low, high, more = re.match(
        r"(at most )?(\d+)(?: to (\d+))?(?: \+ (\w+))? forward", METHODS[method].cost
    ).groups()
    pixels, frames = SHORT["pixels"], SHORT["frames"]
    blocks = [
        1 + math.ceil((n - edge) / (edge // 2))
        for n, edge in zip(clips.shape[2:], (frames, pixels, pixels), strict=True)
    ]
    counts = {None: 0, "channels": channels, "blocks": math.prod(blocks), **SHORT}
    return int(high or low) + counts[more], bool(at_most or high)


@pytest.mark.parametrize("method", EVERY)
def test_a_method_takes_as_many_forward_passes_as_it_states(method: str) -> None:
    network, clips, _ = make("3d")
    layer = "layer2" if METHODS[method].needs.startswith("a linear head") else "layer1"
    channels = activation_of(network, clips, layer).shape[1]
    samples = []
    network.register_forward_pre_hook(lambda module, inputs: samples.append(len(inputs[0])))
    attribution = glocal.attribute(network, clips, [layer], method=method, options=options(method))
    passes, at_most = _most_forward_passes(method, clips, channels)
    taken = sum(samples) / len(clips)
    assert taken <= passes if at_most else taken == passes
    of_layers = METHODS[method].needs.startswith(("layers", "a linear head"))
    assert list(attribution.layers) == ([layer] if of_layers else [])


def test_the_default_method_is_listed_first() -> None:
    default = inspect.signature(glocal.attribute).parameters["method"].default
    assert next(iter(METHODS)) == default == "3dcam"


@pytest.fixture
def own_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods that a test registers are forgotten afterwards."""
    list(METHODS)
    for names in ("_values", "_origins"):
        monkeypatch.setattr(METHODS, names, dict(getattr(METHODS, names)))


def test_the_examples_of_the_documentation_run_and_its_table_is_complete(own_methods: None) -> None:
    from pathlib import Path

    text = (Path(__file__).parents[3] / "docs" / "methods.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([\w+-]+)` \| .* \| .* \|$", text.split("## What to know")[0], re.M)) == set(
        METHODS
    )
    network, clips, _ = make("3d")
    for block in text.split("## A method of one's own")[1].split("```python")[1:]:
        exec(block.split("```")[0], {"torch": torch, "__name__": "__main__"})
    for method, given in (("sharp", {}), ("frame-drop", {"every": 2})):
        attention = glocal.attribute(network, clips, method=method, options=given).attention
        assert attention.shape == (2, 6, 20, 14)
        assert attention.max() == 1


@pytest.mark.parametrize("method", EVERY)
def test_every_method_runs_inside_inference_mode_and_in_half_precision(method: str) -> None:
    network, clips, _ = make("3d")
    given = {"method": method, "target": 2, "options": options(method)}
    expected = glocal.attribute(network, clips, **given).attention
    with torch.inference_mode():
        inside = glocal.attribute(network, clips.clone(), **given).attention
    assert torch.allclose(inside, expected, atol=1e-5)
    assert not inside.requires_grad
    half = glocal.attribute(network.bfloat16(), clips, **given).attention
    assert half.dtype == torch.float32
    assert torch.corrcoef(torch.stack([half.flatten(), expected.flatten()]))[0, 1] > 0.9

"""Faithfulness against closed forms on a linear network, where every voxel's share of the score is known."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from glocal.attribution.baselines import BASELINES
from glocal.datasets.puppets import Puppets
from glocal.errors import UsageError
from glocal.evaluation.faithfulness import (
    average_drop,
    block_drops,
    deletion,
    end_scores,
    infidelity,
    insertion,
    sensitivity_max,
)
from glocal.evaluation.faithfulness.infidelity import BlockDrops, random_blocks
from glocal.evaluation.faithfulness.scoring import batch_limit
from glocal.evaluation.pointing import energy_in_mask, lift, pointing_game, pointing_measures
from helpers.networks import Small2d, Small3d, seeded

SHAPE = (4, 6, 5)


class Linear(nn.Module):
    """Logit of class 0: `Σ weight · x`; that of class 1: 0."""

    def __init__(self, weight: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.seen = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(x))
        score = (x * self.weight).flatten(1).sum(1)
        return torch.stack([score, torch.zeros_like(score)], 1)


def example(shape: Any = SHAPE, batch: Any = 2, channels: Any = 3, baseline: Any = "mean") -> Any:
    """A network, clips, and each voxel's true share of the logit against the baseline."""
    random = torch.Generator().manual_seed(1)
    network = Linear(torch.randn(channels, *shape, generator=random))
    clips = torch.randn(batch, channels, *shape, generator=random)
    shares = ((clips - BASELINES[baseline](clips)) * network.weight.detach()).sum(1)
    return network, clips, shares, torch.zeros(batch, dtype=torch.long)


@pytest.mark.parametrize("baseline", ["mean", "blur"])
@pytest.mark.parametrize("over", ["space-time", "space", "time"])
def test_curves_of_a_linear_network_are_sums_of_the_voxels_shares(over: Any, baseline: Any) -> None:
    network, clips, shares, classes = example(baseline=baseline)
    attention = shares - shares.amin()
    options = {"over": over, "baseline": baseline, "steps": 7, "batch": 3, "score": "logit"}
    taken = deletion(network, clips, attention, classes, **options)
    given = insertion(network, clips, attention, classes, **options)
    assert max(network.seen) == 3
    for sample in range(2):
        group = {
            "space-time": shares[sample],
            "space": shares[sample].sum(0),
            "time": shares[sample].sum((1, 2)),
        }
        parts = sorted(group[over].flatten().tolist(), reverse=True)
        empty = float((BASELINES[baseline](clips)[sample] * network.weight.detach()).sum())
        counts = [round(len(parts) * i / min(7, len(parts))) for i in range(min(7, len(parts)) + 1)]
        lost = [empty + sum(parts[count:]) for count in counts]
        gained = [empty + sum(parts[:count]) for count in counts]
        assert taken.scores[sample].tolist() == pytest.approx(lost, abs=2e-4)
        assert given.scores[sample].tolist() == pytest.approx(gained, abs=2e-4)
        area = sum(
            (counts[i + 1] - counts[i]) / len(parts) * (lost[i] + lost[i + 1]) / 2
            for i in range(len(counts) - 1)
        )
        assert float(taken.auc[sample]) == pytest.approx(area, abs=2e-4)


def test_the_true_order_beats_every_other_order() -> None:
    network, clips, shares, classes = example()
    best = deletion(network, clips, shares, classes, baseline="mean", score="logit").auc
    for seed in range(5):
        other = torch.rand(shares.shape, generator=torch.Generator().manual_seed(seed))
        assert (deletion(network, clips, other, classes, baseline="mean", score="logit").auc > best).all()


def test_shared_ends_save_their_passes_and_change_nothing() -> None:
    network, clips, shares, classes = example()
    alone = [curve(network, clips, shares, classes).scores for curve in (deletion, insertion)]
    drop = average_drop(network, clips, shares.sigmoid(), classes).drop
    ends = end_scores(network, clips, classes)
    network.seen.clear()
    for curve, scores in zip((deletion, insertion), alone, strict=True):
        assert torch.allclose(curve(network, clips, shares, classes, ends=ends).scores, scores, atol=1e-6)
    assert sum(network.seen) == 2 * 2 * 19, "20 steps without both ends, twice, of two clips"
    network.seen.clear()
    assert torch.allclose(average_drop(network, clips, shares.sigmoid(), classes, ends=ends).drop, drop)
    assert sum(network.seen) == 2


def test_a_processor_takes_fewer_of_large_clips_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    large = torch.zeros(2, 3, 16, 192, 192)
    network = Linear(torch.zeros(1))
    assert batch_limit(network, large, 16) == 1
    assert batch_limit(network, large[..., :64, :64], 16) == 4
    assert batch_limit(network, large[:, :, 0, :64, :64], 16) == 16
    assert batch_limit(network.to("meta"), large, 16) == 16


def test_probabilities_are_those_of_the_softmax() -> None:
    network, clips, shares, classes = example()
    logit = deletion(network, clips, shares, classes, score="logit").scores
    assert torch.allclose(deletion(network, clips, shares, classes).scores, logit.sigmoid(), atol=1e-6)


def test_images_have_curves_over_space_alone() -> None:
    network, images, shares, classes = example((6, 5))
    curve = deletion(network, images, shares, classes, over="space", baseline="mean", steps=30, score="logit")
    parts = sorted(shares[1].flatten().tolist(), reverse=True)
    empty = float((BASELINES["mean"](images)[1] * network.weight.detach()).sum())
    assert curve.scores[1].tolist() == pytest.approx([empty + sum(parts[i:]) for i in range(31)], abs=1e-4)
    for over in ("time", "space-time", "pixels"):
        with pytest.raises(UsageError, match="use one of space"):
            deletion(network, images, shares, classes, over=over)
    small = seeded(Small2d())
    assert insertion(
        small, torch.rand(2, 3, 16, 16), torch.rand(2, 16, 16), classes, over="space"
    ).auc.shape == (2,)
    assert small.training, "the network is as it was"


def test_ties_have_no_place() -> None:
    """Attention that is zero everywhere takes voxels away evenly, not from the top left on."""
    weight = torch.zeros(1, 4, 16, 16)
    weight[:, :, :8] = 1 / 512
    clips = torch.ones(1, 1, 4, 16, 16)
    clips[:, :, :, 8:] = -1
    classes = torch.zeros(1, dtype=torch.long)
    curve = deletion(
        Linear(weight), clips, torch.zeros(1, 4, 16, 16), classes, baseline="mean", score="logit"
    )
    assert curve.scores[0].tolist() == pytest.approx(np.linspace(1, 0, 21).tolist(), abs=0.06)


def test_wrong_arguments_are_named() -> None:
    network, clips, shares, classes = example()
    with pytest.raises(UsageError, match="Did you mean 'blur'"):
        deletion(network, clips, shares, classes, baseline="blurr")
    with pytest.raises(UsageError, match="do not fit; give"):
        deletion(network, clips, shares[:, :2], classes)
    with pytest.raises(UsageError, match="at least 1"):
        deletion(network, clips, shares, classes, steps=0)


def test_the_mean_baseline_keeps_each_channels_mean() -> None:
    _, clips, _, _ = example()
    assert torch.allclose(BASELINES["mean"](clips)[1, 2], clips[1, 2].mean().expand(SHAPE))


def test_the_blur_is_a_gaussian_and_keeps_what_is_even() -> None:
    assert torch.allclose(BASELINES["blur"](torch.full((1, 2, 8, 16, 16), 3.0)), torch.tensor(3.0))
    dot = torch.zeros(1, 1, 1, 33, 33)
    dot[..., 16, 16] = 1
    row = BASELINES["blur"](dot)[0, 0, 0, 16]
    expected = np.exp(-0.5 * ((np.arange(33) - 16) / (33 / 8)) ** 2)
    inner = slice(8, 25)  # near the border the weights are shared by fewer pixels
    assert (row / row[16])[inner].tolist() == pytest.approx(expected[inner], rel=0.06)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_average_drop_of_a_network_that_sees_one_thing(share: Any) -> None:
    """Blending a linear network's input towards the mean scales its logit by what is kept."""
    network, clips, _, classes = example(batch=1)
    network.weight.data -= network.weight.data.mean((1, 2, 3), keepdim=True)  # the mean clip scores 0
    if float(network(clips)[0, 0].detach()) < 0:
        network.weight.data *= -1
    logit = float(network(clips)[0, 0].detach())
    found = average_drop(network, clips, torch.full((1, *SHAPE), share), classes, baseline="mean")
    before, after = 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(-share * logit))
    assert float(found.drop) == pytest.approx((before - after) / before, abs=1e-5)
    assert float(found.increase) == 0


def test_a_mask_that_raises_the_score_is_an_increase() -> None:
    network, clips, shares, classes = example()
    found = average_drop(network, clips, (shares > 0).float(), classes, baseline="mean")
    assert found.drop.tolist() == [0, 0]
    assert found.increase.tolist() == [1, 1]


def test_blocks_lie_in_the_clip_and_differ() -> None:
    masks = random_blocks((16, 24, 32), 40, seed=3)
    for mask in masks.numpy():
        sides = [np.flatnonzero(mask.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
        assert mask.sum() == np.prod([len(s) for s in sides]), "a block"
        for side, size in zip(sides, (16, 24, 32), strict=True):
            assert side[-1] - side[0] + 1 == len(side)
            assert size / 8 <= len(side) <= size / 2
    assert len({mask.numpy().tobytes() for mask in masks}) > 30
    for axis in range(3):
        covered = random_blocks((16, 24, 32), 400, seed=3).any(0).numpy().any(tuple({0, 1, 2} - {axis}))
        assert covered.all(), "blocks reach the borders"


def test_infidelity_is_zero_for_the_true_shares_whatever_their_scale() -> None:
    network, clips, shares, classes = example(baseline="blur")
    blocks = block_drops(network, clips, classes, blocks=30, batch=7, score="logit")
    assert infidelity(5 * shares, blocks).tolist() == pytest.approx([0, 0], abs=1e-6)


def test_infidelity_is_that_of_its_definition() -> None:
    network, clips, _, classes = example()
    blocks = block_drops(network, clips, classes, baseline="mean", blocks=20, score="logit")
    attention = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(4))
    emptied = BASELINES["mean"](clips)
    for sample in range(2):
        sums, drops = [], []
        for mask in blocks.masks:
            without = torch.where(mask, emptied[sample], clips[sample])
            drops.append(float(((clips[sample] - without) * network.weight.detach()).sum()))
            sums.append(float(attention[sample][mask].sum()))
        errors = [
            np.mean([(b * s - d) ** 2 for s, d in zip(sums, drops, strict=True)])
            for b in np.linspace(0, 2, 4001)
        ]
        assert blocks.drops[sample].tolist() == pytest.approx(drops, abs=1e-4)
        assert float(infidelity(attention, blocks, relative=False)[sample]) == pytest.approx(
            min(errors), rel=1e-3
        )
        relative = min(errors) / np.mean(np.square(drops))
        assert float(infidelity(attention, blocks)[sample]) == pytest.approx(relative, rel=1e-3)


def test_infidelity_is_undefined_where_nothing_matters() -> None:
    blocks = BlockDrops(random_blocks((4, 4, 4), 5, 0), torch.zeros(1, 5))
    assert infidelity(torch.rand(1, 4, 4, 4), blocks).isnan().all()


def test_sensitivity_is_the_largest_move_and_bounded_for_a_linear_explanation() -> None:
    clips = torch.randn(2, 1, *SHAPE)
    moved = []

    def explain(x: Any) -> Any:
        moved.append(x)
        return x[:, 0]

    found = sensitivity_max(explain, clips, radius=0.1, samples=5)
    reach = 0.1 * (clips.flatten(1).amax(1) - clips.flatten(1).amin(1))
    norms = torch.stack([(x - clips).flatten(1).norm(dim=1) for x in moved[1:]])
    assert len(moved) == 6
    assert torch.allclose(found, norms.amax(0) / clips.flatten(1).norm(dim=1))
    for x in moved[1:]:
        assert ((x - clips).abs().flatten(1).amax(1) <= reach + 1e-6).all()
    assert sensitivity_max(lambda x: torch.ones(2, *SHAPE), clips).tolist() == [0, 0]


def test_hit_energy_and_lift_by_hand() -> None:
    mask = np.zeros((2, 4, 4), bool)
    mask[:, :2, :2] = True
    attention = np.zeros((2, 4, 4), np.float32)
    attention[0, 0, 0], attention[1, 3, 3] = 3, 1
    assert (pointing_game(attention, mask), energy_in_mask(attention, mask), lift(attention, mask)) == (
        1,
        0.75,
        3,
    )
    assert pointing_game(np.ones((2, 4, 4)), mask) == pytest.approx(0.25)
    assert (pointing_game(np.zeros((2, 4, 4)), mask), energy_in_mask(np.zeros((2, 4, 4)), mask)) == (0, 0)
    assert np.isnan(lift(attention, np.zeros((2, 4, 4), bool)))


def test_attention_on_a_puppet_points_at_it() -> None:
    clip = Puppets("test", 4, frames=8, size=48, scale=(0.6, 0.9))[1]
    figure = clip.actors[0]
    found = pointing_measures(figure.acting.astype(np.float32), figure)
    assert found["hit_moment"] == 1
    assert found["lift_limbs"] == pytest.approx(1 / figure.acting.mean())
    assert found["lift_moment"] == pytest.approx(8 / (clip.span[1] - clip.span[0]))
    around = pointing_measures((~figure.mask).astype(np.float32), figure)
    assert around["lift_figure"] == 0
    even = pointing_measures(np.ones(figure.mask.shape, np.float32), figure)
    assert even["lift_figure"] == even["lift_limbs"] == even["lift_moment"] == pytest.approx(1)
    boxes = [np.zeros((48, 48), bool) for _ in range(8)]
    for box, (x0, y0, x1, y1) in zip(boxes, figure.boxes, strict=True):
        box[y0:y1, x0:x1] = True
    areas = [box.mean() for box in boxes if box.any()]
    assert even["hit_figure"] == pytest.approx(np.mean(areas))


def test_a_real_network_is_explained_batch_by_batch_as_one_by_one() -> None:
    network = seeded(Small3d()).eval()
    clips = torch.rand(3, 3, 8, 24, 24, generator=torch.Generator().manual_seed(0))
    attention = torch.rand(3, 8, 24, 24, generator=torch.Generator().manual_seed(1))
    classes = network(clips).argmax(1)
    together = deletion(network, clips, attention, classes, steps=5, batch=4)
    for sample in range(3):
        own = slice(sample, sample + 1)
        alone = deletion(network, clips[own], attention[own], classes[own], steps=5, batch=1)
        assert torch.allclose(alone.scores, together.scores[own], atol=1e-5)
    assert torch.allclose(together.scores[:, 0], network(clips).softmax(1).amax(1), atol=1e-5)

"""A network of two pathways is explained at the frames of the fast one."""

from typing import Any

import pytest
import torch
from torch import nn

import glocal
from glocal.attribution.inputs.network_inputs import frame_positions
from glocal.errors import UsageError
from helpers.networks import seeded

T, ALPHA, SIDE = 16, 4, 24


class SlowFast(nn.Module):
    """Feichtenhofer et al. in small: [slow, fast], a lateral connection, no stride in time."""

    def __init__(self, classes: Any = 3) -> None:
        super().__init__()
        self.slow1 = nn.Sequential(nn.Conv3d(3, 16, (1, 3, 3), (1, 2, 2), (0, 1, 1)), nn.ReLU())
        self.fast1 = nn.Sequential(nn.Conv3d(3, 2, (3, 3, 3), (1, 2, 2), 1), nn.ReLU())
        self.lateral = nn.Conv3d(2, 4, (5, 1, 1), (ALPHA, 1, 1), (2, 0, 0))
        self.slow2 = nn.Sequential(nn.Conv3d(20, 12, 3, (1, 2, 2), 1), nn.ReLU())
        self.fast2 = nn.Sequential(nn.Conv3d(2, 4, 3, (1, 2, 2), 1), nn.ReLU())
        self.head = nn.Linear(16, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        slow, fast = x
        slow, fast = self.slow1(slow), self.fast1(fast)
        slow, fast = self.slow2(torch.cat([slow, self.lateral(fast)], 1)), self.fast2(fast)
        return self.head(torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], 1))


class Both(nn.Module):
    """A stage of both pathways that takes and returns [slow, fast], as pytorchvideo builds them."""

    def __init__(self, slow: Any, fast: Any) -> None:
        super().__init__()
        self.pathways = nn.ModuleList([slow, fast])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return [pathway(part) for pathway, part in zip(self.pathways, x, strict=True)]


class Pathways(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def stage(inner: Any, outer: Any) -> Any:
            return nn.Sequential(nn.Conv3d(inner, outer, 3, (1, 2, 2), 1), nn.ReLU())

        self.blocks = nn.ModuleList([Both(stage(3, 8), stage(3, 2)), Both(stage(8, 8), stage(2, 2))])
        self.head = nn.Linear(10, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(torch.cat([part.mean((2, 3, 4)) for part in x], 1))


class OnePlace(nn.Module):
    """Keeps a rectangle of a map, as it were the only thing to be seen."""

    def __init__(self, frames: Any, rows: Any, columns: Any) -> None:
        super().__init__()
        self.place = slice(None), slice(None), slice(*frames), slice(*rows), slice(*columns)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[self.place]


class OneMoment(nn.Module):
    """A slow pathway that looks at one of its frames, and a fast one that looks at nothing."""

    def __init__(self, frame: Any) -> None:
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, 4, 1), nn.Conv3d(3, 4, 1)
        self.head, self.frame = nn.Linear(4, 2), frame

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        slow, fast = self.slow(x[0]), self.fast(x[1])
        return self.head(slow[:, :, self.frame].mean((2, 3)) + 0 * fast.mean((2, 3, 4)))


def packed(fast: Any, indices: Any) -> Any:
    return [fast[:, :, indices], fast]


STRIDED = list(range(0, T, ALPHA))
PACKED = torch.linspace(0, T - 1, T // ALPHA).long().tolist()
"""As PySlowFast packs its pathways: [0, 5, 10, 15]."""


def test_every_layer_is_explained_at_the_frames_of_the_fast_pathway() -> None:
    network, fast = seeded(SlowFast()), torch.randn(2, 3, T, SIDE, SIDE)
    found = glocal.attribute(network, packed(fast, STRIDED))
    assert list(found.layers) == ["slow1", "fast1", "slow2", "fast2"]
    assert {m.shape for m in found.layers.values()} == {(2, T, SIDE, SIDE)}
    assert found.attention.shape == (2, T, SIDE, SIDE)


def test_stages_that_return_both_pathways_are_explained_inside() -> None:
    network, fast = seeded(Pathways()), torch.randn(1, 3, T, SIDE, SIDE)
    found = glocal.attribute(network, packed(fast, STRIDED))
    assert list(found.layers) == [f"blocks.{i}.pathways.{j}" for i in (0, 1) for j in (0, 1)]
    with pytest.raises(UsageError, match=r"'blocks.0' returns a list of 2 items"):
        glocal.attribute(network, packed(fast, STRIDED), ["blocks.0"])


@pytest.mark.parametrize("indices", [STRIDED, PACKED])
def test_two_pathways_that_look_at_one_place_and_time_are_explained_there(indices: Any) -> None:
    """Slow frame 2 and the fast frames around its moment, columns 8 to 16, rows 16 to 24 of the clip."""
    network = seeded(Pathways())
    moment = indices[2]
    rows, columns = (4, 6), (2, 4)
    slow, fast = network.blocks[1].pathways
    slow.append(OnePlace((2, 3), rows, columns))
    fast.append(OnePlace((moment - 1, moment + 2), rows, columns))
    clip = torch.rand(2, 3, T, SIDE, SIDE)
    layers = ["blocks.1.pathways.0.1", "blocks.1.pathways.1.1"]
    for target in range(3):
        found = glocal.attribute(
            network, packed(clip, indices), layers, method="3dcam-channelwise", target=target
        )
        for sample in found.attention:
            t, y, x = torch.unravel_index(sample.argmax(), sample.shape)
            assert (abs(int(t) - moment) <= 1, 16 <= y < 24, 8 <= x < 16) == (True, True, True)
            near = sample[indices[1] : indices[3] + 1, 14:, 6:18]
            assert near.sum() / sample.sum() >= 0.9
        assert found.attention.amax() > 0


@pytest.mark.parametrize("indices", [STRIDED, PACKED])
@pytest.mark.parametrize("frame", [0, 1, 2, 3])
def test_a_slow_frame_is_explained_at_the_moment_it_was_taken(indices: Any, frame: Any) -> None:
    torch.manual_seed(0)
    network = OneMoment(frame)
    fast = torch.rand(2, 3, T, 8, 8)
    for target, against in ((0, False), (0, True)):
        found = glocal.attribute(
            network,
            packed(fast, indices),
            ["slow"],
            method="3dcam-channelwise",
            target=target,
            counterfactual=against,
        ).attention
        for when in found.sum((2, 3)):
            if when.max() > 0:
                held = range(indices[-1], T) if frame == 3 else range(indices[frame], indices[frame] + 1)
                assert int(when.argmax()) in held
                assert when[indices[frame]] == when.max()


def test_times_are_found_by_comparing_frames_and_fall_back_to_the_stride() -> None:
    fast = torch.rand(1, 3, T, 8, 8)
    assert frame_positions(packed(fast, PACKED))[4].tolist() == PACKED
    assert frame_positions(packed(fast, STRIDED))[4].tolist() == STRIDED
    assert frame_positions([torch.rand(1, 3, 4, 8, 8), fast])[4].tolist() == STRIDED
    assert frame_positions([torch.rand(1, 2, 4, 8, 8), fast])[4].tolist() == STRIDED
    still = torch.ones(1, 3, T, 8, 8)
    assert frame_positions(packed(still, PACKED))[4].tolist() == STRIDED
    assert frame_positions(fast) == {}
    assert frame_positions([fast, torch.rand(1, 2, T, 8, 8)]) == {}


def test_between_slow_frames_attention_is_linear_and_at_the_ends_it_is_held() -> None:
    from glocal.attribution.aggregation import upsampler

    maps = torch.tensor([3.0, 1.0, 2.0]).view(1, 3, 1, 1)
    got = upsampler((8, 1, 1), {3: torch.tensor([1.0, 3.0, 6.0])})(maps).flatten()
    expected = [3, 3, 2, 1, 1 + 1 / 3, 1 + 2 / 3, 2, 2]
    assert torch.allclose(got, torch.tensor(expected), atol=1e-6)


def test_one_slow_frame_is_held_throughout() -> None:
    from glocal.attribution.aggregation import upsampler

    got = upsampler((5, 1, 1), {1: torch.tensor([0.0])})(torch.full((1, 1, 1, 1), 2.0))
    assert got.flatten().tolist() == [2.0] * 5


class LateFrames(nn.Module):
    """Reads the last two of four slow frames."""

    def forward(self, pathways: list[torch.Tensor]) -> torch.Tensor:
        slow, fast = pathways
        return torch.stack([0 * fast.mean((1, 2, 3, 4)), slow[:, :, 2:].mean((1, 2, 3, 4))], 1)


def test_occlusion_hides_as_much_time_in_the_slow_pathway() -> None:
    fast = 1 + torch.rand(1, 3, 8, 16, 16)
    maps = glocal.attribute(
        LateFrames(), [fast[:, :, ::2], fast], method="occlusion", target=1, options={"pixels": 16}
    ).attention
    assert maps[:, :3].max() < 0.6
    assert maps[:, 6:].min() > 0.9

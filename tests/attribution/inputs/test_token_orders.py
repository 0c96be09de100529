"""Tokens lie where they are found to, in any order, with other tokens on either side of them."""

from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import glocal
from glocal.attribution import TokenGrid
from glocal.attribution.inputs.token_grid import Grid
from glocal.errors import UsageError

SIZE = {"T": 3, "H": 4, "W": 5}
WIDTH = 8
CLIPS = torch.randn(2, 3, 6, 16, 20, generator=torch.Generator().manual_seed(1))


class Block(nn.Module):
    """Attention of one head and a residual; it keeps its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.weights: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).chunk(3, 2)
        weights = (2 * q @ k.mT).softmax(2)
        self.weights = [weights.detach()]
        result: Tensor = x + 0.3 * weights @ v
        return result


class Ordered(nn.Module):
    """Two blocks on tokens in an order, behind and before other tokens."""

    def __init__(self, order: str = "THW", before: int = 0, behind: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch = nn.Conv3d(3, WIDTH, (2, 4, 4), (2, 4, 4))
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(WIDTH, 3)
        self.before, self.behind = torch.randn(1, before, WIDTH), torch.randn(1, behind, WIDTH)
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).permute(0, *(2 + "THW".index(axis) for axis in self.order), 1).flatten(1, 3)
        x = torch.cat([self.before.expand(len(x), -1, -1), x, self.behind.expand(len(x), -1, -1)], 1)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(x[:, 0] if self.before.shape[1] else x.mean(1))
        return logits

    def on_grid(self, tokens: Tensor) -> Tensor:
        """Tokens `(B, N, C)` as `(B, C, T, H, W)`."""
        start = self.before.shape[1]
        cells = tokens[:, start : start + 60].reshape(len(tokens), *(SIZE[a] for a in self.order), -1)
        return cells.permute(0, 4, *(1 + self.order.index(axis) for axis in "THW"))

    def layercam(self, clips: Tensor) -> Tensor:
        """LayerCAM of class 0 at the first block, by hand."""
        seen: list[Tensor] = []
        handle = self.blocks[0].register_forward_hook(lambda module, args, result: seen.append(result))
        (gradient,) = torch.autograd.grad(self(clips)[:, 0].sum(), seen)
        handle.remove()
        maps = _enlarged(self.on_grid(seen[0].detach() * gradient.clamp(min=0)).sum(1).clamp(min=0))
        return maps / maps.flatten(1).amax(1)[:, None, None, None]

    def rollout(self, clips: Tensor) -> Tensor:
        """Abnar and Zuidema's recursion, by hand."""
        with torch.no_grad():
            self(clips)
        identity = torch.eye(60 + self.before.shape[1] + self.behind.shape[1])
        flow = identity
        for block in self.blocks:
            flow = (block.weights[0] + identity) / 2 @ flow  # type: ignore[index]
        start = self.before.shape[1]
        rows = flow[:, 0] if start else flow[:, :60].mean(1)
        return _enlarged(self.on_grid(rows[:, :, None])[:, 0])


def _enlarged(maps: Tensor) -> Tensor:
    return F.interpolate(maps[:, None], CLIPS.shape[2:], mode="trilinear")[:, 0]


@pytest.mark.parametrize("order", ["".join(order) for order in permutations("THW")])
def test_tokens_in_every_order_lie_where_they_look(order: str) -> None:
    network = Ordered(order)
    found = glocal.attribute(network, CLIPS, ["blocks.0"], method="layercam", target=0)
    assert torch.allclose(found.attention, network.layercam(CLIPS), atol=1e-4)
    rolled = glocal.attribute(network, CLIPS, method="rollout")
    assert torch.allclose(rolled.raw, network.rollout(CLIPS), atol=1e-5)


@pytest.mark.parametrize("grid", [None, (3, 4, 5)])
@pytest.mark.parametrize(("before", "behind"), [(1, 0), (5, 0), (0, 4), (1, 4), (2, 1)])
def test_other_tokens_stand_on_both_sides(before: int, behind: int, grid: Grid | None) -> None:
    network = Ordered("THW", before, behind)
    found = glocal.attribute(network, CLIPS, ["blocks.0"], method="layercam", target=0, grid=grid)
    assert torch.allclose(found.attention, network.layercam(CLIPS), atol=1e-4)
    rolled = glocal.attribute(network, CLIPS, method="rollout", grid=grid)
    assert torch.allclose(rolled.raw, network.rollout(CLIPS), atol=1e-5)


@pytest.mark.parametrize("method", ["layercam", "rollout"])
def test_a_grid_can_state_how_many_tokens_stand_before_it(method: str) -> None:
    network = Ordered("HWT", 1, 4)
    found = glocal.attribute(network, CLIPS, ["blocks.0"], method=method, target=0)
    grid = TokenGrid((3, 4, 5), "HWT", skipped=1)
    stated = glocal.attribute(network, CLIPS, ["blocks.0"], method=method, target=0, grid=grid)
    assert torch.allclose(found.raw, stated.raw, atol=1e-6)


def test_a_number_of_tokens_before_the_grid_that_is_impossible_is_refused() -> None:
    with pytest.raises(UsageError, match=r"skipped is -1; give the number of tokens"):
        TokenGrid((3, 4, 5), skipped=-1)
    network = Ordered("THW", 1, 1)
    with pytest.raises(UsageError, match=r"returns a tensor of shape \(2, 62, 8\)"):
        glocal.attribute(network, CLIPS, ["blocks.0"], grid=TokenGrid((3, 4, 5), skipped=3))

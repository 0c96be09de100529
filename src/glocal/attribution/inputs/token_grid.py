"""The grid on which a network's tokens lie over its input."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from torch import Size, Tensor, nn

from glocal.attribution.inputs.axes import layout_of
from glocal.attribution.inputs.network_inputs import InputName, Inputs, convolutions, videos
from glocal.errors import UsageError

MOST_EXTRA_TOKENS = 16
"""Most tokens that are not on the grid: class, distillation and register tokens."""


@dataclass(frozen=True)
class TokenGrid:
    """How a sequence of tokens lies over a clip.

    Attributes:
        size: tokens along `(T, H, W)`, or `(H, W)` of an image.
        order: the axes as the tokens run through them, the last one fastest; TimeSformer has `"HWT"`.
        skipped: number of other tokens, such as class and register tokens, before those of the grid; None
            if all others stand there.

    Raises:
        UsageError: a size, an order or a number of tokens is impossible.
    """

    size: tuple[int, ...]
    order: str = "THW"
    skipped: int | None = None

    def __post_init__(self) -> None:
        if len(self.size) not in (2, 3) or min(self.size) < 1:
            raise UsageError(f"grid is {self.size}; give the tokens along (T, H, W), or (H, W) of an image.")
        if sorted(self.order) != sorted("THW"):
            raise UsageError(f"the order of tokens '{self.order}' is no order of T, H and W, such as 'HWT'.")
        if self.skipped is not None and self.skipped not in range(MOST_EXTRA_TOKENS + 1):
            raise UsageError(
                f"skipped is {self.skipped}; give the number of tokens before those of the grid."
            )

    @property
    def rows_and_columns(self) -> "TokenGrid":
        """The grid of a single frame."""
        return TokenGrid(self.size[-2:], self.order, self.skipped)

    def extra(self, tokens: Size) -> int | None:
        """Number of tokens in `(B, N, C)` that are not on the grid; None if N does not fit the grid."""
        more = tokens[1] - prod(self.size)
        return more if (self.skipped or 0) <= more <= MOST_EXTRA_TOKENS else None

    def fold(self, tokens: Tensor) -> Tensor | None:
        """Rearrange `(B, N, C)` as `(B, C, T, H, W)` without the extra tokens; None if N does not fit."""
        extra = self.extra(tokens.shape)
        if extra is None:
            return None
        axes = "THW"[-len(self.size) :]
        order = [axis for axis in self.order if axis in axes]
        sides = [self.size[axes.index(axis)] for axis in order]
        start = extra if self.skipped is None else self.skipped
        cells = tokens[:, start : start + prod(self.size)].reshape(len(tokens), *sides, -1)
        return cells.permute(0, -1, *(1 + order.index(axis) for axis in axes))


@dataclass(frozen=True)
class OutputLayout:
    """What is known of a network's input before its layers' outputs are laid over it.

    Attributes:
        batch: number of samples of the input.
        size: `(T, H, W)` or `(H, W)` of the input.
        grid: of the tokens, if the network has any.
        grid_is_stated: whether the caller, the network or its configuration says in which order tokens run
            through the grid; otherwise only its size is known, from a convolution that cuts out patches.
        others_are_first: whether it is known that tokens which are not on the grid stand before it.
    """

    batch: int
    size: tuple[int, ...]
    grid: TokenGrid | None = None
    grid_is_stated: bool = True
    others_are_first: bool = True

    @classmethod
    def of(
        cls, network: nn.Module, inputs: Inputs, grid: "Grid | None" = None, input: InputName = None
    ) -> "OutputLayout":
        """The layout for a network and its input; by default the grid is read from the network.

        Raises:
            UsageError: no input is a clip or an image.
        """
        layout = layout_of(network, inputs)
        maps = videos(inputs, input)
        batch, size = len(maps[0]), max(_sides(video, layout) for video in maps)
        if grid is None:
            grid = getattr(network, "token_grid", None)
        if grid is not None:
            return cls(batch, size, _as_grid(network, grid), others_are_first=False)
        patch = _patch_of_config(_config(network))
        is_stated = patch is not None
        tokens = _grid_of_patches(network, size, patch or _patch_of_convolution(network))
        return cls(batch, size, tokens, is_stated, is_stated)

    def possible_skips(self, extra: int) -> Sequence[int]:
        """How many of `extra` tokens that are not on the grid may stand before those that are.

        A single one is a class token, which the order of tokens is stated with.
        """
        if self.grid is not None and self.grid.skipped is not None:
            return (self.grid.skipped,)
        if self.grid_is_stated and (self.others_are_first or extra < 2):
            return (extra,)
        return range(extra, -1, -1)

    def with_grid_of(self, result: Any) -> "OutputLayout":
        """The same, with the grid `(T, H, W)` where a module returns one beside its tokens, as MViT does."""
        match result:
            case (Tensor(), (int(frames), int(rows), int(columns))):
                grid = TokenGrid((frames, rows, columns))
                return replace(self, grid=grid, grid_is_stated=True, others_are_first=True)
        return self


def is_attention(x: Tensor) -> bool:
    """Whether `x` is an attention matrix `(…, N, N)`: not negative, with rows that sum to 1."""
    if x.dim() not in (3, 4) or x.shape[-1] != x.shape[-2] or x.shape[-1] == 1 or not x.is_floating_point():
        return False
    x = x[:1].detach()
    first_rows = x[..., :1, :]  # which tell most maps apart without a look at the rest
    return all(
        bool((rows >= 0).all()) and bool(((rows.float().sum(-1) - 1).abs() < 1e-2).all())
        for rows in (first_rows, x)
    )


def split(samples: Tensor, groups: int) -> Tensor:
    """Reshape `(groups · n, …)` to `(groups, n, …)`."""
    return samples.reshape(groups, -1, *samples.shape[1:])


Grid = TokenGrid | tuple[int, ...]
"""A token grid, or its size where the tokens run through time, rows and columns in this order."""


def _sides(video: Tensor, layout: str) -> tuple[int, ...]:
    """`(T, H, W)` of a clip, or `(H, W)` of an image."""
    order = [layout.index(axis) for axis in "THW"] if video.dim() == 5 else [2, 3]
    return tuple(video.shape[axis] for axis in order)


def _as_grid(network: nn.Module, grid: Grid) -> TokenGrid:
    return grid if isinstance(grid, TokenGrid) else TokenGrid(tuple(grid), _order(network))


def _order(network: nn.Module) -> str:
    return "HWT" if getattr(_config(network), "model_type", "") == "timesformer" else "THW"


def _grid_of_patches(
    network: nn.Module, size: tuple[int, ...], patch: tuple[int, ...] | None
) -> TokenGrid | None:
    """The grid of an input of `size` that is cut into patches."""
    if patch is None:
        return None
    cells = tuple(whole // part for whole, part in zip(size, patch[-len(size) :], strict=True))
    return TokenGrid(cells, _order(network)) if min(cells) > 0 else None


def _config(network: nn.Module) -> Any:
    """The configuration of a network, or of a module inside it, that has the size of a patch."""
    configs = (vars(m).get("config", getattr(type(m), "config", None)) for m in network.modules())
    return next((c for c in configs if hasattr(c, "patch_size") or hasattr(c, "tubelet_size")), None)


def _patch_of_config(config: Any) -> tuple[int, ...] | None:
    """`(frames, rows, columns)` of a patch, from `patch_size`, `tubelet_size` or both."""
    patch, tubelet = getattr(config, "patch_size", None), getattr(config, "tubelet_size", None)
    if isinstance(tubelet, tuple | list):
        return tuple(tubelet)
    if patch is None:
        return None
    sides = tuple(patch) if isinstance(patch, tuple | list) else (patch, patch)
    return sides if len(sides) == 3 else (tubelet or 1, *sides)


def _patch_of_convolution(network: nn.Module) -> tuple[int, ...] | None:
    """`(frames, rows, columns)` of a patch, if the first convolution cuts the input into patches."""
    first = next(convolutions(network), None)
    if first is None or first.kernel_size != first.stride or first.kernel_size[-1] == 1:
        return None
    return (1, *first.kernel_size)[-3:]

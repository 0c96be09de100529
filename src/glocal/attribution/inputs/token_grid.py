"""How the output of a layer lies over the space and time of the network's input."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from torch import Size, Tensor, nn

from glocal.attribution.inputs.axes import layout_of
from glocal.attribution.inputs.network_inputs import Inputs, describe, tensors
from glocal.errors import UsageError

MOST_EXTRA_TOKENS = 16
"""Tokens that may stand before those of the grid: class, distillation and register tokens."""
MOST_SKEW = 1.3
"""By how much the strides of a map's rows and columns may differ."""


@dataclass(frozen=True)
class TokenGrid:
    """How the tokens of a network lie over a clip.

    Attributes:
        size: tokens along `(T, H, W)`, or `(H, W)` of an image.
        order: the axes as the tokens run through them, the last one fastest; TimeSformer has `"HWT"`.

    Raises:
        UsageError: a size or an order that no grid can have.
    """

    size: tuple[int, ...]
    order: str = "THW"

    def __post_init__(self) -> None:
        if len(self.size) not in (2, 3) or min(self.size) < 1:
            raise UsageError(f"grid is {self.size}; give the tokens along (T, H, W), or (H, W) of an image.")
        if sorted(self.order) != sorted("THW"):
            raise UsageError(f"the order of tokens '{self.order}' is no order of T, H and W, such as 'HWT'.")

    @property
    def rows_and_columns(self) -> "TokenGrid":
        """The grid of a single frame."""
        return TokenGrid(self.size[-2:], self.order)

    def extra(self, tokens: Size) -> int | None:
        """How many of `(B, N, C)` stand before the grid; None if they cannot be its tokens."""
        more = tokens[1] - prod(self.size)
        return more if 0 <= more <= MOST_EXTRA_TOKENS else None

    def fold(self, tokens: Tensor) -> Tensor | None:
        """`(B, N, C)` → `(B, C, T, H, W)`, without the tokens before the grid."""
        extra = self.extra(tokens.shape)
        if extra is None:
            return None
        axes = "THW"[-len(self.size) :]
        order = [axis for axis in self.order if axis in axes]
        sides = [self.size[axes.index(axis)] for axis in order]
        cells = tokens[:, extra:].reshape(len(tokens), *sides, -1)
        return cells.permute(0, -1, *(1 + order.index(axis) for axis in axes))


@dataclass(frozen=True)
class Canvas:
    """What the maps of a network lie on.

    Attributes:
        batch: samples of the input.
        size: `(T, H, W)` or `(H, W)` of the input.
        grid: of the tokens, if the network has any that lie on one.
    """

    batch: int
    size: tuple[int, ...]
    grid: TokenGrid | None = None

    @classmethod
    def of(cls, network: nn.Module, inputs: Inputs, grid: "Grid | None" = None) -> "Canvas":
        """Of a network and its input; the grid of tokens is looked up in the network unless given.

        Raises:
            UsageError: no input is a clip or an image.
        """
        layout = layout_of(network, inputs)
        maps = [t for t in tensors(inputs) if isinstance(t, Tensor) and t.dim() in (4, 5)]
        if not maps:
            raise UsageError(
                f"clips is {describe(inputs)}; give (B, C, T, H, W), or (B, C, H, W) for images."
            )
        size = max(
            tuple(t.shape[layout.index(a)] for a in "THW") if t.dim() == 5 else tuple(t.shape[2:])
            for t in maps
        )
        if grid is not None:
            return cls(len(maps[0]), size, _as_grid(network, grid))
        return cls(len(maps[0]), size, _find_grid(network, size))

    def beside(self, result: Any) -> "Canvas":
        """With the grid `(T, H, W)` that a module returned beside its tokens, as multiscale networks do."""
        match result:
            case (Tensor(), (int(frames), int(rows), int(columns))):
                return replace(self, grid=TokenGrid((frames, rows, columns)))
        return self

    def fold(self, output: Tensor, module: nn.Module) -> Tensor | None:
        """What `module` returned, as `(B, C, T_k, H_k, W_k)`, or `(B, C, H_k, W_k)` for images.

        Maps are taken with their channels first or last, for the clip or for each of its frames as a sample
        of its own `(B·T, …)`; tokens `(B, N, C)` are put on the grid. None for what lies on neither.
        """
        if output.dim() not in (3, 4, 5):
            return None
        if len(self.size) == 3 and self._frames_are_samples(output):
            frames = self._still(len(output)).fold(output, module)
            return None if frames is None else split(frames, self.batch).transpose(1, 2)
        if len(output) != self.batch:
            return None
        if output.dim() == 3:
            return self.grid.fold(output) if self.grid else None
        if len(self.size) == 3 and output.dim() == 4:
            still = self._still(self.batch)
            folded = still.fold(output, module)
            return None if folded is None or not still._fits(folded.shape[2:]) else folded.unsqueeze(2)
        if output.dim() != len(self.size) + 2:
            return None
        return output.movedim(-1, 1) if self._channels_last(output.shape, module) else output

    def _frames_are_samples(self, output: Tensor) -> bool:
        frames = len(output) // self.batch
        possible = {self.size[0], *(self.grid.size[:1] if self.grid else ())}
        return frames > 1 and frames * self.batch == len(output) and frames in possible

    def _still(self, batch: int) -> "Canvas":
        return Canvas(batch, self.size[-2:], self.grid and self.grid.rows_and_columns)

    def _channels_last(self, shape: Size, module: nn.Module) -> bool:
        """Whether a map is `(B, T, H, W, C)`: only so it fits the clip, or its last axis is normalised."""
        if not self._fits(shape[1:-1]):
            return False
        if not self._fits(shape[2:]):
            return True
        widths = {m.normalized_shape[-1] for m in module.modules() if isinstance(m, nn.LayerNorm)}
        return shape[-1] in widths and shape[1] not in widths

    def _fits(self, sides: Iterable[int]) -> bool:
        strides = [whole / part for whole, part in zip(self.size, sides, strict=True)]
        rows, columns = strides[-2:]
        return min(strides) > 0.5 and max(rows / columns, columns / rows) <= MOST_SKEW


def split(samples: Tensor, groups: int) -> Tensor:
    """`(groups · n, …)` → `(groups, n, …)`."""
    return samples.reshape(groups, -1, *samples.shape[1:])


Grid = TokenGrid | tuple[int, ...]


def _as_grid(network: nn.Module, grid: Grid) -> TokenGrid:
    return grid if isinstance(grid, TokenGrid) else TokenGrid(tuple(grid), _order(network))


def _order(network: nn.Module) -> str:
    return "HWT" if getattr(_config(network), "model_type", "") == "timesformer" else "THW"


def _find_grid(network: nn.Module, size: tuple[int, ...]) -> TokenGrid | None:
    """The network's `token_grid`, or as its configuration or a first convolution cuts patches."""
    if (own := getattr(network, "token_grid", None)) is not None:
        return _as_grid(network, own)
    patch = _patch_of_config(_config(network)) or _patch_of_convolution(network)
    if patch is None:
        return None
    cells = tuple(whole // part for whole, part in zip(size, patch[-len(size) :], strict=True))
    return TokenGrid(cells, _order(network)) if min(cells) > 0 else None


def _config(network: nn.Module) -> Any:
    """The configuration of a network, or of one inside it, that tells the size of a patch."""
    configs = (getattr(module, "config", None) for module in network.modules())
    return next((c for c in configs if hasattr(c, "patch_size") or hasattr(c, "tubelet_size")), None)


def _patch_of_config(config: Any) -> tuple[int, ...] | None:
    """`(frames, rows, columns)` of a patch: `patch_size` with `tubelet_size`, one of which may tell all."""
    patch, tubelet = getattr(config, "patch_size", None), getattr(config, "tubelet_size", None)
    if isinstance(tubelet, tuple | list):
        return tuple(tubelet)
    if patch is None:
        return None
    sides = tuple(patch) if isinstance(patch, tuple | list) else (patch, patch)
    return sides if len(sides) == 3 else (tubelet or 1, *sides)


def _patch_of_convolution(network: nn.Module) -> tuple[int, ...] | None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            cuts = module.kernel_size == module.stride and module.kernel_size[-1] > 1
            return (1, *module.kernel_size)[-3:] if cuts else None
    return None

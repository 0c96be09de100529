"""Rearrange what layers return, token sequences included, as maps over the network's input."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from torch import Size, Tensor, nn

from glocal.attribution.inputs.axes import layout_of
from glocal.attribution.inputs.network_inputs import InputName, Inputs, videos
from glocal.errors import UsageError

MOST_EXTRA_TOKENS = 16
"""Most tokens before those of the grid: class, distillation and register tokens."""
MOST_SKEW = 1.3
"""Largest ratio between the strides of a map's rows and columns."""


@dataclass(frozen=True)
class TokenGrid:
    """How a sequence of tokens lies over a clip.

    Attributes:
        size: tokens along `(T, H, W)`, or `(H, W)` of an image.
        order: the axes as the tokens run through them, the last one fastest; TimeSformer has `"HWT"`.

    Raises:
        UsageError: a size or an order is impossible.
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
        """Number of tokens before those of the grid in `(B, N, C)`; None if N does not fit the grid."""
        more = tokens[1] - prod(self.size)
        return more if 0 <= more <= MOST_EXTRA_TOKENS else None

    def fold(self, tokens: Tensor) -> Tensor | None:
        """Rearrange `(B, N, C)` as `(B, C, T, H, W)` without the extra tokens; None if N does not fit."""
        extra = self.extra(tokens.shape)
        if extra is None:
            return None
        axes = "THW"[-len(self.size) :]
        order = [axis for axis in self.order if axis in axes]
        sides = [self.size[axes.index(axis)] for axis in order]
        cells = tokens[:, extra:].reshape(len(tokens), *sides, -1)
        return cells.permute(0, -1, *(1 + order.index(axis) for axis in axes))


@dataclass(frozen=True)
class OutputLayout:
    """How the outputs of a network's layers lie over its input.

    Attributes:
        batch: number of samples of the input.
        size: `(T, H, W)` or `(H, W)` of the input.
        grid: of the tokens, if the network has any.
    """

    batch: int
    size: tuple[int, ...]
    grid: TokenGrid | None = None

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
        size = max(
            tuple(t.shape[layout.index(a)] for a in "THW") if t.dim() == 5 else tuple(t.shape[2:])
            for t in maps
        )
        if grid is not None:
            return cls(len(maps[0]), size, _as_grid(network, grid))
        return cls(len(maps[0]), size, _find_grid(network, size))

    def with_grid_of(self, result: Any) -> "OutputLayout":
        """The same, with the grid `(T, H, W)` where a module returns one beside its tokens, as MViT does."""
        match result:
            case (Tensor(), (int(frames), int(rows), int(columns))):
                return replace(self, grid=TokenGrid((frames, rows, columns)))
        return self

    def fold(self, output: Tensor, module: nn.Module) -> Tensor | None:
        """Rearrange the output of `module` as `(B, C, T_k, H_k, W_k)`, or `(B, C, H_k, W_k)` for images.

        The output is a map with channels first or last, of the clip or of each of its frames as a separate
        sample `(B·T, …)`; or tokens `(B, N, C)`. The result is None for anything else.
        """
        if output.dim() not in (3, 4, 5):
            return None
        if len(self.size) == 3 and self._frames_are_samples(output):
            frames = self._of_a_frame(len(output)).fold(output, module)
            return None if frames is None else split(frames, self.batch).transpose(1, 2)
        if len(output) != self.batch:
            return None
        if output.dim() == 3:
            return self.grid.fold(output) if self.grid else None
        if len(self.size) == 3 and output.dim() == 4:
            frame_layout = self._of_a_frame(self.batch)
            folded = frame_layout.fold(output, module)
            return None if folded is None or not frame_layout._fits(folded.shape[2:]) else folded.unsqueeze(2)
        if output.dim() != len(self.size) + 2:
            return None
        return output.movedim(-1, 1) if self._channels_last(output.shape, module) else output

    def _frames_are_samples(self, output: Tensor) -> bool:
        frames = len(output) // self.batch
        possible = {self.size[0], *(self.grid.size[:1] if self.grid else ())}
        return frames > 1 and frames * self.batch == len(output) and frames in possible

    def _of_a_frame(self, batch: int) -> "OutputLayout":
        return OutputLayout(batch, self.size[-2:], self.grid and self.grid.rows_and_columns)

    def _channels_last(self, shape: Size, module: nn.Module) -> bool:
        """Whether a map is `(B, T, H, W, C)`: only that fits the clip, or its last axis is normalised."""
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


def is_attention(x: Tensor) -> bool:
    """Whether `x` is an attention matrix `(…, N, N)`: not negative, with rows that sum to 1."""
    if x.dim() not in (3, 4) or x.shape[-1] != x.shape[-2] or x.shape[-1] == 1 or not x.is_floating_point():
        return False
    x = x[:1].detach()
    return bool((x >= 0).all()) and bool(((x.float().sum(-1) - 1).abs() < 1e-2).all())


def split(samples: Tensor, groups: int) -> Tensor:
    """Reshape `(groups · n, …)` to `(groups, n, …)`."""
    return samples.reshape(groups, -1, *samples.shape[1:])


Grid = TokenGrid | tuple[int, ...]
"""A token grid, or its size where the tokens run through time, rows and columns in this order."""


def _as_grid(network: nn.Module, grid: Grid) -> TokenGrid:
    return grid if isinstance(grid, TokenGrid) else TokenGrid(tuple(grid), _order(network))


def _order(network: nn.Module) -> str:
    return "HWT" if getattr(_config(network), "model_type", "") == "timesformer" else "THW"


def _find_grid(network: nn.Module, size: tuple[int, ...]) -> TokenGrid | None:
    """The network's `token_grid`, or the grid of the patches of its configuration or first convolution."""
    if (grid := getattr(network, "token_grid", None)) is not None:
        return _as_grid(network, grid)
    patch = _patch_of_config(_config(network)) or _patch_of_convolution(network)
    if patch is None:
        return None
    cells = tuple(whole // part for whole, part in zip(size, patch[-len(size) :], strict=True))
    return TokenGrid(cells, _order(network)) if min(cells) > 0 else None


def _config(network: nn.Module) -> Any:
    """The configuration of a network, or of a module inside it, that has the size of a patch."""
    configs = (getattr(module, "config", None) for module in network.modules())
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
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            cuts = module.kernel_size == module.stride and module.kernel_size[-1] > 1
            return (1, *module.kernel_size)[-3:] if cuts else None
    return None

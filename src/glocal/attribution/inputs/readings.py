"""Ways in which the outputs of a layer can lie over the input, as far as their shapes tell."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import prod
from typing import NamedTuple

from torch import Size, Tensor, nn

from glocal.attribution.inputs.token_grid import OutputLayout, TokenGrid

MOST_SKEW = 1.3
"""Largest ratio between the strides of a map's rows and columns."""

VIDEO_PATTERNS = (
    *("C T H W", "C H W", "T H W C", "H W C", "T C H W"),
    *("THW C", "HW C", "T HW C", "HW T C", "C THW", "C HW", "T C HW", "T C T H W", "T T H W C"),
)
"""What can lie on the axes of an output that are longer than 1: channels, frames, rows, columns, tokens."""
IMAGE_PATTERNS = ("C H W", "H W C", "HW C", "C HW")
VOLUMES = (nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d)
PICTURES = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


@dataclass(frozen=True)
class Reading:
    """How the outputs of a layer for one sample, stacked over its calls `(K, …)`, lie over the input.

    Attributes:
        axes: for each axis what lies on it, `"C"`, `"T"`, `"H"` or `"W"`; several, the last one fastest,
            where it is tokens; nothing where its size is 1.
        grid: of the tokens.
        skipped: number of tokens before those of the grid.
        extra: number of tokens that are not on the grid.
        is_sure: whether the shapes leave no doubt.
    """

    axes: tuple[str, ...]
    grid: TokenGrid | None = None
    skipped: int = 0
    extra: int = 0
    is_sure: bool = True

    @property
    def tokens_axis(self) -> int | None:
        """The axis that is tokens."""
        return next((axis for axis, letters in enumerate(self.axes) if len(letters) > 1), None)

    @property
    def has_tokens(self) -> bool:
        """Whether an axis is tokens."""
        return self.tokens_axis is not None

    @property
    def folds_frames(self) -> bool:
        """Whether frames are calls or samples of their own."""
        return "T" in self.axes[:2]

    def view(self, outputs: Tensor) -> Tensor:
        """Rearrange outputs `(B, K, …)` as a view `(B, C, …, H, W)` with no, one or two axes of time."""
        letters: tuple[str, ...] = ()
        sides: tuple[int, ...] = ()
        for axis, on_axis in enumerate(self.axes, 1):
            letters += tuple(on_axis)
            if len(on_axis) > 1:
                cells = tuple(self._side(letter) for letter in on_axis)
                outputs = outputs.narrow(axis, self.skipped, prod(cells))
                sides += cells
            elif on_axis:
                sides += (outputs.shape[axis],)
        order = sorted(range(len(letters)), key=lambda i: "CTHW".index(letters[i]))
        return outputs.reshape(len(outputs), *sides).permute(0, *(1 + i for i in order))

    def fold(self, outputs: Tensor, *, video: bool) -> Tensor:
        """Rearrange outputs `(B, K, …)` as `(B, C, T', H', W')`, or `(B, C, H', W')` for images."""
        view = self.view(outputs)
        return view.flatten(2, -3) if view.dim() > 4 else view.unsqueeze(2) if video else view

    def shape(self, stacked: Sequence[int], *, video: bool) -> tuple[int, ...]:
        """`(C, T', H', W')` or `(C, H', W')` of outputs `(K, …)`."""
        sides = dict.fromkeys("CTHW" if video else "CHW", 1)
        for length, letters in zip(stacked, self.axes, strict=True):
            for letter in letters:
                sides[letter] *= self._side(letter) if len(letters) > 1 else length
        return tuple(sides.values())

    def _side(self, letter: str) -> int:
        assert self.grid is not None, "only tokens have several letters on an axis"
        return self.grid.size["THW"[-len(self.grid.size) :].index(letter)]


class Widths(NamedTuple):
    """Numbers of channels of the parts of a module, by where these have them."""

    volumes: frozenset[int]
    pictures: frozenset[int]
    last: frozenset[int]

    @classmethod
    def of(cls, module: nn.Module) -> "Widths":
        """Those of convolutions and batch norms, and of layer norms and linear layers, in a module."""
        volumes: set[int] = set()
        pictures: set[int] = set()
        last: set[int] = set()
        for part in module.modules():
            if isinstance(part, nn.LayerNorm):
                last.add(part.normalized_shape[-1])
            elif isinstance(part, nn.Linear):
                last.add(part.out_features)
            elif isinstance(part, (*VOLUMES, *PICTURES)):
                width = getattr(part, "out_channels", getattr(part, "num_features", None))
                if isinstance(width, int):
                    (volumes if isinstance(part, VOLUMES) else pictures).add(width)
        return cls(frozenset(volumes), frozenset(pictures), frozenset(last))

    def allow(self, reading: Reading, stacked: Sequence[int]) -> bool:
        """Whether one of the parts has as many channels, at the same place."""
        axis = reading.axes.index("C")
        after = "".join(reading.axes[axis + 1 :])
        return stacked[axis] in (self.volumes if after == "THW" else self.pictures if after else self.last)


def possible_readings(
    stacked: Sequence[int],
    layout: OutputLayout,
    module: nn.Module,
    network: nn.Module,
    *,
    samples_axis: int = 1,
) -> list[Reading]:
    """The readings of outputs `(K, …)` of `module` for one sample that shapes allow, the usual ones first.

    Args:
        stacked: shape of the outputs, stacked over the K calls of the module.
        layout: of the input.
        module: whose convolutions and norms tell where its channels are.
        network: around it, whose parts tell where an activation function has its channels.
        samples_axis: the axis of the outputs along which the samples of a batch would lie.
    """
    possible = [
        reading
        for axes in _patterns(stacked, layout, samples_axis)
        for reading in _readings(axes, stacked, layout)
        if _may_be(reading, stacked, layout, samples_axis)
    ]
    video = len(layout.size) == 3
    usual = ("", "", *("CTHW" if video else "CHW"))
    possible = [reading for reading in possible if not _leaves_more(reading, possible)]
    stated = _as_module_says(possible, stacked, module, network)
    fitting = [r for r in stated if r.has_tokens or fits(r.shape(stacked, video=video)[1:], layout.size)]
    readings = fitting or [r for r in stated if r.axes == usual]
    if len(readings) == 1 and not _needs_proof(readings[0], layout):
        return readings
    return [Reading(r.axes, r.grid, r.skipped, r.extra, is_sure=False) for r in readings]


def _patterns(stacked: Sequence[int], layout: OutputLayout, samples_axis: int) -> Iterator[tuple[str, ...]]:
    """What may lie on each axis: a pattern, with nothing on some axes of size 1."""
    calls, *shape = stacked
    ones = [axis for axis, length in enumerate(shape) if length == 1]
    if samples_axis and len(shape) >= samples_axis and shape[samples_axis - 1] == 1:
        ones.remove(samples_axis - 1)
        certain: tuple[int, ...] = (samples_axis - 1,)
    else:
        certain = ()
    for pattern in VIDEO_PATTERNS if len(layout.size) == 3 else IMAGE_PATTERNS:
        letters = pattern.split()
        count = len(shape) - len(letters) - len(certain)
        if count < 0:
            continue
        for empty in combinations(ones, count):
            following = iter(letters)
            axes = ("" if axis in (*empty, *certain) else next(following) for axis in range(len(shape)))
            yield ("T" if calls > 1 else "", *axes)


def _readings(axes: tuple[str, ...], stacked: Sequence[int], layout: OutputLayout) -> Iterator[Reading]:
    """The readings of a pattern: where its tokens are those of the grid, in every order that is possible."""
    tokens = [(axis, letters) for axis, letters in enumerate(axes) if len(letters) > 1]
    if not tokens:
        yield Reading(axes)
        return
    ((axis, letters),) = tokens
    if layout.grid is None:
        return
    grid = layout.grid if letters == "THW" or len(layout.size) == 2 else layout.grid.rows_and_columns
    extra = grid.extra(Size((1, stacked[axis])))
    if extra is None or (len(letters) == 2 and len(grid.size) == 3):
        return
    orders = ["".join(letter for letter in grid.order if letter in letters)]
    if not layout.grid_is_stated and letters == "THW":
        orders = ["".join(order) for order in permutations("THW")]
    for order in orders:
        for skipped in layout.possible_skips(extra):
            yield Reading((*axes[:axis], order, *axes[axis + 1 :]), grid, skipped, extra)


def _may_be(reading: Reading, stacked: Sequence[int], layout: OutputLayout, samples_axis: int) -> bool:
    """Whether a reading has channels, rows and columns on axes of their own, and not too many frames."""
    video = len(layout.size) == 3
    if reading.axes[samples_axis] in ("C", "H", "W") or (reading.axes[0] and not video):
        return False
    frames_apart = reading.folds_frames or reading.axes.count("T") > 1 or reading.has_tokens
    return not (video and frames_apart and reading.shape(stacked, video=video)[1] > layout.size[0])


def _leaves_more(reading: Reading, others: Sequence[Reading]) -> bool:
    """Whether another reading of the tokens on the same axis leaves fewer of them out of the grid."""
    same_axis = [other for other in others if other.tokens_axis == reading.tokens_axis]
    return reading.has_tokens and any(other.extra < reading.extra for other in same_axis)


def fits(sides: Iterable[int], size: Sequence[int]) -> bool:
    """Whether a map of `sides` can lie over an input of `size`: not finer, and about as wide as high."""
    strides = [whole / part for whole, part in zip(size, sides, strict=True)]
    rows, columns = strides[-2:]
    return min(strides) > 0.5 and max(rows / columns, columns / rows) <= MOST_SKEW


def _as_module_says(
    readings: list[Reading], stacked: Sequence[int], module: nn.Module, network: nn.Module
) -> list[Reading]:
    """Those of the readings that agree with the module and the widths of its parts, if any do.

    For an activation function they are those of the network.
    """
    if len(readings) < 2:
        return readings
    if isinstance(module, VOLUMES):
        return [r for r in readings if "".join(r.axes).endswith("CTHW") and not r.has_tokens] or readings
    if isinstance(module, PICTURES):
        return [r for r in readings if r.axes[-3:] == ("C", "H", "W")] or readings
    is_activation = type(module).__module__ == "torch.nn.modules.activation"
    widths = Widths.of(network if is_activation else module)
    return [reading for reading in readings if widths.allow(reading, stacked)] or readings


def _needs_proof(reading: Reading, layout: OutputLayout) -> bool:
    """Whether a number alone makes this reading: frames or places as samples, or an order of tokens."""
    if (
        layout.size[0] > 1
        and len(layout.size) == 3
        and (reading.axes[0] or reading.axes[1] in ("T", "HW", "WH"))
    ):
        return True
    order_is_open = not layout.grid_is_stated and (reading.extra or any(len(x) == 3 for x in reading.axes))
    return reading.has_tokens and bool(order_is_open or reading.axes[-1] != "C")

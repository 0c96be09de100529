"""Find out where each cell of a layer's output looks, by small changes of the clip.

Noise is added to the clip, once with the same strength everywhere, and once for each axis with a variance
that grows along it from 0 to 1. While the changes are small, the squared change of a cell is the sum over
what it sees, so that the ratio of the two is the mean position along the axis of what it sees, from 0 to 1.

Even areas of the clip, such as black frames, get a texture first: a normalisation blows small noise on them
up, so that the changes are not small.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from glocal.attribution.inputs.network_inputs import (
    InputName,
    Inputs,
    replace_tensors,
    tensors,
    video_positions,
)
from glocal.attribution.inputs.readings import Reading

LEAST_EVIDENCE = 0.3
"""Least score of a reading that is accepted; cells that look nowhere in particular have about 0."""
HALF_SLOPE = 0.15
"""Slope of positions over cells that halves a score, as a share of that of cells that see one place."""

NOISE_SEED = 7_346_951_208
TEXTURE = 0.1
"""Standard deviation of the texture, as a share of the clip's."""

EVEN = 1e-5
"""Largest change between neighbours that is none, as a share of the clip's largest value."""

Run = Callable[[Inputs], dict[str, list[Tensor]]]
"""Runs the network: the outputs of each layer, call by call."""


class Changes(NamedTuple):
    """Squared changes of a layer's outputs `(K, …)` for one sample: by even noise, and by graded noise."""

    even: Tensor
    graded: dict[str, Tensor]


def probe(run: Run, clips: Inputs, axes: str, input: InputName = None) -> dict[str, Changes]:
    """Run the network `2 + len(axes)` times: each layer's changes by noise that is graded along `axes`.

    Args:
        run: of one sample.
        clips: one sample, canonical.
        axes: of `"T"`, `"H"` and `"W"`.
        input: the one of several inputs that is explained.
    """
    clips = _textured(clips, input)
    reference = _stacked(run(clips))
    even = _squares(run(_with_noise(clips, "", input)), reference)
    graded = {axis: _squares(run(_with_noise(clips, axis, input)), reference) for axis in axes}
    return {
        name: Changes(change, {axis: graded[axis][name] for axis in axes})
        for name, change in even.items()
        if all(name in of_axis for of_axis in graded.values())
    }


def stack(outputs: Sequence[Tensor]) -> Tensor | None:
    """Outputs of several calls as one tensor `(K, …)`, if they have the same shape."""
    if len({output.shape for output in outputs}) != 1:
        return None
    return outputs[0][None] if len(outputs) == 1 else torch.stack(list(outputs))


def _stacked(outputs: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
    stacks = {name: stack(of_layer) for name, of_layer in outputs.items()}
    return {name: stacked for name, stacked in stacks.items() if stacked is not None}


def _squares(outputs: Mapping[str, Sequence[Tensor]], reference: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: (stacked.double() - reference[name].double()).square()
        for name, stacked in _stacked(outputs).items()
        if name in reference and reference[name].shape == stacked.shape
    }


def _with_noise(clips: Inputs, axis: str, input: InputName) -> Any:
    """`clips` with the same small noise each time, graded along an axis, or even."""
    values = tensors(clips)
    for position in video_positions(clips, input):
        values[position] = values[position] + _noise(values[position], axis)
    return replace_tensors(clips, values)


def _textured(clips: Inputs, input: InputName) -> Any:
    """`clips` with noise on even areas that is large beside that of `_with_noise`, and not the same."""
    values = tensors(clips)
    for position in video_positions(clips, input):
        value = values[position]
        texture = TEXTURE * _spread(value) * noise_like(value, NOISE_SEED + 1)
        values[position] = torch.where(_is_even(value), value + texture, value)
    return replace_tensors(clips, values)


def _is_even(clip: Tensor) -> Tensor:
    """Where rows and columns do not change, in the shape of `clip`."""
    is_even = torch.ones_like(clip, dtype=torch.bool)
    least = EVEN * float(clip.abs().amax()) if clip.numel() else 0.0
    for dimension in (-1, -2):
        if clip.shape[dimension] > 1:
            same = clip.diff(dim=dimension).abs() <= least
            is_even &= torch.cat([same, same.narrow(dimension, -1, 1)], dimension)
    return is_even


def noise_like(clip: Tensor, seed: int = NOISE_SEED) -> Tensor:
    """Gaussian noise in the shape of `clip`, always the same, from a seed that no clip is made with."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(clip.shape, generator=generator).to(clip)


def _noise(clip: Tensor, axis: str) -> Tensor:
    noise = noise_like(clip)
    strength: float = torch.finfo(clip.dtype).eps ** 0.4 * _spread(clip)
    if axis and (dimension := clip.dim() - "WHT".index(axis) - 1) > 1 and clip.shape[dimension] > 1:
        grades = torch.linspace(0, 1, clip.shape[dimension]).sqrt().to(clip)
        noise = noise * grades.view(-1, *[1] * (clip.dim() - dimension - 1))
    return strength * noise


def _spread(clip: Tensor) -> float:
    """Standard deviation of a clip; of one that is even but for rounding, its largest value, at least 1."""
    spread = float(clip.float().std()) if clip.numel() > 1 else 0.0
    largest = float(clip.abs().amax()) if clip.numel() else 0.0
    return spread if spread > EVEN * largest else max(largest, 1.0)


def positions(changes: Changes, reading: Reading, axis: str, *, video: bool) -> Tensor:
    """Mean position `(n,)` in [0, 1] along an axis of what the n cells see; NaN where they see nothing."""
    even, graded = (reading.fold(x[None], video=video)[0] for x in (changes.even, changes.graded[axis]))
    dimension = even.dim() - "WHT".index(axis) - 1
    others = [other for other in range(even.dim()) if other != dimension]
    return (graded.sum(others) / even.sum(others)).cpu()


def evidence(changes: Changes, reading: Reading, axis: str, *, video: bool) -> float:
    """How well the cells of a reading lie along an axis: near 1 if each sees its own place, 0 if all see all.

    It is negative where they lie in the opposite order.
    """
    where = positions(changes, reading, axis, video=video)
    if len(where) < 2:
        return 1.0
    cells = torch.arange(len(where), dtype=where.dtype)[where.isfinite()]
    where = where[where.isfinite()]
    if len(where) < 2:
        return 0.0
    centred, order = where - where.mean(), cells - cells.mean()
    spread = float(centred.norm() * order.norm())
    if spread == 0:
        return 0.0
    product = float((centred * order).sum())
    slope = abs(product / float(order.square().sum()) * (int(cells[-1]) + 1))
    return (product / spread) ** 3 * slope / (slope + HALF_SLOPE)

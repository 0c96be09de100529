"""Find out how the outputs of a layer lie over the samples, frames, rows and columns of the input."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution.inputs.network_inputs import (
    InputName,
    Inputs,
    replace_tensors,
    tensors,
    video_positions,
    videos,
)
from glocal.attribution.inputs.probe import (
    LEAST_EVIDENCE,
    Changes,
    Run,
    evidence,
    noise_like,
    positions,
    probe,
    stack,
)
from glocal.attribution.inputs.readings import Reading, possible_readings
from glocal.attribution.inputs.token_grid import OutputLayout
from glocal.utils.random_state import fixed_seed

MOST_ROUNDING = 0.1
"""Distance to whole frames up to which all positions are rounded to them."""
LEAST_SHIFT = 0.25
"""Distance in frames from evenly spread positions from which on positions count as others."""
MOST_BENT = 0.2
"""Distance of positions from a line, as a share of that between frames, up to which they are on it."""
SAME = 0.02
"""Largest difference between a sample's activations alone and in a batch, as a share of their size."""


@dataclass(frozen=True)
class SamplesAxis:
    """Along which axis of outputs `(K, …)`, stacked over the calls of a layer, the samples of a batch lie.

    Attributes:
        axis: 0 for one or more calls a sample, 1 for the usual first axis of each output.
        is_fastest: whether the samples vary fastest along it, as in `(T·B, …)`.
    """

    axis: int = 1
    is_fastest: bool = False

    def split(self, outputs: Tensor, batch: int) -> Tensor:
        """Rearrange outputs as a view `(B, K, …)` of those of each sample, in the shape of a batch of one."""
        groups = outputs.shape[self.axis] // batch
        sizes = (groups, batch) if self.is_fastest else (batch, groups)
        shape = (*outputs.shape[: self.axis], *sizes, *outputs.shape[self.axis + 1 :])
        return outputs.reshape(shape).movedim(self.axis + self.is_fastest, 0)


USUAL = SamplesAxis()


@dataclass(frozen=True)
class LayerLayout:
    """How the outputs of one layer lie over the input.

    Attributes:
        batch: number of samples.
        samples: where these are among the outputs.
        reading: how the outputs of a sample lie over its frames, rows and columns.
        video: whether the input has frames.
        calls_alone: number of calls of the layer in a pass on one sample.
        is_reversed: whether the last frame comes first.
        frame_positions: where the frames of the map lie among those of the input, if not evenly spread.
    """

    batch: int
    samples: SamplesAxis
    reading: Reading
    video: bool
    calls_alone: int = 1
    is_reversed: bool = False
    frame_positions: Tensor | None = None

    def fold(self, outputs: Sequence[Tensor]) -> Tensor:
        """Rearrange the outputs of all calls as `(B, C, T', H', W')`, or `(B, C, H', W')` for images."""
        stacked = stack(outputs)
        assert stacked is not None, "layouts are found for outputs of one shape"
        folded = self.reading.fold(self.samples.split(stacked, self.batch), video=self.video)
        return folded.flip(2) if self.is_reversed else folded

    @property
    def knows_samples(self) -> bool:
        """Whether it is known where the samples of a larger batch would be."""
        return self.batch > 1 or not any(self.reading.axes[:2])

    @property
    def is_usual(self) -> bool:
        """Whether copies of the batch can be made along the first axis of the layer's only output."""
        return self.samples == USUAL and not self.reading.axes[0]

    def calls(self, batch: int) -> int:
        """Number of calls of the layer in a pass on a batch of another size."""
        return self.calls_alone * (batch if self.samples.axis == 0 else 1)

    def channels_of_samples(
        self, output: Tensor, call: int, calls: int, batch: int
    ) -> Iterator[tuple[int, Tensor]]:
        """Each sample with a part in the output of one call, and that part as a view `(C, …)`.

        Args:
            output: of the call.
            call, calls: its number, and the number of all.
            batch: number of samples of this pass.
        """
        if self.samples.axis == 0:
            sample = call % batch if self.samples.is_fastest else call * batch // calls
            yield sample, self._single_call(output[None, None])[0]
            return
        parts = self.samples.split(output[None], batch)
        yield from enumerate(self._single_call(parts))

    def _single_call(self, outputs: Tensor) -> Tensor:
        """A view `(B, C, …)` of the outputs `(B, 1, …)` of one call."""
        return replace(self.reading, axes=("", *self.reading.axes[1:])).view(outputs)


class LayoutFinder:
    """Finds the layouts of layers from a pass on the whole batch and, where in doubt, passes on one sample.

    Args:
        network: whose layers are looked at.
        run: runs it and gives the outputs of the layers, call by call.
        clips: of the pass on the whole batch; canonical.
        input: the one of several inputs that is explained.
        same_logits: tells whether a sample alone got the logits that it got in the batch.
    """

    def __init__(
        self,
        network: nn.Module,
        run: Callable[[Inputs], tuple[dict[str, list[Tensor]], Any]],
        clips: Inputs,
        input: InputName,
        same_logits: Callable[[Any], bool],
    ) -> None:
        self._run_all, self._clips, self._input = run, clips, input
        self._same_logits, self._network = same_logits, network
        self._sample: Inputs | None = None
        self._alone: dict[str, list[Tensor]] | None = None
        self._batch = len(videos(clips, input)[0])
        self.mixed: set[str] = set()
        """Layers whose outputs for a sample alone are others than in the batch."""

    def find(
        self,
        outputs: Mapping[str, list[Tensor]],
        layouts: Mapping[str, OutputLayout],
        modules: Mapping[str, nn.Module],
    ) -> dict[str, LayerLayout | None]:
        """Layer → its layout; None where its outputs lie in no known way over the input."""
        stacks = {name: stack(of_layer) for name, of_layer in outputs.items()}
        possible: dict[str, tuple[SamplesAxis, list[Reading]]] = {}
        for name, stacked in stacks.items():
            if stacked is not None:
                possible[name] = self._possible(name, stacked, layouts[name], modules[name])
        found: dict[str, LayerLayout | None] = dict.fromkeys(outputs)
        for name, (samples, readings) in possible.items():
            calls = len(outputs[name]) // (self._batch if samples.axis == 0 else 1)
            if readings:
                video = len(layouts[name].size) == 3
                found[name] = LayerLayout(self._batch, samples, readings[0], video, calls)
        return found | self._closer_look(found, possible, layouts)

    def _closer_look(
        self,
        found: Mapping[str, LayerLayout | None],
        possible: Mapping[str, tuple[SamplesAxis, list[Reading]]],
        layouts: Mapping[str, OutputLayout],
    ) -> dict[str, LayerLayout | None]:
        """The layouts that are in doubt: by the first sample, else by noise in its place, else None."""
        names = [n for n, layout in found.items() if layout is not None and not layout.reading.is_sure]
        looked: dict[str, LayerLayout | None] = dict.fromkeys(names)
        for sample in self._probes() if names else ():
            open_names = [name for name in names if looked[name] is None]
            if not open_names:
                break
            for name, changes in self._probe(sample, open_names, possible).items():
                layout = found[name]
                assert layout is not None, "others are not in doubt"
                looked[name] = _best(changes, possible[name][1], layout, layouts[name].size)
        return looked

    def _possible(
        self, name: str, stacked: Tensor, layout: OutputLayout, module: nn.Module
    ) -> tuple[SamplesAxis, list[Reading]]:
        """Where the samples of a layer are, and the possible readings of one."""
        calls, *shape = stacked.shape
        if self._batch == 1:
            readings = possible_readings(stacked.shape, layout, module, self._network)
            return USUAL, readings or possible_readings(
                stacked.shape, layout, module, self._network, samples_axis=0
            )
        if calls == 1 and shape and shape[0] == self._batch and self._batch not in shape[1:2]:
            return USUAL, possible_readings((1, 1, *shape[1:]), layout, module, self._network)
        alone = stack(self._outputs_alone().get(name, []))
        samples = None if alone is None else find_samples(stacked, alone, self._batch)
        if alone is None or samples is None:
            self.mixed.add(name)
            return USUAL, []
        readings = possible_readings(alone.shape, layout, module, self._network, samples_axis=samples.axis)
        return samples, readings

    def _outputs_alone(self) -> dict[str, list[Tensor]]:
        """Outputs of the layers for the first sample alone; none if the network cannot be run on it."""
        if self._alone is None:
            self._alone = {}
            for sample in first_samples(self._clips, self._input):
                with contextlib.suppress(Exception):  # of any kind: the network is not written for such sizes
                    outputs, result = self._run_all(sample)
                    if self._same_logits(result):
                        self._sample, self._alone = sample, outputs
                        break
        return self._alone

    def _probes(self) -> Iterator[Any]:
        """The first sample, and noise in its place, in case the network sees nothing in the sample."""
        if self._batch > 1:
            self._outputs_alone()
        sample = self._clips if self._batch == 1 else self._sample
        if sample is None:
            return
        yield sample
        values = tensors(sample)
        for position in video_positions(sample, self._input):
            values[position] = noise_like(values[position])
        yield replace_tensors(sample, values)

    def _probe(
        self,
        sample: Inputs,
        names: Sequence[str],
        possible: Mapping[str, tuple[SamplesAxis, list[Reading]]],
    ) -> dict[str, Changes]:
        """Changes of the layers `names` by noise on a sample, along the axes that are in doubt."""
        video = any(clip.dim() == 5 for clip in videos(sample, self._input))
        only_time = all(len(possible[name][1]) == 1 and not possible[name][1][0].has_tokens for name in names)
        axes = "T" if only_time and video else "THW" if video else "HW"

        def run(clips: Inputs) -> dict[str, list[Tensor]]:
            outputs, _ = self._run_all(clips)
            return {name: outputs[name] for name in names if name in outputs}

        return probe(_repeatable(run), sample, axes, self._input)


def first_samples(clips: Inputs, input: InputName) -> Iterator[Any]:
    """`clips` of the first sample alone: with that of all other inputs that may have a batch, or of fewer."""
    values = tensors(clips)
    batch, chosen = len(videos(clips, input)[0]), video_positions(clips, input)
    others = [i for i, x in enumerate(values) if i not in chosen and x.dim() and len(x) == batch]
    for count in range(len(others), -1, -1):
        for batched in combinations(others, count):
            cut = {*chosen, *batched}
            yield replace_tensors(clips, [x[:1] if i in cut else x for i, x in enumerate(values)])


def find_samples(stacked: Tensor, alone: Tensor, batch: int) -> SamplesAxis | None:
    """Where the samples of a batch are in outputs `(K, …)`, given those of the first sample alone.

    None if the first sample's outputs are not among those of the batch.
    """
    if stacked.dim() != alone.dim():
        return None
    longer = [axis for axis, (a, b) in enumerate(zip(stacked.shape, alone.shape, strict=True)) if a != b]
    if len(longer) != 1 or stacked.shape[longer[0]] != batch * alone.shape[longer[0]]:
        return None
    (axis,) = longer
    orders = [SamplesAxis(axis), SamplesAxis(axis, is_fastest=True)]
    stacked, wanted = stacked.detach(), alone.double()
    errors = [float((order.split(stacked, batch)[0].double() - wanted).norm()) for order in orders]
    best = orders[errors.index(min(errors))]
    if alone.shape[axis] == 1:
        return orders[0]
    return best if min(errors) <= SAME * float(wanted.norm()) else None


def _repeatable(run: Run) -> Run:
    """`run` with the same random numbers each time."""

    def repeated(clips: Inputs) -> dict[str, list[Tensor]]:
        with fixed_seed(0, list({x.device for x in tensors(clips)})):
            return run(clips)

    return repeated


def _best(
    changes: Changes, readings: Sequence[Reading], layout: LayerLayout, size: tuple[int, ...]
) -> LayerLayout | None:
    """`layout` with the reading that has the most evidence, if it is enough."""

    def score(reading: Reading) -> float:
        scores = {axis: evidence(changes, reading, axis, video=layout.video) for axis in changes.graded}
        if reading.folds_frames and "T" in scores:
            scores["T"] = abs(scores["T"])
        return min(scores.values())

    scores = [score(reading) for reading in readings]
    best = max(scores)
    if best < LEAST_EVIDENCE:
        return None
    reading = readings[scores.index(best)]
    if not (layout.video and reading.folds_frames):
        return replace(layout, reading=reading)
    is_reversed = evidence(changes, reading, "T", video=True) < 0
    where = _frame_positions(changes, reading, size[0], is_reversed)
    return replace(layout, reading=reading, is_reversed=is_reversed, frame_positions=where)


def _frame_positions(changes: Changes, reading: Reading, frames: int, is_reversed: bool) -> Tensor | None:
    """Frame numbers at which the frames of a map lie, if they are fewer and not evenly spread.

    Where a layer mixes frames, as attention over time does, all positions are drawn to the middle, and those
    of evenly spread frames are taken.
    """
    where = positions(changes, reading, "T", video=True)
    where = (where.flip(0) if is_reversed else where) * (frames - 1)
    count = len(where)
    even = (torch.arange(count) + 0.5) * frames / count - 0.5
    if count == frames or not where.isfinite().all() or not bool((where.diff() > 0).all()):
        return None
    if float((where - where.round()).abs().max()) <= MOST_ROUNDING:
        where = where.round()
    elif _is_drawn_together(where, even):
        return None
    return where.float() if float((where - even).abs().max()) > LEAST_SHIFT else None


def _is_drawn_together(where: Tensor, even: Tensor) -> bool:
    """Whether positions are those of evenly spread frames, drawn to their middle."""
    deviation, order = where - even.mean(), even - even.mean()
    slope = float((deviation * order).sum() / order.square().sum())
    most = MOST_BENT * float(even.diff().mean())
    return slope < 1 and float((deviation - slope * order).abs().max()) <= most

"""What an input method is given: the network, the clips, the class, and a score to ask for."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from glocal.attribution.aggregation import upsampler
from glocal.attribution.inputs.network_inputs import Inputs, Times, call, channels_last, frame_times
from glocal.attribution.inputs.network_inputs import tensors as tensors_of
from glocal.attribution.inputs.token_grid import Grid
from glocal.attribution.layers import LayerNames, find_layers
from glocal.attribution.tape import Tape, find_logits, record
from glocal.attribution.targets import Target, class_scores


@dataclass(frozen=True)
class Question:
    """The arguments of `attribute` that say what is asked."""

    network: nn.Module
    clips: Inputs
    layers: LayerNames | None
    target: Target
    counterfactual: bool
    score: str
    output: Callable[[Any], Tensor] | None
    grid: Grid | None


@dataclass
class Call:
    """One question to an input method: why do `clips` get their score for `classes`?

    Attributes:
        question: what `attribute` was asked.
        clips: the network's input, on its device and in its dtype; `videos` are the tensors in it that a
            map can lie on.
        classes: `(B,)`.
        logits: `(B, classes)` of `clips`.
        options: the method's options, which the function also gets as keyword arguments.
        name: the method's.
        progress: whether `steps` shows a bar.
    """

    question: Question
    clips: Inputs
    classes: Tensor
    logits: Tensor
    options: Mapping[str, Any]
    name: str
    progress: bool
    _laid_out: bool = field(default=True, init=False)

    @property
    def network(self) -> nn.Module:
        """In eval mode, its parameters without gradients."""
        return self.question.network

    @cached_property
    def layers(self) -> dict[str, nn.Module]:
        """Name → module of the layers asked for; by default the output of every stage before pooling."""
        return find_layers(self.network, self.question.layers, self.clips, self.question.grid)

    @property
    def videos(self) -> list[Tensor]:
        """The tensors `(B, C, T, H, W)` or `(B, C, H, W)` among the inputs."""
        return [tensor for tensor in tensors_of(self.clips) if is_map(tensor)]

    @property
    def size(self) -> tuple[int, ...]:
        """`(T, H, W)` or `(H, W)` of the largest of the videos."""
        return max(tuple(video.shape[2:]) for video in self.videos)

    @cached_property
    def times(self) -> Times:
        """When the frames of slower videos happen, see `frame_times`."""
        return frame_times(self.clips)

    def at_size(self, maps: Tensor) -> Tensor:
        """`maps` `(N, T, H, W)` or `(N, H, W)`, on any grid, at `size`."""
        return maps if maps.shape[1:] == self.size else upsampler(self.size, self.times)(maps)

    def on_video(self, maps: Tensor, video: Tensor) -> Tensor:
        """`maps` on any grid at the frames and pixels of one of the videos."""
        full = self.at_size(maps)
        if full.shape[1:] == video.shape[2:]:
            return full
        if video.dim() == 5 and video.shape[2] in self.times:
            full = full[:, self.times[video.shape[2]].round().long().to(full.device)]
        return upsampler(video.shape[2:])(full)

    def score(self, clips: Inputs) -> Tensor:
        """`(N·B,)`, differentiable: the score of the class explained, negated for a counterfactual.

        `clips` are as the network takes them, or N copies of the batch after one another.
        """
        return self.pick(self.run(clips))

    def score_many(self, *videos: Tensor) -> Tensor:
        """`score` of the clips with N copies of each of their videos, for methods of many passes.

        On a processor the copies are laid out channels last, which is faster there, unless the network cannot
        take that, as one that calls `view` on what its convolutions return.
        """
        if self._laid_out and videos[0].device.type == "cpu":
            try:
                return self.score(self.replaced(*map(channels_last, videos)))
            except RuntimeError:
                self._laid_out = False
        return self.score(self.replaced(*videos))

    def run(self, clips: Inputs) -> Tensor:
        """The logits of `clips`, differentiable."""
        return find_logits(call(self.network, clips), self.question.output)

    def scores(self, clips: Inputs) -> Tensor:
        """`(B', classes)`, differentiable: the scores of all classes, negated for a counterfactual."""
        scores = class_scores(self.run(clips).float(), self.question.score)
        return -scores if self.question.counterfactual else scores

    def pick(self, logits: Tensor) -> Tensor:
        """`(N·B,)`: the score of the class explained out of `logits` `(N·B, classes)`."""
        classes = self.classes.repeat(len(logits) // len(self.classes))
        scores = class_scores(logits.float(), self.question.score).gather(1, classes[:, None])[:, 0]
        return -scores if self.question.counterfactual else scores

    def replaced(self, *videos: Tensor) -> Inputs:
        """`clips` with `videos` in the places of its own."""
        return replace_videos(self.clips, list(videos))

    def record(self) -> AbstractContextManager[Tape]:
        """A context with the `Tape` of one forward pass: activations of `layers`, and gradients."""
        return record(self.network, self.clips, self.layers, self.question.output, self.question.grid)

    def activations(self) -> dict[str, Tensor]:
        """Layer → `(B, C_k, T_k, H_k, W_k)`, by one forward pass that keeps no graph."""
        with torch.no_grad(), self.record() as tape:
            return {name: activation.detach() for name, activation in tape.activations.items()}

    def steps(self, count: int, batch: int, text: str = "") -> Iterator[tuple[int, int]]:
        """`(start, stop)` of each batch of `count` passes, behind a progress bar where one is shown."""
        starts = range(0, count, batch)
        label = " ".join([self.name, text]).strip()
        bar = tqdm(starts, desc=label, unit="batch", leave=False, disable=None if self.progress else True)
        return ((start, min(start + batch, count)) for start in bar)


def is_map(tensor: Tensor) -> bool:
    """Whether it is `(B, C, T, H, W)` or `(B, C, H, W)`, something that attention can lie on."""
    return tensor.dim() in (4, 5) and tensor.is_floating_point()


def replace_videos(inputs: Inputs, videos: list[Tensor]) -> Inputs:
    """`inputs` with `videos`, in order, in the places of the tensors that are maps."""
    following = iter(videos)
    values = [next(following) if is_map(tensor) else tensor for tensor in tensors_of(inputs)]
    if isinstance(inputs, Tensor):
        return values[0]
    if isinstance(inputs, Mapping):
        return dict(zip(inputs, values, strict=True))
    return tuple(values) if isinstance(inputs, tuple) else values

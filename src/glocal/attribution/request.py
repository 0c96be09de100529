"""What an input method is asked: the network, its clips, the class to explain, and how to score it."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from glocal.attribution.aggregation import upsampler
from glocal.attribution.inputs.layer_layout import LayerLayout
from glocal.attribution.inputs.network_inputs import (
    InputName,
    Inputs,
    call,
    channels_last,
    copies,
    copies_at_once,
    frame_positions,
    replace_tensors,
    tensors,
    video_positions,
    videos,
)
from glocal.attribution.inputs.token_grid import Grid
from glocal.attribution.layers import LayerNames, find_layers
from glocal.attribution.tape import Tape, find_logits, record
from glocal.attribution.targets import Score, class_scores
from glocal.errors import UsageError
from glocal.utils.resources import raise_if_lacking


@dataclass
class AttributionRequest:
    """A question to an input method: why do `clips` get their score for the classes `targets`?

    B is the size of the batch, N a number of copies of it.

    Attributes:
        network: in eval mode, its parameters without gradients.
        clips: the network's input, on its device and in its dtype; see `videos`.
        method: name of the method, for messages and progress bars.
        layer_names: the layers as the caller named them; see `layers`.
        counterfactual: explain what speaks against the class; the scores below are negated.
        score_type: a name in `SCORES`, or a function from logits to scores.
        output: takes the logits out of what the network returns.
        grid: of the network's tokens, where the network does not tell it.
        progress: whether `batches` shows a progress bar.
        input: the one of several inputs to explain; None for the video among them.
        targets: `(B,)`, the class to explain for each sample.
        logits: `(B, num_classes)` of `clips`.
        layouts: layer → how its outputs lie over the clips, once `record` has run.
    """

    network: nn.Module
    clips: Inputs
    method: str
    layer_names: LayerNames | None = None
    counterfactual: bool = False
    score_type: Score = "logit"
    output: Callable[[Any], Tensor] | None = None
    grid: Grid | None = None
    progress: bool = False
    input: InputName = None
    targets: Tensor = field(init=False)
    logits: Tensor = field(init=False)
    layouts: dict[str, LayerLayout] = field(default_factory=dict, init=False)
    _takes_channels_last: bool = field(default=True, init=False)

    def with_targets(self, targets: Tensor, logits: Tensor) -> "AttributionRequest":
        """The same request for the classes `targets` `(B,)`, which got `logits` `(B, num_classes)`."""
        request = copy.copy(self)
        request.targets, request.logits = targets, logits
        return request

    @cached_property
    def layers(self) -> dict[str, nn.Module]:
        """Name → module of the layers to explain; by default the output of every stage before pooling."""
        return find_layers(self.network, self.layer_names, self.clips, self.grid, input=self.input)

    @property
    def videos(self) -> list[Tensor]:
        """The clips `(B, C, T, H, W)` or images `(B, C, H, W)` among the tensors in `clips` to explain."""
        return videos(self.clips, self.input)

    @property
    def _video_positions(self) -> list[int]:
        return video_positions(self.clips, self.input)

    def with_videos(self, *videos: Tensor) -> Inputs:
        """`clips` with `videos` in the places of its own.

        Where these are N copies of the batch after one another, so are other inputs that have a batch.
        """
        samples = torch.arange(len(self.videos[0]), device=videos[0].device)
        return self.with_samples(videos, samples.repeat(len(videos[0]) // len(samples)))

    def with_samples(self, videos: Sequence[Tensor], samples: Tensor) -> Inputs:
        """`clips` with `videos` `(M, …)` in the places of its own, where the m-th is of sample `samples[m]`.

        Args:
            videos: in place of `self.videos`.
            samples: `(M,)`, for the other inputs that have a batch.
        """
        values = tensors(self.clips)
        for position, video in zip(self._video_positions, videos, strict=True):
            values[position] = video
        if len(samples) != len(self.videos[0]):
            for position in self.batched_inputs:
                values[position] = values[position][samples]
        inputs: Inputs = replace_tensors(self.clips, values)
        return inputs

    @cached_property
    def batched_inputs(self) -> tuple[int, ...]:
        """Positions of the other tensors in `clips` that have a value for each sample.

        Whether the first axis of a tensor of B values is the batch is found out by running the network on two
        copies of the batch, with and without two copies of it.

        Raises:
            UsageError: the network cannot be run on two copies.
        """
        values = tensors(self.clips)
        batch = len(self.videos[0])
        possible = [
            i for i, x in enumerate(values) if i not in self._video_positions and x.dim() and len(x) == batch
        ]
        if not possible:
            return ()
        expected = copies(self.logits, 2)
        tolerance = 64 * torch.finfo(expected.dtype).eps
        for count in range(len(possible) + 1):
            for positions in combinations(possible, count):
                copied = {*self._video_positions, *positions}
                try:
                    doubled = [copies(x, 2) if i in copied else x for i, x in enumerate(values)]
                    with torch.no_grad():
                        logits = self.logits_of(replace_tensors(self.clips, doubled))
                except Exception as problem:  # of any kind: the network is not written for such sizes
                    raise_if_lacking(problem)
                    continue
                atol = tolerance * max(1.0, float(expected.abs().max()))
                if logits.shape == expected.shape and torch.allclose(
                    logits, expected, rtol=tolerance, atol=atol
                ):
                    return positions
        raise UsageError(
            f"method '{self.method}' runs the network on several copies of its inputs at once, and this "
            "network gives other logits for two copies than for one; choose a method that needs no copies, "
            "such as gradcam."
        )

    @property
    def size(self) -> tuple[int, ...]:
        """`(T, H, W)` or `(H, W)` of the largest of the videos."""
        return max(tuple(video.shape[2:]) for video in self.videos)

    @cached_property
    def frame_positions(self) -> dict[int, Tensor]:
        """Where the frames of slower videos and of layers of some frames lie among those of the fastest.

        See `frame_positions`; those of layers are known once `record` has run.
        """
        return dict(frame_positions(self.clips, self.input))

    def upsample(self, maps: Tensor) -> Tensor:
        """`maps` `(N, T, H, W)` or `(N, H, W)`, on any grid, at `size`."""
        return maps if maps.shape[1:] == self.size else upsampler(self.size, self.frame_positions)(maps)

    def resize_to(self, video: Tensor, maps: Tensor) -> Tensor:
        """`maps` on any grid at the frames and pixels of one of the videos."""
        full = self.upsample(maps)
        if full.shape[1:] == video.shape[2:]:
            return full
        if video.dim() == 5 and video.shape[2] in self.frame_positions:
            full = full[:, self.frame_positions[video.shape[2]].round().long().to(full.device)]
        return upsampler(video.shape[2:])(full)

    def logits_of(self, clips: Inputs) -> Tensor:
        """Run the network: the logits `(N·B, num_classes)` of `clips`, differentiable."""
        return find_logits(call(self.network, clips), self.output)

    def score(self, clips: Inputs) -> Tensor:
        """Run the network: the score `(N·B,)` of the class explained, differentiable.

        `clips` are as the network takes them, or N copies of the batch after one another.
        """
        return self.target_score(self.logits_of(clips))

    def score_videos(self, *videos: Tensor) -> Tensor:
        """`score` of the clips with N copies of each of their videos, for methods of many passes.

        On a CPU the copies are laid out channels last, which is faster there, unless the network cannot
        take that, as one that calls `view` on what its convolutions return.
        """
        if self._takes_channels_last and videos[0].device.type == "cpu":
            try:
                return self.score(self.with_videos(*map(channels_last, videos)))
            except RuntimeError:
                self._takes_channels_last = False
        return self.score(self.with_videos(*videos))

    def target_score(self, logits: Tensor) -> Tensor:
        """The score `(N·B,)` of the class explained, from logits `(N·B, num_classes)`."""
        targets = self.targets.repeat(len(logits) // len(self.targets))
        scores = class_scores(logits.float(), self.score_type).gather(1, targets[:, None])[:, 0]
        return -scores if self.counterfactual else scores

    @contextlib.contextmanager
    def record(self, clips: Inputs | None = None, *, gradients: bool = True) -> Iterator[Tape]:
        """A context with the `Tape` of one forward pass: activations of `layers`, and gradients.

        Args:
            clips: the same as `self.clips`, in another layout.
            gradients: whether a graph is kept for `Tape.gradients`.
        """
        with record(
            self.network,
            self.clips if clips is None else clips,
            self.layers,
            output=self.output,
            grid=self.grid,
            input=self.input,
            gradients=gradients,
        ) as tape:
            self.layouts = tape.layouts
            for layout in tape.layouts.values():
                if (where := layout.frame_positions) is not None:
                    self.frame_positions.setdefault(len(where), where)
            yield tape

    def activations(self) -> dict[str, Tensor]:
        """Layer → activation `(B, C_k, T_k, H_k, W_k)`, by one forward pass that keeps no graph."""
        with self.record(gradients=False) as tape:
            return {name: activation.detach() for name, activation in tape.activations.items()}

    def batches(self, count: int, size: int, label: str = "") -> Iterator[tuple[int, int]]:
        """`(start, stop)` of each batch of `count` passes, behind a progress bar where one is shown.

        A batch has at most `size` passes, and on a processor not more than its caches hold.
        """
        size = min(copies_at_once(video, size, video.device) for video in self.videos)
        starts = range(0, count, size)
        label = " ".join([self.method, label]).strip()
        bar = tqdm(starts, desc=label, unit="batch", leave=False, disable=None if self.progress else True)
        return ((start, min(start + size, count)) for start in bar)

"""Explain and classify whole videos: windows, attribution, blending."""

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from glocal.attribution import METHODS, Attribution
from glocal.attribution.core import Variant, attribute_variants
from glocal.attribution.inputs.default_device import defaults_on_cpu
from glocal.attribution.method import LayerMethod
from glocal.explanation.accumulation import WindowResults
from glocal.explanation.bare_networks import as_explainable
from glocal.explanation.batching import BatchSize, grouped, in_precision, sample_of, stack_clips
from glocal.explanation.config import ExplainConfig, configured_by
from glocal.explanation.explanation import Explanation
from glocal.explanation.intrinsic_attention import AttentionEditor
from glocal.explanation.parts import Prediction
from glocal.explanation.predictions import NUM_BEST, MeanProbabilities, best_predictions
from glocal.explanation.selection import resolve_target, select_layers
from glocal.explanation.video_targets import VideoTargets
from glocal.explanation.window_stream import VideoLike, WindowStream
from glocal.models import Model
from glocal.types import Progress
from glocal.video import Window
from glocal.video.clip_spec import Crop
from glocal.video.scenes import Cuts
from glocal.video.threads import feeding, run_each, run_in_turn


@configured_by(ExplainConfig)
def explain(model: Model | nn.Module, video: VideoLike, config: ExplainConfig) -> Explanation:
    """Explain where and when `model` finds its reasons for a class in `video`.

    The video is decoded once, in windows of the model's clip length and in constant memory; a second time if
    its best class turns out not to be that of its first window. Overlapping windows fade into each other,
    each weighted by the target's probability in it, so that the attribution is low where the class is not
    seen. Frames between sampled ones are interpolated.

    Args:
        model: from `load_model` or `as_model`, or a `Model` of your own. A bare network is adapted by
            `as_model`; where nothing states its clips, a video in memory is taken for one, with a warning.
        video: what `read_video` opens: a path (video, image, or folder of images), an open file, an array or
            tensor in either order of its axes, a list of frames, or a `Video`.
        **config: the fields of `ExplainConfig`, or one as `config`.

    Returns:
        The explanation of the best class of the target; its `per_class` has those of all classes.

    Raises:
        UsageError: an argument is not among what is allowed; the message lists what is.
        InputError: the video cannot be read, or the network cannot use it.
    """
    return explain_variants(as_explainable(model, video), video, [config])[0]


@defaults_on_cpu()
def explain_variants(
    model: Model, video: VideoLike, configs: Sequence[ExplainConfig]
) -> tuple[Explanation, ...]:
    """Explain a video in several ways in one pass over its frames, such as by several methods.

    Args:
        model: as for `explain`.
        video: as for `explain`.
        configs: the first as for `explain`. The others explain the best class of the first, and differ from
            it in the method, its options, the layers, the aggregate, the score or `counterfactual` only.

    Returns:
        One explanation for each config.

    Raises:
        UsageError: an argument is not among what is allowed; the message lists what is.
        InputError: the video cannot be read, or the network cannot use it.
    """
    return _VideoRun(model, video, configs).explanations()


class _VideoRun:
    """The passes over the windows of one video."""

    def __init__(self, model: Model, video: VideoLike, configs: Sequence[ExplainConfig]) -> None:
        first = configs[0]
        self.model, self.configs = model, configs
        self.layers = [select_layers(model, config.layers) for config in configs]
        self.passes = self._shared_passes()
        self.targets = VideoTargets(resolve_target(first.target, model.labels), len(model.labels))
        self.stream = WindowStream.open(
            model, video, crop=first.crop, cuts=first.cuts, progress=first.progress
        )
        self.editor = AttentionEditor(model, first.edit, self.stream.video, self.stream.geometry)
        self.device = next(
            (parameter.device for parameter in model.network.parameters()), torch.device("cpu")
        )
        self.batch_size = BatchSize(configs, self.editor, self.device)

    def _shared_passes(self) -> list[list[int]]:
        """Group the indices of the configs that need the same passes through the network.

        They are those of layer methods on the same layers, for the same score.
        """
        passes: dict[Hashable, list[int]] = {}
        for index, config in enumerate(self.configs):
            is_shared = isinstance(METHODS[config.method], LayerMethod)
            key: Hashable = (tuple(self.layers[index].items()), config.score) if is_shared else index
            passes.setdefault(key, []).append(index)
        return list(passes.values())

    def explanations(self) -> tuple[Explanation, ...]:
        """Explain the video, again if other classes than those of its first window are best."""
        before = MeanProbabilities() if self.configs[0].edit is not None else None
        results = self._pass(before)
        if self.targets.are_wrong:
            self.targets.settle()
            results = self._pass(None)
        unedited = best_predictions(self.model.labels, before.value) if before else ()
        return tuple(result.explanation(self.targets.ranked(), unedited) for result in results)

    def _pass(self, before: MeanProbabilities | None) -> list[WindowResults]:
        """Explain all windows as long as the targets are right; add probabilities without the edit."""
        results = [WindowResults(self.model, config, self.stream) for config in self.configs]
        stream = self.stream.windows("explain", self.configs[0].overlap)
        with self._beside_network() as run_beside:
            for group in grouped(stream, self._next_batch_size):
                for window in (window for window in group if window.is_counted):
                    if before is not None:
                        before.add(self._probabilities(window, is_edited=False))
                    if self.targets.are_wrong:
                        self.targets.add(self._probabilities(window, is_edited=True))
                if not self.targets.are_wrong:
                    self.batch_size.measured(partial(self._explain, group, results, run_beside))
        return results

    def _beside_network(self) -> AbstractContextManager[Callable[[Callable[[], None]], None]]:
        """Run functions in order while the network goes on, but at once if it takes all cores itself."""
        is_apart = self.device.type != "cpu" and not self.stream.is_short
        return feeding(run_each, size=1) if is_apart else run_in_turn()

    def _next_batch_size(self) -> int:
        """The first window goes alone, as long as it is to tell the classes."""
        return 1 if self.targets.classes is None else self.batch_size()

    def _explain(
        self,
        windows: Sequence[Window],
        results: Sequence[WindowResults],
        run_beside: Callable[[Callable[[], None]], None],
    ) -> None:
        """Explain a batch of windows by each config.

        Args:
            windows: go through the network together.
            results: of the configs.
            run_beside: from `_beside_network`, for the blending.
        """
        target = self.targets.of_window
        for indices in self.passes:
            network = self.editor.network_for(windows[0])
            with ExitStack() as recordings:
                for index in indices:
                    recordings.enter_context(results[index].votes.recording())
                attributions = self._attribute(network, windows, indices, target)
            if indices[0] == 0:
                target = self.targets.take_from(attributions[0])[:, :1]
            for index, attribution in zip(indices, attributions, strict=True):
                of_windows = []
                for sample, window in enumerate(windows):
                    part = sample_of(attribution, sample)
                    values = results[index].add(window, network, part, sample=sample)
                    run_beside(partial(results[index].blend, window, part, values))
                    of_windows.append(values)
                if index == 0:
                    probabilities = of_windows
        for window, values in zip(windows, probabilities, strict=True):
            if window.is_counted:
                self.targets.add(values)

    def _attribute(
        self, network: nn.Module, windows: Sequence[Window], indices: Sequence[int], target: str | Tensor
    ) -> list[Attribution]:
        """Explain the clips of windows by configs that share their passes through the network."""
        configs = [self.configs[index] for index in indices]
        first = configs[0]
        with in_precision(first.precision, self.device):
            return attribute_variants(
                network,
                stack_clips(windows),
                self.layers[indices[0]],
                [Variant(c.method, c.combined_by, c.counterfactual, c.options) for c in configs],
                target=target.expand(len(windows), -1) if isinstance(target, Tensor) else target,
                score=self.model.probabilities if first.score == "probability" else first.score,
                progress=first.progress is True,
            )

    def _probabilities(self, window: Window, *, is_edited: bool) -> Tensor:
        """Probabilities `(num_classes,)` of a window, with or without the edit of the network's attention."""
        model = replace(self.model, network=self.editor.network_for(window)) if is_edited else self.model
        with in_precision(self.configs[0].precision, self.device):
            return _probabilities(model, window)


@defaults_on_cpu()
def classify(
    model: Model | nn.Module,
    video: VideoLike,
    *,
    crop: Crop | None = None,
    best: int = NUM_BEST,
    cuts: Cuts = "auto",
    progress: Progress = False,
) -> tuple[Prediction, ...]:
    """Return the best classes of a video: probabilities averaged over windows that do not overlap.

    Args:
        model: as for `explain`.
        video: as for `explain`.
        crop: `"full"` or `"center"`; by default the model's own.
        best: how many classes to return.
        cuts: as for `explain`.
        progress: as for `explain`.

    Raises:
        UsageError: an argument is not among what is allowed.
        InputError: the video cannot be read, or the network cannot use it.
    """
    model = as_explainable(model, video)
    stream = WindowStream.open(model, video, crop=crop, cuts=cuts, progress=progress)
    mean = MeanProbabilities()
    for window in stream.windows("classify"):
        mean.add(_probabilities(model, window))
    return best_predictions(model.labels, mean.value, best)


def _probabilities(model: Model, window: Window) -> Tensor:
    """Probabilities `(num_classes,)` of a window."""
    return model.probabilities(model.logits(window.clip))[0].cpu()

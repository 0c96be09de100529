"""Accumulate what the windows of a video show into its `Explanation`."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from glocal.attribution import METHODS, Attribution
from glocal.explanation.blending import WindowBlender
from glocal.explanation.config import ExplainConfig
from glocal.explanation.explanation import Explanation
from glocal.explanation.intrinsic_attention import TemporalCurve
from glocal.explanation.layer_grid import reduce
from glocal.explanation.parts import ExplainedClass, Prediction, VideoFacts, WindowPredictions
from glocal.explanation.predictions import GateVotes, MeanProbabilities, best_predictions
from glocal.explanation.smoothing import smooth_volume
from glocal.explanation.volume import Volume
from glocal.explanation.window_stream import WindowStream
from glocal.models import Model
from glocal.utils.files import printable
from glocal.video import Window

WINDOW_BEST = 3
"""Classes that are kept of each window."""

PADDED_SHARE = 0.1
"""Share of a video in clips that are mostly repetitions of a frame, above which the reader is warned."""


class ClassVolumes:
    """The volumes of one class: one of all layers together, and one of each layer."""

    def __init__(self, index: int, layers: Sequence[str], cuts: Sequence[int] = ()) -> None:
        self.index = index
        self._total = WindowBlender(Volume(), cuts)
        self._layers = {name: _LayerMaps(cuts) for name in layers}
        self._highest_weight = 0.0

    def add(self, window: Window, attribution: Attribution, weight: float) -> None:
        """Add the attribution of one window."""
        self._highest_weight = max(self._highest_weight, weight)
        self._total.add(window.points, window.frames, _of_frames(attribution.attention).cpu().numpy(), weight)
        for name, maps in attribution.layers.items():
            self._layers[name].add(window, _of_frames(maps), attribution.grids.get(name), weight)

    def finish(self, frames: int) -> tuple[Volume, dict[str, Volume]]:
        """Return the volume divided by its maximum, and the layers' divided by the highest weight."""
        total = self._total.finish(frames)
        total.normalise()
        layers = {name: maps.blender.finish(frames) for name, maps in self._layers.items()}
        for volume in layers.values():
            volume.factor = 1 / self._highest_weight if self._highest_weight > 0 else 1.0
        return total, layers


class _LayerMaps:
    """The maps of one layer, on its own grid as long as those of the clips are interpolated from it."""

    def __init__(self, cuts: Sequence[int]) -> None:
        self.blender = WindowBlender(Volume(levels=255), cuts)
        self._is_reduced = True

    def add(self, window: Window, maps: Tensor, grid: tuple[int, int] | None, weight: float) -> None:
        """Add the maps `(n, H, W)` of one window; `grid` is that of the layer."""
        self.blender.volume.size = (maps.shape[1], maps.shape[2])
        reduced = reduce(maps, grid) if self._is_reduced and grid is not None else None
        self._is_reduced = reduced is not None
        stored = maps if reduced is None else reduced
        self.blender.add(window.points, window.frames, stored.cpu().numpy(), weight)


def _of_frames(maps: Tensor) -> Tensor:
    """Return maps `(1, T, h, w)` or `(1, h, w)` as `(T, h, w)`."""
    return maps.reshape(-1, *maps.shape[-2:])


class WindowResults:
    """Predictions, votes, temporal attention and volumes of a video, window by window.

    Of each window, `add` takes what is read at once, and `blend` the maps, which may wait for another thread.

    Attributes:
        votes: of the gates; records inside `votes.recording()`.
    """

    def __init__(self, model: Model, config: ExplainConfig, stream: WindowStream) -> None:
        self.votes: GateVotes = GateVotes(model)
        self._model, self._config, self._stream = model, config, stream
        self._probabilities = MeanProbabilities()
        self._temporal = TemporalCurve(stream.cuts)
        self._volumes: list[ClassVolumes] = []
        self._windows: list[WindowPredictions] = []
        self._repeated = 0
        self._padded_frames = 0

    def add(self, window: Window, network: nn.Module, attribution: Attribution, *, sample: int = 0) -> Tensor:
        """Add the predictions of one window and what the network recorded of it, all but its maps.

        Args:
            window: the window.
            network: that `AttentionEditor.network_for` returned for it.
            attribution: of the window's clip alone.
            sample: of the batch that went through the network, for the gates' votes.

        Returns:
            The window's probabilities `(num_classes,)`.
        """
        probabilities = self._model.probabilities(attribution.logits)[0].cpu()
        if window.is_counted:
            self._probabilities.add(probabilities)
            best = best_predictions(self._model.labels, probabilities, WINDOW_BEST)
            self._windows.append(WindowPredictions(int(window.frames[0]), int(window.frames[-1]), best))
            self.votes.count_window(sample)
        self._temporal.add(window, network)
        self._repeated = max(self._repeated, window.repeated)
        if window.repeated > self._model.clip.frames // 2:
            self._padded_frames += int(window.frames[-1] - window.frames[0]) + 1
        return probabilities

    def blend(self, window: Window, attribution: Attribution, probabilities: Tensor) -> None:
        """Add the maps of a window, weighted by the probabilities `(num_classes,)`; windows come in order."""
        cuts, per_class = self._stream.cuts, attribution.per_class
        if not self._volumes:
            self._volumes = [ClassVolumes(int(part.target), list(part.layers), cuts) for part in per_class]
        for volumes, part in zip(self._volumes, per_class, strict=True):
            is_weighted = self._config.weighting == "probability"
            volumes.add(window, part, float(probabilities[volumes.index]) if is_weighted else 1.0)

    def explanation(self, ranked: Sequence[int], before: tuple[Prediction, ...]) -> Explanation:
        """Return the explanation of the best class, with those of the others.

        Args:
            ranked: indices of the classes, best first; those that this config does not explain are left out.
            before: if the network's attention was edited, the predictions without the edit.
        """
        model, config, stream, video = self._model, self._config, self._stream, self._stream.video
        predictions = best_predictions(model.labels, self._probabilities.value)
        facts = VideoFacts(
            printable(video.path or video.name), video.width, video.height, float(video.fps), video.frames
        )
        shortage = _shortage(model, stream, self._repeated)
        is_serious = self._padded_frames > PADDED_SHARE * video.frames and not video.is_image
        notes = [*_notes(model, stream), *(shortage if is_serious else []), *_edit_notes(before, predictions)]
        temporal = self._temporal.finish(video.frames)
        explanations = []
        for volumes in sorted(self._volumes, key=lambda volumes: ranked.index(volumes.index)):
            volume, layer_volumes = volumes.finish(video.frames)
            if config.smooth:
                volume = smooth_volume(volume, config.smooth, stream.cuts)
                volume.normalise()
            explanation = Explanation(
                video=facts,
                times=video.times,
                model=model.name,
                weights=model.weights,
                method=config.method,
                aggregate=config.combined_by,
                predictions=predictions,
                target=ExplainedClass(model.labels[volumes.index], volumes.index, config.counterfactual),
                volume=volume,
                layer_volumes=layer_volumes,
                geometry=stream.geometry,
                notes=tuple(notes),
                classes=model.classes,
                windows=tuple(self._windows),
                remarks=() if is_serious else tuple(shortage),
                options=METHODS[config.method].resolve_options(config.options),
                votes=self.votes.best(model.labels),
                temporal=temporal,
                cuts=tuple(stream.cuts),
                before=before,
                source=video,
            )
            explanations.append(explanation)
        first, *others = explanations
        return replace(first, others=tuple(others))


def _notes(model: Model, stream: WindowStream) -> list[str]:
    """Say what a reader must know of the weights and the video."""
    notes = [*model.notes, *stream.video.notes]
    if model.weights == "random":
        notes.insert(0, "the network is untrained: its weights are random, and so is what it attends to")
    return notes


def _shortage(model: Model, stream: WindowStream, repeated: int) -> list[str]:
    """Say that a video is shorter than a clip; `repeated` frames fill up the last clip."""
    if not repeated:
        return []
    if stream.video.is_image:
        return ["the model takes clips: it saw the image as a clip in which nothing moves"]
    what = "a scene of the video" if stream.cuts else "the video"
    return [
        f"{what} is shorter than the {model.clip.frames} frames that the model takes: "
        f"its last frame was repeated {repeated} times"
    ]


def _edit_notes(before: Sequence[Prediction], after: Sequence[Prediction]) -> list[str]:
    if not before:
        return []
    old, new = (f"{prediction.label} ({prediction.score:.1%})" for prediction in (before[0], after[0]))
    return [f"the network's attention was edited: the best class was {old}, and now is {new}"]

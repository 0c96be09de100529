"""The one place where the road is walked end to end: video → windows → attention → `Explanation`."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from glocal.attribution import Attribution, attribute
from glocal.attribution.inputs.network_inputs import call, to_network
from glocal.attribution.method import METHODS
from glocal.attribution.tape import find_logits, frozen
from glocal.attribution.targets import check_index, top_count
from glocal.errors import UsageError, nearest
from glocal.explanation.blending import Blend
from glocal.explanation.explanation import ExplainedClass, Explanation, Prediction, VideoFacts
from glocal.explanation.intrinsic_attention import EditLike, Editor, Timeline
from glocal.explanation.predictions import BEST, Mean, Votes, best_of
from glocal.explanation.volume import Volume
from glocal.models import Model
from glocal.utils.files import shown
from glocal.video import ClipSpec, Geometry, Video, Window, read_video, windows
from glocal.video.clip_spec import Crop
from glocal.video.scenes import Cuts, resolve_cuts, scenes

Progress = bool | Callable[[str, int, int], None]
VideoLike = Video | str | os.PathLike[str] | npt.NDArray[np.uint8]


def open_video(video: VideoLike) -> Video:
    """`video` itself, or what `read_video` makes of it."""
    return video if isinstance(video, Video) else read_video(video)


def classify(
    model: Model,
    video: VideoLike,
    *,
    crop: Crop | None = None,
    best: int = BEST,
    cuts: Cuts = "auto",
    progress: bool = False,
) -> tuple[Prediction, ...]:
    """The best classes of a video: probabilities averaged over windows that do not overlap.

    Args:
        crop: `"full"` or `"center"`; by default the model's own.
        best: how many classes to return.
        cuts: as for `explain`.
        progress: show a progress bar where stderr is a terminal.
    """
    video = open_video(video)
    found = resolve_cuts(video, cuts, progress)
    return best_of(model.labels, _probabilities(model, video, crop or model.clip.crop, found, progress), best)


def explain(
    model: Model,
    video: VideoLike,
    target: str | int = "top1",
    method: str = "3dcam",
    layers: Sequence[str] | None = None,
    aggregate: str = "sum",
    counterfactual: bool = False,
    *,
    options: Mapping[str, Any] | None = None,
    score: str = "logit",
    crop: Crop | None = None,
    overlap: float = 0.5,
    weighting: str = "probability",
    cuts: Cuts = "auto",
    edit: EditLike | None = None,
    progress: Progress = False,
) -> Explanation:
    """Where and when `model` sees its reasons for a class in `video`.

    The video streams through in windows of the model's clip spec, in constant memory. Overlapping windows
    fade into each other, each weighted by the target's probability in it, so that the attention is dim
    where the class is not seen; frames between sampled ones are interpolated.

    Args:
        model: from `load_model`, or a `Model` of one's own.
        video: a path (video, image, or folder of images), a `Video`, or frames `(T, H, W, 3)` uint8.
        target: `"top1"`, `"topK"` (the K best classes, see `Explanation.classes`), a label, or an index.
        method, aggregate, counterfactual, options, score: see `glocal.attribute`.
        layers: names among `model.layers`, or of any submodule; by default all of `model.layers`.
        crop: `"full"` runs over the whole frame, `"center"` over the crop that the model was trained on;
            by default the model's own.
        overlap: share of a window in [0, 1) that the next one covers too.
        weighting: `"probability"` as above, or `"none"`: every window counts the same.
        cuts: the first frame of every scene but the first, which no window straddles; `"auto"` finds them in
            a decoding pass of its own, `"none"` takes the video for one scene.
        edit: takes the place of a network's own attention: an `Edit`, or an array `(T, H, W)` for the spatial
            or `(T,)` for the temporal attention of an ST-ABN; all that is explained is then the edited
            network, and `Explanation.before` has the classes without the edit.
        progress: show a progress bar where stderr is a terminal; or a function that is told what is being
            done, how many windows are done, and how many there are.

    Raises:
        UsageError: an argument is not among what is allowed; the message lists what is.
        InputError: the video cannot be read, or the network cannot use it.
    """
    if weighting not in ("probability", "none"):
        raise UsageError(f"weighting '{weighting}' is neither 'probability' nor 'none'.")
    settings = METHODS[method].resolve_options(options)
    chosen = chosen_layers(model, layers)
    classes = resolve_target(target, model.labels)
    video = open_video(video)
    crop = crop or model.clip.crop
    found_cuts = resolve_cuts(video, cuts, progress is True)
    geometry = Geometry.fit((video.height, video.width), model.clip, crop)
    editor = Editor(model, edit, video, geometry)

    before: tuple[Prediction, ...] = ()
    if edit is not None:
        before = best_of(model.labels, _probabilities(model, video, crop, found_cuts, progress))
    if isinstance(classes, str) and _several_windows(video, model.clip, crop, overlap, found_cuts):
        ranked = _probabilities(model, video, crop, found_cuts, progress, editor).argsort(descending=True)
        classes = ranked[: top_count(classes, len(model.labels))].tolist()

    mean = Mean()
    timeline, votes = Timeline(found_cuts), Votes(model.network)
    sums: list[ClassVolumes] = []
    repeated = 0
    stream = windows(video, model.clip, crop=crop, overlap=overlap, cuts=found_cuts)
    stream = _progress(stream, f"explain {video.name}", video, model.clip, overlap, found_cuts, progress)
    for window, counted in mark_disjoint(stream):
        network = editor(window)
        with votes.listening():
            found = attribute(
                network,
                window.clip,
                chosen,
                method=method,
                aggregate=aggregate,
                target=classes if isinstance(classes, str) else torch.tensor([classes]),
                counterfactual=counterfactual,
                options=settings,
                score=score,
                progress=progress is True,
            )
        probabilities = found.logits.float().softmax(1)[0].cpu()
        if counted:
            mean.add(probabilities)
            votes.count()
        timeline.add(window, network)
        repeated = max(repeated, window.repeated)
        sums = sums or [
            ClassVolumes(int(part.target), list(part.layers), found_cuts) for part in found.per_class
        ]
        for volumes, part in zip(sums, found.per_class, strict=True):
            weight = float(probabilities[volumes.index]) if weighting == "probability" else 1.0
            volumes.add(window, part, weight)

    predictions = best_of(model.labels, mean.value)
    facts = VideoFacts(
        shown(video.path or video.name), video.width, video.height, float(video.fps), video.frames
    )
    notes = _notes(model, video, repeated, found_cuts) + _edit_note(before, predictions)
    temporal = timeline.finish(video.frames)
    explanations = [
        Explanation(
            facts,
            video.times,
            model.name,
            model.weights,
            method,
            aggregate,
            predictions,
            ExplainedClass(model.labels[volumes.index], volumes.index, counterfactual),
            *volumes.finish(video.frames),
            geometry,
            notes,
            options=settings,
            votes=votes.best(model.labels),
            temporal=temporal,
            cuts=found_cuts,
            before=before,
            source=video,
        )
        for volumes in sums
    ]
    explanations[0].others = tuple(explanations[1:])
    return explanations[0]


class ClassVolumes:
    """The attention to one class, and each layer's, as the windows come."""

    def __init__(self, index: int, layers: list[str], cuts: Sequence[int] = ()) -> None:
        self.index = index
        self._total = Blend(Volume(), cuts)
        self._layers = {name: Blend(Volume(levels=255), cuts) for name in layers}
        self._highest = 0.0

    def add(self, window: Window, part: Attribution, weight: float) -> None:
        """Add what was found in one window."""
        self._highest = max(self._highest, weight)
        maps = [(self._total, part.attention), *((self._layers[n], m) for n, m in part.layers.items())]
        for blend, attention in maps:
            shape = attention.shape[-2:]
            blend.add(window.points, window.frames, attention.cpu().numpy().reshape(-1, *shape), weight)

    def finish(self, frames: int) -> tuple[Volume, dict[str, Volume]]:
        """The volume divided by its maximum, and the layers' divided by the highest weight."""
        total = self._total.finish(frames)
        total.normalise()
        layers = {name: blend.finish(frames) for name, blend in self._layers.items()}
        for volume in layers.values():
            volume.factor = 1 / self._highest if self._highest > 0 else 1.0
        return total, layers


def mark_disjoint(stream: Iterable[Window]) -> Iterator[tuple[Window, bool]]:
    """Each window, and whether it is one of those that cover the video without overlap.

    They are the windows that `classify` sees, so that `explain` gives the same predictions: each one that
    begins after the last such window has ended, and the last of each scene.
    """
    end = -1
    for window, following in itertools.pairwise(itertools.chain(stream, [None])):
        assert window is not None
        last = following is None or following.scene != window.scene
        counted = last or int(window.points[0]) > end
        if counted:
            end = int(window.points[-1])
        yield window, counted


def resolve_target(target: str | int, labels: Sequence[str]) -> str | list[int]:
    """`"topK"` as it is, or the class index of a label or number, as a list of one.

    Raises:
        UsageError: no such class; a label is answered with the nearest.
    """
    if isinstance(target, int):
        return [check_index(target, len(labels))]
    if target in labels:
        return [list(labels).index(target)]
    if target.isdecimal():
        return [check_index(int(target), len(labels))]
    folded = [label.casefold() for label in labels]
    if target.casefold() in folded:
        return [folded.index(target.casefold())]
    if target.startswith("top") and target[3:].isdecimal():
        top_count(target, len(labels))
        return target
    raise UsageError(
        f"the model has no class '{target}'.{nearest(target, list(labels))} "
        f"Give one of its {len(labels)} labels, an index, or topK (top1, top3, …)."
    )


def _notes(model: Model, video: Video, repeated: int, cuts: Sequence[int]) -> tuple[str, ...]:
    notes = list(video.notes)
    if model.weights == "random":
        notes.insert(0, "the network is untrained: its weights are random, and so is what it attends to")
    if repeated and not video.is_image:
        short = "a scene of the video" if cuts else "the video"
        notes.append(
            f"{short} is shorter than the {model.clip.frames} frames that the model takes: "
            f"its last frame was repeated {repeated} times"
        )
    elif repeated:
        notes.append(
            f"the model takes clips of {model.clip.frames} frames: the image was shown for all of them"
        )
    return tuple(notes)


def chosen_layers(model: Model, layers: Sequence[str] | None) -> Mapping[str, nn.Module]:
    """Name → module for names among `model.layers` or of any submodule; None takes all of `model.layers`.

    Raises:
        UsageError: no such layer, or none at all.
    """
    if layers is None:
        return model.layers
    modules = dict(model.network.named_modules())
    chosen: dict[str, nn.Module] = {}
    for name in layers:
        module = model.layers.get(name, modules.get(name))
        if module is None or not name:
            known = ", ".join(model.layers)
            raise UsageError(
                f"model '{model.name}' has no layer '{name}'.{nearest(name, [*model.layers, *modules])} "
                f"Its layers: {known}; 'glocal layers {model.name} --all' lists every one."
            )
        chosen[name] = module
    if not chosen:
        raise UsageError(f"no layer to explain; name some of {', '.join(model.layers)}.")
    return chosen


def _several_windows(
    video: Video, clip_spec: ClipSpec, crop: Crop, overlap: float, cuts: Sequence[int]
) -> bool:
    """Whether the video is longer than one window; looked up in RGB, which has the same windows as flow."""
    rgb = replace(clip_spec, modality="rgb", mean=(0.0,) * 3, std=(1.0,) * 3)
    return len(list(itertools.islice(windows(video, rgb, crop=crop, overlap=overlap, cuts=cuts), 2))) > 1


def _edit_note(before: Sequence[Prediction], after: Sequence[Prediction]) -> tuple[str, ...]:
    if not before:
        return ()
    words = [f"{best.label} ({best.score:.1%})" for best in (before[0], after[0])]
    return (f"the network's attention was edited: the best class was {words[0]}, and now is {words[1]}",)


def _probabilities(
    model: Model,
    video: Video,
    crop: Crop,
    cuts: Sequence[int],
    progress: Progress,
    editor: Editor | None = None,
) -> Tensor:
    mean = Mean()
    stream = windows(video, model.clip, crop=crop, overlap=0.0, cuts=cuts)
    with torch.inference_mode(), frozen(model.network):
        for window in _progress(stream, f"classify {video.name}", video, model.clip, 0.0, cuts, progress):
            network = editor(window) if editor else model.network
            logits = find_logits(call(network, to_network(window.clip, network)))
            mean.add(logits.float().softmax(1)[0].cpu())
    return mean.value


def _progress(
    stream: Iterator[Window],
    text: str,
    video: Video,
    clip_spec: ClipSpec,
    overlap: float,
    cuts: Sequence[int],
    show: Progress,
) -> Iterator[Window]:
    """`stream` behind a progress bar, which tqdm leaves out where stderr is no terminal."""
    if show is False:
        return stream
    step = max(1, round(clip_spec.frames * (1 - overlap)))
    total = 0
    for start, end in scenes(video.frames, cuts):
        seconds = float(video.times[end - 1] - video.times[start])
        points = (
            int(seconds * clip_spec.fps / clip_spec.stride) + 1
            if clip_spec.fps
            else -(-(end - start) // clip_spec.stride)
        )
        total += max(0, -(-(points - clip_spec.frames) // step)) + 1
    if show is not True:
        return _tell(stream, text, total, show)
    return iter(tqdm(stream, desc=text, total=total, unit="window", disable=None, leave=False))


def _tell(
    stream: Iterator[Window], text: str, total: int, tell: Callable[[str, int, int], None]
) -> Iterator[Window]:
    tell(text, 0, total)
    for done, window in enumerate(stream, 1):
        yield window
        tell(text, done, max(done, total))

"""Localize the explained classes of a video: boxes, tubes and segments from an `Explanation`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from tqdm import tqdm

from glocal import __version__
from glocal.errors import InputError
from glocal.explanation.explanation import Explanation
from glocal.explanation.parts import VideoFacts
from glocal.explanation.volume import Volume
from glocal.localization.refinements import REFINEMENT_SIDE, REFINEMENTS, refine
from glocal.types import Frame, ScoredBox, Segment, Threshold, Tube
from glocal.utils.files import file_name
from glocal.video import Geometry, Video, read_video
from glocal.video.images import IMAGE_SUFFIXES
from glocal.video.resizing import resize


@dataclass(frozen=True)
class ClassLocalization:
    """Where and when one class is seen in a video.

    Attributes:
        label: of the class.
        index: of the class.
        probability: of the class.
        threshold: share of a frame's maximum that its boxes enclose.
        boxes: of every frame.
        tubes: the highest score first.
        segments: in the order of time.
        is_relevant: whether each frame's relevance is at least `RELEVANCE_FLOOR`; empty if that is unknown.
    """

    label: str
    index: int
    probability: float
    threshold: float
    boxes: Sequence[Sequence[ScoredBox]]
    tubes: Sequence[Tube]
    segments: Sequence[Segment]
    is_relevant: Sequence[bool] = ()

    @property
    def relevant_boxes(self) -> Sequence[Sequence[ScoredBox]]:
        """Boxes of every frame, none in frames of low relevance, where boxes enclose noise."""
        if not self.is_relevant:
            return self.boxes
        pairs = zip(self.boxes, self.is_relevant, strict=True)
        return [boxes if is_relevant else () for boxes, is_relevant in pairs]

    def __repr__(self) -> str:
        return (
            f"ClassLocalization({self.label!r}, {len(self.tubes)} tubes, {len(self.segments)} segments, "
            f"threshold={self.threshold:.3g})"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: frames count from 0, `end` is the first frame after a tube."""
        return {
            "target": {"label": self.label, "index": self.index, "probability": self.probability},
            "threshold": round(self.threshold, 6),
            "frames": [_boxes_as_dicts(boxes) for boxes in self.boxes],
            "relevant": list(self.is_relevant),
            "tubes": [
                {
                    "start": tube.start,
                    "end": tube.end,
                    "score": round(tube.score, 6),
                    "boxes": _boxes_as_dicts(tube.boxes),
                }
                for tube in self.tubes
            ],
            "segments": [
                {
                    "start": round(segment.start, 6),
                    "end": round(segment.end, 6),
                    "score": round(segment.score, 6),
                    "frames": [segment.first, segment.stop],
                }
                for segment in self.segments
            ],
        }


@dataclass(frozen=True)
class Localization:
    """Where and when each explained class is seen in a video.

    Attributes:
        name: unique among the localizations that are exported together.
        video: path and size of the video.
        times: seconds at which each frame is shown.
        per_class: one localization a class, best class first.
        provenance: model, method and other facts of the explanation, as the JSON lists them.
    """

    name: str
    video: VideoFacts
    times: Sequence[float]
    per_class: Sequence[ClassLocalization]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_image(self) -> bool:
        """Whether it is of a picture, and of no video."""
        suffix = PurePath(self.video.path).suffix.lower()
        return self.video.frames == 1 and suffix in IMAGE_SUFFIXES

    def __repr__(self) -> str:
        labels = ", ".join(repr(localization.label) for localization in self.per_class)
        return f"Localization({self.name!r}, {self.video.frames} frames, {labels})"

    def as_dict(self) -> dict[str, Any]:
        """Return the content of `<name>.localization.json`."""
        return {
            "glocal": __version__,
            "video": {**asdict(self.video), "path": file_name(self.video.path)},
            **self.provenance,
            "times": [round(time, 6) for time in self.times],
            "classes": [localization.as_dict() for localization in self.per_class],
        }


def localize(
    explanation: Explanation,
    *,
    threshold: Threshold = "auto",
    multi_contour: bool = False,
    refinements: Sequence[str] = (),
    video: Video | None = None,
    name: str | None = None,
    progress: bool = False,
) -> Localization:
    """Find boxes, tubes and segments of all classes of an explanation.

    Args:
        explanation: from `glocal.explain` or `Explanation.load`.
        threshold: share of a frame's maximum that boxes enclose, or `"auto"`: one for each class, by Otsu's
            method.
        multi_contour: return the boxes of all contours of a frame, not only of the largest.
        refinements: names in `REFINEMENTS`, applied in this order.
        video: the video that was explained, which refinements need; by default it is read from its path.
        name: of the localization; by default the stem of the video's path.
        progress: show a progress bar where stderr is a terminal.

    Raises:
        UsageError: the threshold is out of range, or a refinement is unknown.
        InputError: refinements need the video, which cannot be read or is another one.
    """
    if refinements:
        video = video or explained_video(explanation)
        explanation = refine_explanation(explanation, video, refinements, progress=progress)
    public = explanation.without_folders()
    return Localization(
        name=name or Path(explanation.video.path).stem,
        video=explanation.video,
        times=explanation.times.tolist(),
        per_class=[_localize_class(part, threshold, multi_contour) for part in explanation.per_class],
        provenance={
            "model": public.model,
            "weights": public.weights,
            "method": explanation.method,
            "aggregate": explanation.aggregate,
            "layers": list(explanation.layer_volumes),
            "refinements": list(refinements),
            "notes": list(public.notes),
            "cuts": list(explanation.cuts),
        },
    )


def explained_video(explanation: Explanation, folders: Sequence[Path] = ()) -> Video:
    """Return the video that was explained: the open one, or that at its path.

    Args:
        explanation: the explanation.
        folders: where the video is looked for by its name if there is none at its path.

    Raises:
        InputError: the video cannot be read.
    """
    if explanation.source is not None:
        return explanation.source
    path = Path(explanation.video.path)
    candidates = [path, *(folder / path.name for folder in folders)]
    return read_video(next((candidate for candidate in candidates if candidate.exists()), path))


def refine_explanation(
    explanation: Explanation, video: Video, names: Sequence[str], *, progress: bool = False
) -> Explanation:
    """Refine where the attribution of an explanation lies, for all of its classes, by what the video shows.

    The relevance of the frames stays as it is.

    Args:
        explanation: the explanation.
        video: the one that was explained.
        names: in `REFINEMENTS`, applied in this order.
        progress: show a progress bar where stderr is a terminal.

    Raises:
        UsageError: a refinement is unknown.
        InputError: the video has another size or number of frames.
    """
    REFINEMENTS.check(*names)
    facts = explanation.video
    if (video.width, video.height, video.frames) != (facts.width, facts.height, facts.frames):
        raise InputError(
            f"{video.name} ({video.width}×{video.height}, {video.frames} frames) is not the video that "
            f"was explained ({facts.width}×{facts.height}, {facts.frames} frames); give that one."
        )
    refined = _refine_class(explanation, video, names, progress)
    others = [_refine_class(other, video, names, progress) for other in explanation.others]
    return replace(refined, others=tuple(others))


def _refine_class(
    explanation: Explanation, video: Video, names: Sequence[str], progress: bool
) -> Explanation:
    geometry = explanation.geometry.finer(REFINEMENT_SIDE)
    size = geometry.crop[2], geometry.crop[3]
    maps = (resize(attribution, size) for attribution in explanation.volume)
    volume = Volume(levels=255)
    stream = refine(maps, _CroppedFrames(video, geometry), names, cuts=explanation.cuts)
    bar = tqdm(stream, f"refine {video.name}", video.frames, unit="frame", disable=None if progress else True)
    for attribution in bar:
        volume.append(attribution)
    volume.normalise()
    volume.means = list(explanation.volume.means)
    return replace(explanation, volume=volume, geometry=geometry)


class _CroppedFrames:
    """Each frame of a video as the network takes it, `(h, w, 3)` uint8; can be iterated over repeatedly."""

    def __init__(self, video: Video, geometry: Geometry) -> None:
        self.video, self.geometry = video, geometry

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.video.fps

    def __iter__(self) -> Iterator[Frame]:
        return map(self.geometry.forward, self.video)


def _localize_class(explanation: Explanation, threshold: Threshold, multi_contour: bool) -> ClassLocalization:
    target, level = explanation.target, explanation.box_threshold(threshold)
    return ClassLocalization(
        label=target.label,
        index=target.index,
        probability=explanation.probability,
        threshold=level,
        boxes=explanation.boxes(level, multi_contour=multi_contour),
        tubes=explanation.tubes(level),
        segments=explanation.segments(),
        is_relevant=explanation.is_relevant.tolist(),
    )


def _boxes_as_dicts(boxes: Sequence[ScoredBox]) -> list[dict[str, Any]]:
    return [{"box": list(box[:4]), "score": round(box.score, 6)} for box in boxes]

"""`Explanation`: what was decided, and where and when the reasons are; saves and loads itself."""

import itertools
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from glocal import __version__
from glocal.errors import InputError
from glocal.explanation.volume import Volume
from glocal.localization import (
    REFINEMENTS,
    ScoredBox,
    Segment,
    Threshold,
    Tube,
    auto_threshold,
    boxes,
    refine,
    segments,
    tubes,
)
from glocal.localization.refinements import REFINEMENT_SIDE
from glocal.types import AttributionMap
from glocal.utils.files import atomic_path, writing
from glocal.video import Geometry, Video


@dataclass(frozen=True)
class VideoFacts:
    """Of the video as it is shown: pixels after rotation, frames per second, frames that decode."""

    path: str
    width: int
    height: int
    fps: float
    frames: int


@dataclass(frozen=True)
class Prediction:
    """A class and its probability, the mean over the video's windows."""

    label: str
    index: int
    score: float


@dataclass(frozen=True)
class ExplainedClass:
    """The class that is explained, or argued against."""

    label: str
    index: int
    counterfactual: bool = False


@dataclass
class Explanation:
    """Where and when a model saw its reasons for a class in a video.

    Attributes:
        video, times: the video, and the presentation time of every frame in seconds.
        model, weights, method, aggregate: what was run.
        predictions: the best classes, best first.
        target: the class explained.
        volume: the attention on the clips' grid, one map a frame; `frame(i)` and `attention` give it in
            pixels of the frame.
        layer_volumes: the same for each layer.
        geometry: the way from the frame to the clip and back.
        notes: what the reader must know, such as frames repeated or weights untrained.
        others: with `target="topK"`, the explanations of the second to the K-th class.
        options: the method's options, such as the number of samples.
        votes: gate → its best classes, of a gated network: mean over the windows of the softmax of that
            gate's logits alone.
        temporal: `(T,)` in [0, 1], the temporal attention of a network that has one (ST-ABN's M_t).
        cuts: first frame of every scene but the first; no window straddles one.
        before: where the network's own attention was edited, the best classes without that.
        source: the video itself, where it is at hand; a notebook shows its frames.
    """

    video: VideoFacts
    times: npt.NDArray[np.float64]
    model: str
    weights: str
    method: str
    aggregate: str
    predictions: tuple[Prediction, ...]
    target: ExplainedClass
    volume: Volume
    layer_volumes: dict[str, Volume]
    geometry: Geometry
    notes: tuple[str, ...] = ()
    others: tuple["Explanation", ...] = field(default=(), repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    votes: Mapping[str, tuple[Prediction, ...]] = field(default_factory=dict)
    temporal: npt.NDArray[np.float64] | None = None
    cuts: tuple[int, ...] = ()
    before: tuple[Prediction, ...] = ()
    source: Video | None = field(default=None, repr=False, compare=False)

    def _repr_html_(self) -> str:
        """What a notebook shows: the page of the report."""
        from glocal.report.page import notebook_html

        return notebook_html(self)

    @property
    def classes(self) -> tuple["Explanation", ...]:
        """One explanation a class, best class first; the first is this one."""
        return (self, *self.others)

    def frame(self, index: int, layer: str | None = None) -> AttributionMap:
        """Attention `(H, W)` in [0, 1] over one frame, in the frame's pixels."""
        volume = self.volume if layer is None else self.layer_volumes[layer]
        attention: AttributionMap = self.geometry.backward(volume[index][None])[0]
        return attention

    def frames(self) -> Iterator[AttributionMap]:
        """Attention `(H, W)` of every frame in order, in constant memory."""
        return (self.frame(index) for index in range(len(self.volume)))

    @property
    def attention(self) -> AttributionMap:
        """float32 `(T, H, W)` in [0, 1], in the geometry of the video; for long videos see `frames`."""
        return np.stack(list(self.frames()))

    @property
    def layers(self) -> dict[str, AttributionMap]:
        """Layer name → float32 `(T, H, W)`, before the aggregate."""
        return {
            name: np.stack([self.frame(index, name) for index in range(len(volume))])
            for name, volume in self.layer_volumes.items()
        }

    @property
    def relevance(self) -> npt.NDArray[np.float64]:
        """`(T,)` in [0, 1]: each frame's mean attention, relative to the highest of them."""
        return self.volume.relevance

    def boxes(self, threshold: Threshold = 0.5, *, multi_contour: bool = False) -> list[list[ScoredBox]]:
        """Boxes of every frame; see `glocal.localization.boxes`.

        Args:
            threshold: share of a frame's maximum, or `"auto"`: one for the whole video, chosen by
                `glocal.localization.auto_threshold`.
            multi_contour: return all boxes of a frame instead of the largest.
        """
        level = self.box_threshold(threshold)
        return [boxes(attention, level, multi_contour=multi_contour) for attention in self.frames()]

    def box_threshold(self, threshold: Threshold = "auto") -> float:
        """The share of a frame's maximum that `threshold` stands for."""
        return auto_threshold(self.volume) if threshold == "auto" else threshold

    def tubes(self, threshold: Threshold = "auto", *, count: int = 5) -> list[Tube]:
        """Boxes linked over time, the highest score first, at most `count` a scene; see
        `glocal.localization.tubes`. Their scores are attention times the probability of the class."""
        found = tubes(self.boxes(threshold, multi_contour=True), cuts=self.cuts, max_tubes=count)
        return [tube._replace(score=tube.score * self.probability) for tube in found]

    def segments(self, threshold: Threshold = "auto") -> list[Segment]:
        """When the class is seen; see `glocal.localization.segments`. Scores are relevance times the
        probability of the class, so that the segments of all `classes` can be ranked together."""
        end = float(self.times[-1]) + 1 / self.video.fps
        found = segments(
            self.relevance, self.times, end, threshold=threshold, cuts=self.cuts, label=self.target.label
        )
        return [segment._replace(score=segment.score * self.probability) for segment in found]

    @property
    def probability(self) -> float:
        """Of the class explained; if it is not among `predictions`, the lowest of those, which bounds it."""
        scores = {prediction.index: prediction.score for prediction in self.predictions}
        return scores.get(self.target.index, min(scores.values(), default=1.0))

    def refined(self, video: Video, names: Sequence[str], *, progress: bool = False) -> "Explanation":
        """This explanation, and those of the other classes, with the attention refined by what `video` shows.

        Where, not when: the relevance of the frames stays as it is.

        Args:
            video: the one that was explained.
            names: see `glocal.localization.REFINEMENTS`.
            progress: show a progress bar where stderr is a terminal.

        Raises:
            UsageError: no such refinement.
            InputError: the video has another size or number of frames.
        """
        REFINEMENTS.check(*names)
        if (video.width, video.height, video.frames) != (
            self.video.width,
            self.video.height,
            self.video.frames,
        ):
            raise InputError(
                f"{video.name} ({video.width}×{video.height}, {video.frames} frames) is not the video that "
                f"was explained ({self.video.width}×{self.video.height}, {self.video.frames} frames); "
                "give that one."
            )
        geometry = self.geometry.finer(REFINEMENT_SIDE)
        size = geometry.crop[3], geometry.crop[2]
        maps = (np.asarray(cv2.resize(attention, size), np.float32) for attention in self.volume)
        volume = Volume(levels=255)
        stream = refine(maps, _Seen(video, geometry), names, self.cuts)
        bar = tqdm(
            stream, f"refine {video.name}", video.frames, unit="frame", disable=None if progress else True
        )
        for attention in bar:
            volume.append(attention)
        volume.normalise()
        volume.means = list(self.volume.means)
        others = tuple(other.refined(video, names, progress=progress) for other in self.others)
        return replace(self, volume=volume, geometry=geometry, others=others)

    def as_dict(self, threshold: float = 0.5) -> dict[str, Any]:
        """The content of `<stem>.json`."""
        relevance = self.relevance.round(6).tolist()
        return {
            "glocal": __version__,
            "video": asdict(self.video),
            "model": self.model,
            "weights": self.weights,
            "method": self.method,
            "aggregate": self.aggregate,
            "layers": list(self.layer_volumes),
            "predictions": [asdict(prediction) for prediction in self.predictions],
            "target": asdict(self.target),
            "notes": list(self.notes),
            "geometry": asdict(self.geometry),
            "options": dict(self.options),
            "votes": {gate: [asdict(vote) for vote in votes] for gate, votes in self.votes.items()},
            "temporal": None if self.temporal is None else self.temporal.round(6).tolist(),
            "cuts": list(self.cuts),
            "before": [asdict(prediction) for prediction in self.before],
            "frames": [
                {
                    "frame": index,
                    "time": round(float(self.times[index]), 6),
                    "relevance": relevance[index],
                    "boxes": [{"box": list(box[:4]), "score": round(box.score, 6)} for box in found],
                }
                for index, found in enumerate(self.boxes(threshold))
            ],
        }

    def save(self, folder: "str | os.PathLike[str]", stem: str | None = None, threshold: float = 0.5) -> Path:
        """Write `<stem>.npz` and `<stem>.json` into `folder`, which is made if need be.

        The NPZ holds `attention`, uint8 `(T, H, W)` in pixels of the frames, and `scale`: their product is
        the attention. The same on the clips' grid `(T, h, w)` are `grid/attention` and `grid/layers/<name>`,
        with `grid_scale/…`; `load` reads these.

        Args:
            folder, stem: where, and the name without suffix; by default the video's.
            threshold: of the boxes in the JSON; see `boxes`.

        Returns:
            The path of the JSON file.

        Raises:
            InputError: the folder cannot be written.
        """
        path = Path(folder) / f"{stem or Path(self.video.path).stem}.json"
        with writing(path):
            with atomic_path(path.with_suffix(".npz")) as temporary:
                self._write_arrays(temporary)
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(self.as_dict(threshold), ensure_ascii=False), "utf-8")
        return path

    def _write_arrays(self, path: Path) -> None:
        named = {"attention": self.volume, **{f"layers/{name}": v for name, v in self.layer_volumes.items()}}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            _write_maps(archive, "attention", "scale", self.frames(), len(self.volume), self.volume.peak)
            for name, volume in named.items():
                _write_maps(archive, f"grid/{name}", f"grid_scale/{name}", volume, len(volume), volume.peak)

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "Explanation":
        """Read what `save` wrote; `path` is the JSON file, with the NPZ beside it. Attention is 8 bits deep.

        Raises:
            InputError: a file is missing or is not an explanation.
        """
        path = Path(path)
        try:
            facts = json.loads(path.read_text("utf-8"))
            with zipfile.ZipFile(path.with_suffix(".npz")) as archive:
                volume = _read_maps(archive, "attention")
                layers = {name: _read_maps(archive, f"layers/{name}") for name in facts["layers"]}
            return cls(
                VideoFacts(**facts["video"]),
                np.array([frame["time"] for frame in facts["frames"]]),
                facts["model"],
                facts["weights"],
                facts["method"],
                facts["aggregate"],
                tuple(Prediction(**prediction) for prediction in facts["predictions"]),
                ExplainedClass(**facts["target"]),
                volume,
                layers,
                Geometry(**{name: tuple(value) for name, value in facts["geometry"].items()}),
                tuple(facts["notes"]),
                options=facts.get("options", {}),
                votes={
                    gate: tuple(Prediction(**vote) for vote in votes)
                    for gate, votes in facts.get("votes", {}).items()
                },
                temporal=None if facts.get("temporal") is None else np.array(facts["temporal"], float),
                cuts=tuple(facts.get("cuts", ())),
                before=tuple(Prediction(**prediction) for prediction in facts.get("before", ())),
            )
        except OSError as error:
            raise InputError(f"{error.filename or path} cannot be read: {error.strerror}.") from error
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path} and the NPZ beside it are not a saved explanation ({error})."
            ) from error


class _Seen:
    """What a network sees of each frame of `video`, `(h, w, 3)` uint8, as often as one iterates over it."""

    def __init__(self, video: Video, geometry: Geometry) -> None:
        self.video, self.geometry = video, geometry

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        return map(self.geometry.forward, self.video)


def _write_maps(
    archive: zipfile.ZipFile,
    name: str,
    scale_name: str,
    maps: Iterable[AttributionMap],
    count: int,
    peak: float,
) -> None:
    scale = np.float32((peak or 1.0) / 255)
    maps = iter(maps)
    first = next(maps)
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *first.shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for attention in itertools.chain([first], maps):
            file.write(np.rint(attention / scale).clip(0, 255).astype(np.uint8).tobytes())
    with archive.open(f"{scale_name}.npy", "w") as file:
        np.lib.format.write_array(file, scale)


def _read_maps(archive: zipfile.ZipFile, name: str) -> Volume:
    with archive.open(f"grid_scale/{name}.npy") as file:
        scale = np.float32(np.lib.format.read_array(file))
    volume = Volume()
    with archive.open(f"grid/{name}.npy") as file:
        np.lib.format.read_magic(file)
        (count, *shape), _, _ = np.lib.format.read_array_header_1_0(file)
        for _ in range(count):
            steps = np.frombuffer(file.read(shape[0] * shape[1]), np.uint8).reshape(shape)
            volume.append(steps * scale)
    return volume

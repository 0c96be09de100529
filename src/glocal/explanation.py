"""`Explanation`: what was decided, and where and when the reasons are; saves and loads itself."""

import itertools
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal import __version__
from glocal.errors import InputError
from glocal.files import atomic_path, writing
from glocal.localization import Box, boxes
from glocal.video import Geometry
from glocal.volume import Map, Volume


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
        votes: gate → its best classes, of a gated network: mean over the windows of the softmax of that
            gate's logits alone.
        temporal: `(T,)` in [0, 1], the temporal attention of a network that has one (ST-ABN's M_t).
        cuts: first frame of every scene but the first; no window straddles one.
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
    votes: Mapping[str, tuple[Prediction, ...]] = field(default_factory=dict)
    temporal: npt.NDArray[np.float64] | None = None
    cuts: tuple[int, ...] = ()

    @property
    def classes(self) -> tuple["Explanation", ...]:
        """One explanation a class, best class first; the first is this one."""
        return (self, *self.others)

    def frame(self, index: int, layer: str | None = None) -> Map:
        """Attention `(H, W)` in [0, 1] over one frame, in the frame's pixels."""
        volume = self.volume if layer is None else self.layer_volumes[layer]
        attention: Map = self.geometry.backward(volume[index][None])[0]
        return attention

    def frames(self) -> Iterator[Map]:
        """Attention `(H, W)` of every frame in order, in constant memory."""
        return (self.frame(index) for index in range(len(self.volume)))

    @property
    def attention(self) -> Map:
        """float32 `(T, H, W)` in [0, 1], in the geometry of the video; for long videos see `frames`."""
        return np.stack(list(self.frames()))

    @property
    def layers(self) -> dict[str, Map]:
        """Layer name → float32 `(T, H, W)`, before the aggregate."""
        return {
            name: np.stack([self.frame(index, name) for index in range(len(volume))])
            for name, volume in self.layer_volumes.items()
        }

    @property
    def relevance(self) -> npt.NDArray[np.float64]:
        """`(T,)` in [0, 1]: each frame's mean attention, relative to the highest of them."""
        return self.volume.relevance

    def boxes(self, threshold: float = 0.5, *, every: bool = False) -> list[list[Box]]:
        """Boxes of every frame; see `glocal.localization.boxes`."""
        return [boxes(attention, threshold, every=every) for attention in self.frames()]

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
            "votes": {gate: [asdict(vote) for vote in votes] for gate, votes in self.votes.items()},
            "temporal": None if self.temporal is None else self.temporal.round(6).tolist(),
            "cuts": list(self.cuts),
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
                votes={
                    gate: tuple(Prediction(**vote) for vote in votes)
                    for gate, votes in facts.get("votes", {}).items()
                },
                temporal=None if facts.get("temporal") is None else np.array(facts["temporal"], float),
                cuts=tuple(facts.get("cuts", ())),
            )
        except OSError as error:
            raise InputError(f"{error.filename or path} cannot be read: {error.strerror}.") from error
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path} and the NPZ beside it are not a saved explanation ({error})."
            ) from error


def _write_maps(
    archive: zipfile.ZipFile, name: str, scale_name: str, maps: Iterable[Map], count: int, peak: float
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

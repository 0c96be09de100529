"""`Explanation`: the predictions for a video, and where and when the reasons for a class lie."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.explanation.parts import ExplainedClass, Prediction, VideoFacts, WindowPredictions, is_unsure
from glocal.explanation.volume import Volume
from glocal.regions.boxes import auto_threshold, boxes
from glocal.regions.segments import segments
from glocal.regions.tubes import tubes
from glocal.types import AttributionMap, ScoredBox, Segment, Threshold, Tube
from glocal.utils.files import file_name, without_folders
from glocal.video import Geometry, Video

RELEVANCE_FLOOR: float = 0.1
"""Boxes of frames of a lower relevance enclose noise: they are marked in files, and not drawn."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where and when a model found its reasons for a class in a video.

    Attributes:
        video: path and size of the video.
        times: `(T,)` presentation time of every frame in seconds.
        model: name of the model.
        weights: where the model's weights come from.
        method: name of the attribution method.
        aggregate: how the layers' maps were combined.
        predictions: the best classes, best first.
        target: the class explained.
        classes: what the model's classes are, such as `400 actions of people (Kinetics-400)`.
        volume: the attribution on the clips' grid, one map a frame; `frame(i)` and `attention` return it in
            pixels of the frame.
        layer_volumes: layer name → that layer's volume.
        geometry: maps pixels of the frame to the clip and back.
        notes: sentences that a reader must know, such as that the weights are random.
        remarks: sentences on how the video became clips, such as that its last frame was repeated.
        others: with `target="topK"`, the explanations of the second to the K-th class.
        options: the method's options, such as the number of samples.
        votes: gate → its best classes, of a gated network: the mean over the windows of the softmax of that
            gate's logits alone.
        temporal: `(T,)` in [0, 1], the temporal attention of a network that has one (ST-ABN's M_t).
        cuts: first frame of every scene but the first; no window crosses one.
        before: if the network's attention was edited, the best classes without the edit.
        windows: what the model predicts for each of the windows that `predictions` average.
        source: the video itself, if it is still open; a notebook shows its frames.
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
    others: tuple["Explanation", ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    votes: Mapping[str, tuple[Prediction, ...]] = field(default_factory=dict)
    temporal: npt.NDArray[np.float64] | None = None
    cuts: tuple[int, ...] = ()
    before: tuple[Prediction, ...] = ()
    source: Video | None = None
    remarks: tuple[str, ...] = ()
    classes: str = ""
    windows: tuple[WindowPredictions, ...] = ()

    def __repr__(self) -> str:
        against = "against " if self.target.counterfactual else ""
        return (
            f"<Explanation {against}{self.target.label!r} in {self.video.path!r}: {len(self.volume)} frames, "
            f"{self.model}, {self.method}>"
        )

    def _repr_html_(self) -> str:
        """Return the report's page, which a notebook shows."""
        from glocal.report.page import notebook_html

        return notebook_html(self)

    @property
    def per_class(self) -> tuple["Explanation", ...]:
        """One explanation a class, best class first; the first is this one."""
        return (self, *self.others)

    def with_path(self, path: str) -> "Explanation":
        """Return a copy of this explanation, and of its `others`, that names another path of the video."""
        others = tuple(other.with_path(path) for other in self.others)
        return replace(self, video=replace(self.video, path=path), others=others)

    @property
    def probability(self) -> float:
        """The probability of the class explained.

        If the class is not among `predictions`, the lowest of those, which bounds it.
        """
        scores = {prediction.index: prediction.score for prediction in self.predictions}
        return scores.get(self.target.index, min(scores.values(), default=1.0))

    def frame(self, index: int, layer: str | None = None) -> AttributionMap:
        """Return the attribution map `(H, W)` in [0, 1] of one frame, in the frame's pixels.

        Args:
            index: of the frame.
            layer: name of a layer, for the map of that layer alone.
        """
        volume = self.volume if layer is None else self.layer_volumes[layer]
        attribution: AttributionMap = self.geometry.backward(volume[index][None])[0]
        return attribution

    def frames(self) -> Iterator[AttributionMap]:
        """Iterate over the maps `(H, W)` of all frames in order, in constant memory."""
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
        """`(T,)` in [0, 1]: each frame's mean attribution, relative to the highest of them."""
        return self.volume.relevance

    @property
    def is_relevant(self) -> npt.NDArray[np.bool_]:
        """`(T,)`: whether a frame's relevance is at least `RELEVANCE_FLOOR`, so its boxes mean something."""
        return self.relevance >= RELEVANCE_FLOOR

    @property
    def is_answer(self) -> bool:
        """Whether the class explained is the model's best, and not what speaks against it."""
        best = self.predictions[0].index if self.predictions else None
        return self.target.index == best and not self.target.counterfactual

    @property
    def is_unsure(self) -> bool:
        """Whether the best class is improbable, or hardly ahead; see `glocal.explanation.parts.is_unsure`."""
        return is_unsure(self.predictions)

    def boxes(self, threshold: Threshold = 0.5, *, multi_contour: bool = False) -> list[list[ScoredBox]]:
        """Return the boxes of every frame; see `glocal.localization.boxes`.

        Args:
            threshold: share of a frame's maximum, or `"auto"`: one for the whole video, see
                `glocal.localization.auto_threshold`.
            multi_contour: return the boxes of all contours of a frame, not only of the largest.
        """
        level = self.box_threshold(threshold)
        key = self.boxes_key(level, multi_contour=multi_contour)
        of_frames = self.volume.result(
            key, lambda: [boxes(maps, level, multi_contour=multi_contour) for maps in self.frames()]
        )
        return [list(frame_boxes) for frame_boxes in of_frames]

    def boxes_key(self, threshold: float, *, multi_contour: bool = False) -> tuple[Any, ...]:
        """Return the key in `volume.results` of the boxes of every frame, as `boxes` keeps them."""
        return ("boxes", self.geometry, threshold, multi_contour)

    def box_threshold(self, threshold: Threshold = "auto") -> float:
        """Return the share of a frame's maximum that `threshold`, `"auto"` or a number, stands for."""
        return auto_threshold(self.volume) if threshold == "auto" else threshold

    def tubes(self, threshold: Threshold = "auto", *, count: int = 5) -> list[Tube]:
        """Return boxes linked over time, the highest score first; see `glocal.localization.tubes`.

        Scores are the attribution times the probability of the class.

        Args:
            threshold: as for `boxes`.
            count: at most this many tubes a scene.
        """
        tubes_of_video = tubes(self.boxes(threshold, multi_contour=True), cuts=self.cuts, max_tubes=count)
        return [tube._replace(score=tube.score * self.probability) for tube in tubes_of_video]

    def segments(self, threshold: Threshold = "auto") -> list[Segment]:
        """Return the spans of time in which the class is relevant; see `glocal.localization.segments`.

        Scores are the relevance times the probability of the class, so that the segments of all classes can
        be ranked together.
        """
        end = float(self.times[-1]) + 1 / self.video.fps
        segments_of_video = segments(
            self.relevance, self.times, end, threshold=threshold, cuts=self.cuts, label=self.target.label
        )
        return [segment._replace(score=segment.score * self.probability) for segment in segments_of_video]

    def without_folders(self) -> "Explanation":
        """Return a copy, and copies of its `others`, that name files without the folders they are in."""
        others = tuple(other.without_folders() for other in self.others)
        return replace(
            self,
            video=replace(self.video, path=file_name(self.video.path)),
            model=file_name(self.model),
            weights=", ".join(map(file_name, self.weights.split(", "))),
            notes=tuple(map(without_folders, self.notes)),
            remarks=tuple(map(without_folders, self.remarks)),
            others=others,
        )

    def as_dict(self, threshold: float = 0.5, *, full_paths: bool = False) -> dict[str, Any]:
        """Return the content of `<stem>.json`; see `glocal.explanation.io.explanation_as_dict`."""
        from glocal.explanation.io import explanation_as_dict

        return explanation_as_dict(self, threshold, full_paths=full_paths)

    def save(
        self,
        folder: "str | os.PathLike[str]",
        stem: str | None = None,
        threshold: float = 0.5,
        *,
        npz: bool = True,
        layer_maps: bool = True,
        full_paths: bool = False,
    ) -> Path:
        """Write `<stem>.npz` and `<stem>.json`; see `glocal.explanation.io.save_explanation`."""
        from glocal.explanation.io import save_explanation

        return save_explanation(
            self, folder, stem, threshold, npz=npz, layer_maps=layer_maps, full_paths=full_paths
        )

    @classmethod
    def load(cls, path: "str | os.PathLike[str]") -> "Explanation":
        """Read what `save` wrote; see `glocal.explanation.io.load_explanation`."""
        from glocal.explanation.io import load_explanation

        return load_explanation(path)

"""The facts of a saved explanation, checked: everything in its JSON file, without the maps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.explanation.explanation import Explanation
from glocal.explanation.geometry_bounds import check_geometry
from glocal.explanation.parts import ExplainedClass, Prediction, VideoFacts, WindowPredictions
from glocal.explanation.volume import Volume
from glocal.utils.json_files import read_json
from glocal.utils.structure import construct
from glocal.video import Geometry
from glocal.video.demuxing import MAX_PIXELS

MAX_LAYERS = 4096
"""Layers of an explanation."""


@dataclass(frozen=True)
class ExplanationFacts:
    """The content of an explanation's JSON file, in the types of `Explanation`; extra keys are left out.

    Raises:
        UsageError: values contradict each other.
    """

    video: VideoFacts
    model: str
    weights: str
    method: str
    aggregate: str
    layers: tuple[str, ...]
    predictions: tuple[Prediction, ...]
    target: ExplainedClass
    notes: tuple[str, ...]
    geometry: Geometry
    times: tuple[float, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    votes: Mapping[str, tuple[Prediction, ...]] = field(default_factory=dict)
    temporal: tuple[float, ...] | None = None
    cuts: tuple[int, ...] = ()
    before: tuple[Prediction, ...] = ()
    remarks: tuple[str, ...] = ()
    classes: str = ""
    windows: tuple[WindowPredictions, ...] = ()
    relative_path: str | None = None

    def __post_init__(self) -> None:
        video, count = self.video, len(self.times)
        _check(0 < video.width * video.height <= MAX_PIXELS and video.width > 0, "the size of the video")
        _check(0 < video.fps < float("inf"), "the frame rate")
        _check(self.geometry.frame == (video.height, video.width), "the frame of the geometry")
        check_geometry(self.geometry)
        _check(0 < count == video.frames, "the number of frames")
        _check(all(np.isfinite(self.times)) and all(np.diff(self.times) >= 0), "the times")
        _check(self.temporal is None or len(self.temporal) == count, "the temporal attention")
        _check(all(0 <= cut <= count for cut in self.cuts), "the cuts")
        _check(len(set(self.layers)) == len(self.layers) <= MAX_LAYERS, "the layers")

    @classmethod
    def read(cls, path: Path) -> "ExplanationFacts":
        """Read the JSON file of an explanation.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no JSON, or its values have other types or contradict each other.
        """
        content = read_json(path, finite=True)
        if not isinstance(content, dict):
            raise ValueError("it holds no table")
        values = {name: content[name] for name in cls.__dataclass_fields__ if name in content}
        frames = content.get("frames")
        if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
            raise ValueError("its frames are no list of tables")
        values["times"] = [frame.get("time") for frame in frames]
        try:
            return construct(cls, values, path.name)
        except UsageError as problem:  # a GlocalError: it would pass as what it is
            raise ValueError(str(problem)) from None

    def explanation(self, volume: Volume, layers: dict[str, Volume]) -> Explanation:
        """Return the explanation with its maps.

        Args:
            volume: of the aggregate.
            layers: layer → its maps.
        """
        array: Callable[[Any], npt.NDArray[np.float64]] = lambda values: np.array(values, float)  # noqa: E731
        return Explanation(
            video=self.video,
            times=array(self.times),
            model=self.model,
            weights=self.weights,
            method=self.method,
            aggregate=self.aggregate,
            predictions=self.predictions,
            target=self.target,
            volume=volume,
            layer_volumes=layers,
            geometry=self.geometry,
            notes=self.notes,
            options=self.options,
            votes=self.votes,
            temporal=None if self.temporal is None else array(self.temporal),
            cuts=self.cuts,
            before=self.before,
            remarks=self.remarks,
            classes=self.classes,
            windows=self.windows,
        )


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise UsageError(f"{what} cannot be")

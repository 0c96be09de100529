"""Edits of the intrinsic attention of a network (M_s and M_t of an ST-ABN)."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from glocal.errors import InputError, UsageError
from glocal.models.stabn import AttentionTransform
from glocal.types import AttributionMap
from glocal.utils.files import printable
from glocal.utils.npz import array_names, open_array, open_npz
from glocal.utils.resources import failures_as
from glocal.video import Geometry, Window

VideoShape = tuple[int, int, int]
"""(T, H, W) of a video: its frames, and their height and width in pixels."""

SHAPES: dict[str, tuple[int, ...]] = {"box": (4,), "span": (2,), "value": (), "outside": ()}
NUMBER_BYTES, SMALL_BYTES = 8, 2**16
"""Bytes of a number in a file, and of the largest edit of a video of any size."""

KEYS = ("spatial", "temporal", *SHAPES)


@dataclass(frozen=True, eq=False)
class Edit:
    """Values in [0, 1] that replace attention over the frames of a video; NaN keeps the network's own.

    Attributes:
        spatial: one map `(H, W)` a frame, in the frame's pixels, which replaces M_s; None keeps M_s.
        temporal: `(T,)`, which replaces M_t; None keeps M_t.
    """

    spatial: Sequence[AttributionMap] | None = None
    temporal: npt.NDArray[np.float32] | None = None

    def __repr__(self) -> str:
        values = {"spatial": self.spatial, "temporal": self.temporal}
        edited = [f"{name} of {len(value)} frames" for name, value in values.items() if value is not None]
        return f"Edit({', '.join(edited)})"

    @classmethod
    def from_array(cls, values: npt.ArrayLike) -> "Edit":
        """Make an edit of M_s from `(T, H, W)`, or of M_t from `(T,)`, of numbers or booleans.

        Raises:
            UsageError: the array has another shape, or values outside [0, 1].
        """
        try:
            array = np.asarray(values, np.float32)
        except (TypeError, ValueError):
            raise UsageError("an edit is an array of numbers or booleans.") from None
        if array.ndim not in (1, 3):
            raise UsageError(f"an edit is an array (T, H, W) or (T,), not one of shape {array.shape}.")
        _check_values(array)
        return cls(temporal=array) if array.ndim == 1 else cls(spatial=list(array))

    @classmethod
    def box(
        cls,
        video: VideoShape,
        box: Sequence[float],
        span: tuple[int, int] | None = None,
        value: float = 1.0,
        outside: float = float("nan"),
    ) -> "Edit":
        """Set M_s to `value` in a box, and to `outside` beside the box, in some frames.

        Args:
            video: (T, H, W) of the video.
            box: x0, y0, x1, y1, half-open, in pixels of the frames.
            span: frames [start, end); None for all.
            value: in [0, 1].
            outside: in [0, 1]; NaN keeps M_s beside the box.

        Raises:
            UsageError: the box or the span lies outside the video, or a value outside [0, 1].
        """
        x0, y0, x1, y1 = _rounded("the box", box)
        _check_values(np.array([value, outside]))
        if not (0 <= x0 < x1 <= video[2] and 0 <= y0 < y1 <= video[1]):
            raise UsageError(
                f"the box ({x0}, {y0}, {x1}, {y1}) does not lie in frames of {video[2]}×{video[1]} pixels; "
                "give x0, y0, x1, y1."
            )
        start, end = _check_span(span, video[0])
        inside = np.full(video[1:], outside, np.float32)
        inside[y0:y1, x0:x1] = value
        untouched = np.full(video[1:], np.nan, np.float32)
        return cls(spatial=[inside if start <= t < end else untouched for t in range(video[0])])

    @classmethod
    def moment(
        cls, frames: int, span: tuple[int, int], value: float = 1.0, outside: float = float("nan")
    ) -> "Edit":
        """Set M_t to `value` in the frames [start, end) of `span`, and to `outside` in the others.

        Args:
            frames: number of frames of the video.
            span: frames [start, end).
            value: in [0, 1].
            outside: in [0, 1]; NaN keeps M_t in the other frames.

        Raises:
            UsageError: the span lies outside the video, or a value outside [0, 1].
        """
        start, end = _check_span(span, frames)
        values = np.full(frames, outside, np.float32)
        values[start:end] = value
        return cls.from_array(values)

    @classmethod
    def load(cls, path: "str | os.PathLike[str]", video: VideoShape) -> "Edit":
        """Read an NPZ file whose keys are the arguments of the other constructors.

        The file holds `spatial` `(T, H, W)`, `temporal` `(T,)` or both; or `box` `(4,)`, `span` `(2,)` or
        both, with `value` and `outside` if they are not 1 and NaN. A span without a box edits M_t.

        Args:
            path: of the NPZ file.
            video: (T, H, W) of the video.

        Raises:
            InputError: the file cannot be read, holds something else, or does not fit the video.
        """
        arrays = _read_arrays(Path(path), video)
        try:
            return cls._from_arrays(arrays, video)
        except UsageError as problem:
            raise InputError(f"the edit {printable(path)} does not fit: {problem}") from None

    @classmethod
    def _from_arrays(cls, arrays: dict[str, npt.NDArray[Any]], video: VideoShape) -> "Edit":
        edits = [cls.from_array(arrays[key]) for key in ("spatial", "temporal") if key in arrays]
        values = {key: float(arrays[key]) for key in ("value", "outside") if key in arrays}
        span: Any = tuple(arrays["span"].tolist()) if "span" in arrays else None
        if "box" in arrays:
            edits.append(cls.box(video, arrays["box"].tolist(), span, **values))
        elif span is not None:
            edits.append(cls.moment(video[0], span, **values))
        spatial = next((edit.spatial for edit in edits if edit.spatial is not None), None)
        temporal = next((edit.temporal for edit in edits if edit.temporal is not None), None)
        return cls(spatial, temporal).check_shape(video)

    def check_shape(self, video: VideoShape) -> "Edit":
        """Return this edit if it fits a video of (T, H, W).

        Raises:
            UsageError: the edit has another number of frames or another size.
        """
        t, h, w = video
        if self.temporal is not None and len(self.temporal) != t:
            raise UsageError(f"the edit is of {len(self.temporal)} frames, the video of {t}.")
        if self.spatial is not None and (len(self.spatial) != t or self.spatial[0].shape != (h, w)):
            height, width = self.spatial[0].shape if len(self.spatial) else (0, 0)
            raise UsageError(
                f"the edit is of {len(self.spatial)} frames of {width}×{height} pixels, the video of {t} "
                f"frames of {w}×{h}."
            )
        return self

    def change(self, window: Window, geometry: Geometry) -> AttentionTransform:
        """Return the part of this edit that falls into a window, as a function of the attention it replaces.

        The edit is averaged over each cell of the attention's grid. A cell that is edited in a part of its
        space and time keeps its own value for the rest.
        """
        frames = window.frames.tolist()
        space = time = None
        if self.spatial is not None:
            maps = np.stack([geometry.forward(_known(self.spatial[frame])) for frame in frames])
            space = torch.from_numpy(maps).permute(3, 0, 1, 2)[None]
        if self.temporal is not None:
            time = torch.from_numpy(_known(self.temporal[window.frames])).T[None]

        def change(m_s: Tensor, m_t: Tensor) -> tuple[Tensor, Tensor]:
            if space is not None:
                cells = F.adaptive_avg_pool3d(space.to(m_s), tuple(m_s.shape[2:]))  # type: ignore[arg-type]
                m_s = _mix(m_s, cells)
            if time is not None:
                cells = F.adaptive_avg_pool1d(time.to(m_t), m_t.shape[2])
                m_t = _mix(m_t, cells[..., None, None])
            return m_s, m_t

        return change


def _read_arrays(path: Path, video: VideoShape) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of an NPZ file with an edit, by key; none is larger than the video."""

    def described(problem: Exception) -> InputError:
        if isinstance(problem, OSError):
            return InputError(f"the edit {printable(path)} cannot be read ({problem.strerror}).")
        return InputError(
            f"{printable(path)} is no NPZ file of arrays ({problem}); write one with numpy.savez."
        )

    limit = NUMBER_BYTES * math.prod(video) + SMALL_BYTES
    shapes: dict[str, tuple[int, ...]] = {}
    arrays: dict[str, npt.NDArray[Any]] = {}
    with failures_as((OSError, ValueError), described), open_npz(path) as archive:
        for key in array_names(archive)[: len(KEYS) + 1]:
            with open_array(archive, key, limit=limit) as array:
                shapes[key] = array.shape
                if key in KEYS and array.shape == SHAPES.get(key, array.shape):
                    arrays[key] = array.read()
    if set(arrays) != set(shapes) or not {"spatial", "temporal", "box", "span"} & set(arrays):
        listing = ", ".join(f"{key[:40]} {shape}" for key, shape in shapes.items()) or "nothing"
        raise InputError(
            f"{printable(path)} holds {listing}; an edit holds spatial (T, H, W), temporal (T,), or box (4,) "
            "and span (2,), and optionally the numbers value and outside."
        )
    return arrays


def _check_values(values: npt.NDArray[Any]) -> None:
    if (values < 0).any() or (values > 1).any():
        raise UsageError("the values of an edit lie in [0, 1], or NaN where the network keeps its own.")


def _known(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return `(…, 2)`: the values with 0 in place of NaN, and 1 at a value, 0 at NaN."""
    known = np.isfinite(values)
    return np.stack([np.where(known, values, 0), known], -1).astype(np.float32)


def _mix(attention: Tensor, cells: Tensor) -> Tensor:
    """Replace `attention` `(B, 1, …)` by `cells` `(1, 2, …)`: edited values and the share that they cover."""
    return (1 - cells[:, 1:]) * attention + cells[:, :1]


def _rounded(what: str, values: Sequence[float]) -> list[int]:
    if not all(math.isfinite(value) for value in values):
        raise UsageError(f"{what} {tuple(values)} is not made of finite numbers.")
    return [round(value) for value in values]


def _check_span(span: Sequence[float] | None, frames: int) -> tuple[int, int]:
    start, end = (0, frames) if span is None else _rounded("the span", span)
    if not 0 <= start < end <= frames:
        raise UsageError(f"the span {start} to {end} does not lie in a video of {frames} frames.")
    return start, end


EditLike: TypeAlias = Edit | npt.ArrayLike | os.PathLike[str]
"""An `Edit`, an array for `Edit.from_array`, or the path of a file for `Edit.load`."""

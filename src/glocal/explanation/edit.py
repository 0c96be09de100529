"""What a person puts in place of a network's own attention (M_s and M_t of an ST-ABN)."""

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from glocal.errors import InputError, UsageError
from glocal.models.stabn import AttentionTransform
from glocal.types import AttributionMap
from glocal.utils.files import shown
from glocal.video import Geometry, Window

Shape = tuple[int, int, int]
"""(T, H, W) of a video: its frames, and their pixels."""

SHAPES = {"box": (4,), "span": (2,), "value": (), "outside": ()}
KEYS = ("spatial", "temporal", *SHAPES)


@dataclass(frozen=True, eq=False)
class Edit:
    """Attention over the frames of a video, in [0, 1]; NaN leaves the network's own.

    Attributes:
        spatial: one map `(H, W)` a frame, in the frame's pixels; None leaves M_s as it is.
        temporal: `(T,)`; None leaves M_t as it is.
    """

    spatial: Sequence[AttributionMap] | None = None
    temporal: npt.NDArray[np.float32] | None = None

    @classmethod
    def of(cls, values: npt.ArrayLike) -> "Edit":
        """An edit of M_s from `(T, H, W)`, or of M_t from `(T,)`; numbers, or true and false.

        Raises:
            UsageError: another shape, or values outside of [0, 1].
        """
        array = np.asarray(values, np.float32)
        if array.ndim not in (1, 3):
            raise UsageError(f"an edit is an array (T, H, W) or (T,), not one of shape {array.shape}.")
        _check_values(array)
        return cls(temporal=array) if array.ndim == 1 else cls(spatial=list(array))

    @classmethod
    def box(
        cls,
        video: Shape,
        box: Sequence[float],
        span: tuple[int, int] | None = None,
        value: float = 1.0,
        outside: float = float("nan"),
    ) -> "Edit":
        """M_s is `value` inside of a box over some frames, and `outside` beside it in these frames.

        Args:
            video: (T, H, W).
            box: x0, y0, x1, y1, half-open, in pixels of the frames.
            span: frames [start, end); None for all.

        Raises:
            UsageError: a box or a span outside of the video, or values outside of [0, 1].
        """
        x0, y0, x1, y1 = (round(edge) for edge in box)
        _check_values(np.array([value, outside]))
        if not (0 <= x0 < x1 <= video[2] and 0 <= y0 < y1 <= video[1]):
            raise UsageError(
                f"the box ({x0}, {y0}, {x1}, {y1}) does not lie in frames of {video[2]}×{video[1]} pixels; "
                "give x0, y0, x1, y1."
            )
        start, end = _span(span, video[0])
        inside = np.full(video[1:], outside, np.float32)
        inside[y0:y1, x0:x1] = value
        untouched = np.full(video[1:], np.nan, np.float32)
        return cls(spatial=[inside if start <= t < end else untouched for t in range(video[0])])

    @classmethod
    def moment(
        cls, frames: int, span: tuple[int, int], value: float = 1.0, outside: float = float("nan")
    ) -> "Edit":
        """M_t is `value` in the frames [start, end) of `span`, and `outside` in the others.

        Raises:
            UsageError: a span outside of the video, or values outside of [0, 1].
        """
        start, end = _span(span, frames)
        values = np.full(frames, outside, np.float32)
        values[start:end] = value
        return cls.of(values)

    @classmethod
    def load(cls, path: "str | os.PathLike[str]", video: Shape) -> "Edit":
        """Read an NPZ file with the keys of `Edit.of` or of the other constructors.

        `spatial` `(T, H, W)` and `temporal` `(T,)`, one of them or both; or `box` `(4,)`, `span` `(2,)` or
        both, with `value` and `outside` if they are not 1 and NaN. A span without a box edits M_t.

        Raises:
            InputError: the file cannot be read, or holds something else.
            UsageError: what it holds is no edit of this video.
        """
        path = Path(path)
        try:
            with np.load(path) as content:
                found: dict[str, Any] = {key: content[key] for key in content.files}
        except OSError as problem:
            raise InputError(f"the edit {shown(path)} cannot be read ({problem.strerror}).") from None
        except (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
            raise InputError(f"{shown(path)} is no NPZ file of arrays; write one with numpy.savez.") from None
        wrong = [key for key, value in found.items() if value.shape != SHAPES.get(key, value.shape)]
        if wrong or set(found) - set(KEYS) or not {"spatial", "temporal", "box", "span"} & set(found):
            held = ", ".join(f"{key} {value.shape}" for key, value in found.items()) or "nothing"
            raise InputError(
                f"{shown(path)} holds {held}; an edit holds spatial (T, H, W), temporal (T,), or box (4,) "
                "and span (2,), and perhaps the numbers value and outside."
            )
        arrays = [cls.of(found[key]) for key in ("spatial", "temporal") if key in found]
        values = {key: float(found[key]) for key in ("value", "outside") if key in found}
        span = tuple(found["span"].tolist()) if "span" in found else None
        if "box" in found:
            arrays.append(cls.box(video, found["box"].tolist(), span, **values))
        elif span is not None:
            arrays.append(cls.moment(video[0], span, **values))
        spatial = next((edit.spatial for edit in arrays if edit.spatial is not None), None)
        temporal = next((edit.temporal for edit in arrays if edit.temporal is not None), None)
        return cls(spatial, temporal).checked(video)

    def checked(self, video: Shape) -> "Edit":
        """This edit, if it fits a video of (T, H, W).

        Raises:
            UsageError: it is of another length or size.
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
        """This edit as a window of the video sees it, on the grid of whatever attention it replaces.

        A cell of the grid that is edited in a part of its space and time keeps its own value for the rest.
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


def _check_values(values: npt.NDArray[Any]) -> None:
    if (values < 0).any() or (values > 1).any():
        raise UsageError("the values of an edit lie in [0, 1], or are NaN for what is left as it is.")


def _known(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Last axis: the values with 0 for NaN, and 1 where there is a value, else 0."""
    known = np.isfinite(values)
    return np.stack([np.where(known, values, 0), known], -1).astype(np.float32)


def _mix(own: Tensor, cells: Tensor) -> Tensor:
    """`own` `(B, 1, …)` where `cells` `(1, 2, …)`, values and the share that they cover, leave it."""
    return (1 - cells[:, 1:]) * own + cells[:, :1]


def _span(span: Sequence[float] | None, frames: int) -> tuple[int, int]:
    start, end = (0, frames) if span is None else map(round, span)
    if not 0 <= start < end <= frames:
        raise UsageError(f"the span {start} to {end} does not lie in a video of {frames} frames.")
    return start, end

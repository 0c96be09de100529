"""The figures of the papers, for any video: rows of methods, classes, images or checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glocal.errors import UsageError
from glocal.explanation.explanation import Explanation
from glocal.report.drawing import overlay, overlay_title
from glocal.report.figure_grid import PictureRow, ValueRow, figure_grid
from glocal.report.page_media import key_frames
from glocal.report.style import OverlayStyle
from glocal.types import AttributionMap, Frame, FrameIndices
from glocal.video import Video

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_STYLE = OverlayStyle(threshold=None)

COLORBAR_LABELS: Mapping[str, str] = {
    "video": "attribution",
    "soft": "attribution, softened",
    "frame": "share of the frame's",
}
"""Scale of the colours → what the colour bar of frames of one video stands for."""


@dataclass(frozen=True)
class ColumnFrames:
    """Which frames of a video are the columns of a figure.

    Attributes:
        inside: indices of the frames to choose from, ascending.
        count: largest number of columns.
    """

    inside: FrameIndices
    count: int

    @classmethod
    def between(
        cls, video: Video, count: int, *, start: float = 0.0, end: float | None = None
    ) -> "ColumnFrames":
        """Choose from the frames between `start` and `end` seconds.

        Raises:
            UsageError: the video has no frame between `start` and `end`.
        """
        inside = np.flatnonzero((video.times >= start) & (video.times <= (np.inf if end is None else end)))
        if not len(inside):
            raise UsageError(
                f"{video.name} has no frame between {start:g} and {'its end' if end is None else f'{end:g}'} "
                f"seconds; it lasts {video.times[-1]:.2f}."
            )
        return cls(inside, count)

    def evenly_spaced(self) -> list[int]:
        """Return the indices of evenly spaced frames."""
        positions = np.linspace(0, len(self.inside) - 1, min(self.count, len(self.inside)))
        return [int(index) for index in self.inside[positions.round().astype(int)]]

    def most_relevant(self, explanation: Explanation) -> list[int]:
        """Return the indices of the most relevant frames, in the order of time; see `key_frames`."""
        positions = key_frames(explanation.relevance[self.inside], self.count)
        return [int(index) for index in self.inside[positions]]


def methods_figure(
    video: Video,
    explanations: Mapping[str, Explanation],
    frames: Sequence[int],
    *,
    style: OverlayStyle = FIGURE_STYLE,
) -> "Figure":
    """Draw frames over time, and below them what each method highlights (Yudistira et al., fig. 4 and 7).

    Args:
        video: the explained video.
        explanations: row label → explanation of `video`.
        frames: indices, ascending.
        style: of the overlays.
    """
    plain = list(video.frames_at(frames))
    rows = [PictureRow("frames", plain)]
    rows += [PictureRow(name, _overlays(plain, e, frames, style)) for name, e in explanations.items()]
    return figure_grid(
        rows,
        _frame_times(video, frames),
        colormap=style.colormap,
        colorbar_label=COLORBAR_LABELS[style.scale],
    )


def images_figure(
    images: Sequence[Video],
    explanations: Mapping[str, Sequence[Explanation]],
    *,
    style: OverlayStyle = FIGURE_STYLE,
) -> "Figure":
    """Draw images side by side, and below them what each method highlights (Yudistira et al., fig. 8).

    Args:
        images: of a video, its most relevant frame is drawn.
        explanations: row label → one explanation for each image.
        style: of the overlays.
    """
    first = next(iter(explanations.values()))
    frames = [int(e.relevance.argmax()) for e in first]
    plain = [video[frame] for video, frame in zip(images, frames, strict=True)]
    rows = [PictureRow("image", _same_shape(plain))]
    for name, row in explanations.items():
        overlays = [overlay(p, e.frame(f), style) for p, e, f in zip(plain, row, frames, strict=True)]
        rows.append(PictureRow(name, _same_shape(overlays)))
    return figure_grid(rows, [e.target.label for e in first], colormap=style.colormap)


def classes_figure(
    video: Video,
    explanations: Sequence[Explanation],
    frames: Sequence[int],
    *,
    style: OverlayStyle = FIGURE_STYLE,
) -> "Figure":
    """Draw the evidence for and against several classes, a row each (Yudistira et al., fig. 6)."""
    plain = list(video.frames_at(frames))
    rows = [PictureRow("frames", plain)]
    for explanation in explanations:
        label = overlay_title(explanation).replace("  ", "\n")
        rows.append(PictureRow(label, _overlays(plain, explanation, frames, style)))
    return figure_grid(
        rows,
        _frame_times(video, frames),
        colormap=style.colormap,
        colorbar_label=COLORBAR_LABELS[style.scale],
    )


def temporal_figure(
    video: Video, explanation: Explanation, frames: Sequence[int], *, style: OverlayStyle = FIGURE_STYLE
) -> "Figure":
    """Draw frames with the temporal and spatial attention of an ST-ABN (Mitsuhara et al., fig. 3).

    The numbers are M_t, in [0, 1]; the spatial attention of each frame is divided by its maximum.

    Raises:
        UsageError: the explanation has no temporal attention.
    """
    if explanation.temporal is None:
        raise UsageError(
            f"model '{explanation.model}' has no temporal attention; use one named st-abn/… for this figure."
        )
    plain = list(video.frames_at(frames))
    weights = [float(explanation.temporal[frame]) for frame in frames]
    spatial = [_scaled(explanation.frame(frame)) for frame in frames]
    overlays = [overlay(frame, attention, style) for frame, attention in zip(plain, spatial, strict=True)]
    rows: list[PictureRow | ValueRow] = [
        PictureRow("frames", plain),
        ValueRow("temporal\nattention", weights),
        PictureRow("spatial\nattention", overlays),
    ]
    return figure_grid(rows, _frame_times(video, frames), colormap=style.colormap, colorbar_label="attention")


def sanity_figure(
    frames: Sequence[Frame],
    attribution_maps: Mapping[str, Sequence[AttributionMap]],
    *,
    style: OverlayStyle = FIGURE_STYLE,
) -> "Figure":
    """Draw how a method's maps change as weights are randomised, a row a step (Adebayo et al., fig. 1).

    Args:
        frames: `(H, W, 3)`.
        attribution_maps: row label → maps `(H, W)`, one for each frame; each row is divided by its maximum.
        style: of the overlays.
    """
    rows = [PictureRow("frames", frames)]
    for name, row in attribution_maps.items():
        peak = np.float32(max(float(values.max(initial=0)) for values in row) or 1.0)
        overlays = [overlay(frame, values / peak, style) for frame, values in zip(frames, row, strict=True)]
        rows.append(PictureRow(name, overlays))
    return figure_grid(rows, colormap=style.colormap)


def _overlays(
    plain: Sequence[Frame], explanation: Explanation, frames: Sequence[int], style: OverlayStyle
) -> list[Frame]:
    attribution_maps = [explanation.frame(frame) for frame in frames]
    return [overlay(frame, values, style) for frame, values in zip(plain, attribution_maps, strict=True)]


def _scaled(attention: AttributionMap) -> AttributionMap:
    return np.asarray(attention / (attention.max(initial=0) or 1), np.float32)


def _frame_times(video: Video, frames: Sequence[int]) -> list[str]:
    return [] if video.is_image else [f"{video.times[frame]:.2f} s" for frame in frames]


def _same_shape(pictures: Sequence[Frame]) -> list[Frame]:
    """Crop pictures of different sizes to the squares in their centres."""
    if len({picture.shape for picture in pictures}) == 1:
        return list(pictures)
    squares = []
    for picture in pictures:
        height, width = picture.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        squares.append(picture[top : top + side, left : left + side])
    return squares

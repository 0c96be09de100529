"""The papers' figures, of one's own clips."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.explanation.explanation import Explanation
from glocal.report.figure_grid import Bar, Row, plate
from glocal.report.overlay import Style, overlay, title
from glocal.types import AttributionMap, Frame
from glocal.video import Video

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = Style(threshold=None)


def chosen_frames(video: Video, count: int, start: float = 0.0, end: float | None = None) -> list[int]:
    """`count` frames, or as many as there are, evenly between `start` and `end` seconds.

    Raises:
        UsageError: no frame lies there.
    """
    inside = np.flatnonzero((video.times >= start) & (video.times <= (np.inf if end is None else end)))
    if not len(inside):
        raise UsageError(
            f"{video.name} has no frame between {start:g} and {'its end' if end is None else f'{end:g}'} "
            f"seconds; it lasts {video.times[-1]:.2f}."
        )
    places = np.linspace(0, len(inside) - 1, min(count, len(inside)))
    return [int(inside[place]) for place in places.round().astype(int)]


def methods_figure(
    video: Video, explanations: Mapping[str, Explanation], frames: Sequence[int], style: Style = STYLE
) -> "Figure":
    """Frames over time, and below them what each method highlights (Yudistira et al., fig. 4 and 7).

    Args:
        explanations: name of a row → explanation of `video`.
        frames: indices, ascending.
    """
    plain = list(video.frames_at(frames))
    rows = [Row("frames", plain)]
    rows += [Row(name, _drawn(plain, e, frames, style)) for name, e in explanations.items()]
    return plate(rows, _heads(video, frames), colours=style.colours)


def images_figure(
    images: Sequence[Video], explanations: Mapping[str, Sequence[Explanation]], style: Style = STYLE
) -> "Figure":
    """Pictures side by side, and below them what each method highlights (Yudistira et al., fig. 8).

    Args:
        images: a video stands for its most relevant frame.
        explanations: name of a row → one explanation an image.
    """
    first = next(iter(explanations.values()))
    frames = [int(e.relevance.argmax()) for e in first]
    plain = [video[frame] for video, frame in zip(images, frames, strict=True)]
    rows = [Row("image", _alike(plain))]
    for name, found in explanations.items():
        drawn = [overlay(p, e.frame(f), style) for p, e, f in zip(plain, found, frames, strict=True)]
        rows.append(Row(name, _alike(drawn)))
    return plate(rows, [e.target.label for e in first], colours=style.colours)


def classes_figure(
    video: Video, explanations: Sequence[Explanation], frames: Sequence[int], style: Style = STYLE
) -> "Figure":
    """What speaks for the best classes, and against one (Yudistira et al., fig. 6): a row an explanation."""
    plain = list(video.frames_at(frames))
    rows = [Row("frames", plain)]
    rows += [Row(title(e).replace("  ", "\n"), _drawn(plain, e, frames, style)) for e in explanations]
    return plate(rows, _heads(video, frames), colours=style.colours)


def temporal_figure(
    video: Video, explanation: Explanation, frames: Sequence[int], style: Style = STYLE
) -> "Figure":
    """Frames, temporal attention and spatial attention of an ST-ABN (Mitsuhara et al., fig. 3).

    Raises:
        UsageError: the explanation has no temporal attention.
    """
    if explanation.temporal is None:
        raise UsageError(
            f"model '{explanation.model}' has no temporal attention; use one named st-abn/… for this figure."
        )
    plain = list(video.frames_at(frames))
    highest = float(explanation.temporal.max()) or 1.0
    weights = [float(explanation.temporal[frame]) / highest for frame in frames]
    rows: list[Row | Bar] = [
        Row("frames", plain),
        Bar("temporal\nattention", weights),
        Row("spatial\nattention", _drawn(plain, explanation, frames, style, own_scale=True)),
    ]
    return plate(rows, _heads(video, frames), colours=style.colours)


def sanity_figure(
    frames: Sequence[Frame], maps: Mapping[str, Sequence[AttributionMap]], style: Style = STYLE
) -> "Figure":
    """What happens to a method as the weights are made random: a row a step (Adebayo et al., fig. 1).

    Args:
        frames: `(H, W, 3)`.
        maps: name of a row → maps `(H, W)`, one a frame; each row is divided by its maximum.
    """
    rows = [Row("frames", frames)]
    for name, row in maps.items():
        peak = max(float(attention.max(initial=0)) for attention in row) or 1.0
        rows.append(
            Row(name, [overlay(f, a / np.float32(peak), style) for f, a in zip(frames, row, strict=True)])
        )
    return plate(rows, colours=style.colours)


def _drawn(
    plain: Sequence[Frame], e: Explanation, frames: Sequence[int], style: Style, own_scale: bool = False
) -> list[Frame]:
    maps: list[npt.NDArray[np.float32]] = [e.frame(frame) for frame in frames]
    if own_scale:
        maps = [attention / (attention.max(initial=0) or np.float32(1)) for attention in maps]
    return [overlay(frame, attention, style) for frame, attention in zip(plain, maps, strict=True)]


def _heads(video: Video, frames: Sequence[int]) -> list[str]:
    return [] if video.is_image else [f"{video.times[frame]:.2f} s" for frame in frames]


def _alike(pictures: Sequence[Frame]) -> list[Frame]:
    """Pictures of different sizes as squares, cut from their middles."""
    if len({picture.shape for picture in pictures}) == 1:
        return list(pictures)
    squares = []
    for picture in pictures:
        height, width = picture.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        squares.append(picture[top : top + side, left : left + side])
    return squares

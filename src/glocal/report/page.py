"""The report: one HTML file that opens offline and says what was decided, where, when, and by what."""

import base64
import os
from importlib.resources import files as package_files
from pathlib import Path

import cv2
import jinja2
import numpy as np
import numpy.typing as npt

from glocal import __version__
from glocal.explanation import Explanation
from glocal.files import atomic_path, writing
from glocal.report.overlay import Image, Style, Truth, draw, overlay
from glocal.video import Video

KEY_FRAMES = 6
EMBEDDED_BYTES = 24 * 2**20
TIMELINE = (1000, 120)
PICTURE_WIDTH = 480


def write_page(
    explanation: Explanation,
    video: Video,
    media: Path,
    path: "str | os.PathLike[str]",
    style: Style = Style(),  # noqa: B008 (immutable)
    truth: Truth | None = None,
) -> Path:
    """Write the report of `explanation` to `path`.

    Args:
        video: where its pictures are taken from.
        media: the overlay video or picture; it becomes a part of the page, unless it is so large that no
            browser would open it: then the page refers to the file beside it, and says so.
    """
    path = Path(path)
    keys = key_frames(explanation.relevance)
    peak = int(np.argmax(explanation.relevance))
    frames = dict(zip(sorted({*keys, peak}), video.frames_at(sorted({*keys, peak})), strict=True))

    def picture(index: int) -> str:
        found = truth[index] if truth else ()
        return data_uri(draw(frames[index], explanation.frame(index), style, found))

    def layer_picture(layer: str) -> str:
        attention = explanation.frame(peak, layer)
        return data_uri(overlay(frames[peak], attention / (attention.max() or 1), style))

    embedded = media.stat().st_size <= EMBEDDED_BYTES
    page = _template().render(
        explanation=explanation,
        version=__version__,
        media=_file_uri(media) if embedded else media.name,
        embedded=embedded,
        is_video=media.suffix == ".mp4",
        columns=2 if style.side_by_side else 1,
        truth=truth is not None,
        aspect=float(video.width * video.sample_aspect_ratio / video.height),
        duration=float(explanation.times[-1] + 1 / explanation.video.fps),
        timeline=timeline_path(explanation.times, explanation.relevance),
        timeline_size=TIMELINE,
        keys=[(i, float(explanation.times[i]), float(explanation.relevance[i]), picture(i)) for i in keys],
        peak=(peak, float(explanation.times[peak])),
        layers=[
            (name, volume.peaks[peak] * volume.factor, layer_picture(name))
            for name, volume in explanation.layer_volumes.items()
        ],
    )
    with writing(path), atomic_path(path) as temporary:
        temporary.write_text(page, "utf-8")
    return path


def key_frames(relevance: npt.NDArray[np.float64], count: int = KEY_FRAMES) -> list[int]:
    """The most relevant frame in the middle of each of `count` equal parts of the video."""
    parts = np.array_split(np.arange(len(relevance)), min(count, len(relevance)))
    parts = [part[len(part) // 4 : len(part) - len(part) // 4] for part in parts]
    return [int(part[np.argmax(relevance[part])]) for part in parts]


def timeline_path(times: npt.NDArray[np.float64], relevance: npt.NDArray[np.float64]) -> str:
    """SVG path of the relevance curve, filled to the ground; at most two points a pixel of its width."""
    width, height = TIMELINE
    span = float(times[-1]) or 1.0
    parts = np.array_split(np.arange(len(times)), min(len(times), 2 * width))
    points = [(times[part].mean() / span * width, height * (1 - relevance[part].max())) for part in parts]
    if len(points) == 1:
        points = [(0.0, points[0][1]), (float(width), points[0][1])]
    line = " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f"M0,{height} L{line} L{width},{height} Z"


def data_uri(image: Image) -> str:
    """`image` `(H, W, 3)` RGB, at most `PICTURE_WIDTH` pixels wide, as a JPEG inside an address."""
    if image.shape[1] > PICTURE_WIDTH:
        height = max(1, round(image.shape[0] * PICTURE_WIDTH / image.shape[1]))
        image = np.asarray(cv2.resize(image, (PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _file_uri(path: Path) -> str:
    kind = {".mp4": "video/mp4", ".png": "image/png"}[path.suffix]
    return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode()


def _template() -> jinja2.Template:
    source = package_files(__package__).joinpath("page.html").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(source)

"""`glocal demo`: the main job on a clip that needs no download, beside its truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np

from glocal.cli.listing import table
from glocal.cli.options import common_options, out_option
from glocal.cli.running import load, tell
from glocal.datasets.puppets import PuppetClip, Puppets
from glocal.explanation import Explanation
from glocal.localization import Box, iou
from glocal.models import Model
from glocal.pipeline import explain
from glocal.report import Truth, write_report
from glocal.video import read_video, write_video

MODEL = "r3d-18"
CLIP = {"frames": 48, "size": (240, 320), "fps": 16.0, "distractor": "idle", "scale": (0.5, 0.7)}
INDEX = 5


@click.command()
@out_option
@common_options
def demo(out: Path, quiet: bool, debug: bool) -> int:
    """Render a clip of a figure that acts, explain it, and compare with what is known to be true.

    The network is untrained: its attention is a baseline to look at, not a result.
    """
    clip = Puppets("test", **CLIP)[INDEX]  # type: ignore[arg-type]
    model = load(MODEL, None, None, "cpu")
    folder = out / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "clip.mp4"
    write_video(path, clip.frames, clip.fps)
    video = read_video(path)
    explanation = explain(model, video, progress=not quiet)
    truth = truth_of(clip)
    written = write_report(explanation, video, folder, "explained", truth=truth)
    if not quiet:
        summarise(clip, model, explanation, truth)
    for file in written:
        tell(quiet, str(file))
    return 0


def truth_of(clip: PuppetClip) -> Truth:
    """The acting figure's box in every frame where it is seen."""
    return [[Box(x0, y0, x1, y1, 1.0)] if x1 > x0 else [] for x0, y0, x1, y1 in clip.actors[0].boxes.tolist()]


def summarise(clip: PuppetClip, model: Model, explanation: Explanation, truth: Truth) -> None:
    """Print how well the attention finds the figure, beside what needs no network."""
    height, width = clip.frames.shape[1:3]
    full = Box(0, 0, width, height, 1.0)
    centre = Box(width // 3, height // 6, width - width // 3, height - height // 6, 1.0)
    found = explanation.boxes()
    peaks = [np.unravel_index(frame.argmax(), frame.shape) for frame in explanation.frames()]
    seen = [t for t, boxes in enumerate(truth) if boxes]
    hits = [any(b.x0 <= x < b.x1 and b.y0 <= y < b.y1 for b in truth[t]) for t in seen for y, x in [peaks[t]]]

    def mean_iou(boxes: Mapping[int, Sequence[Box]]) -> str:
        best = [max((iou(a, b) for a in boxes[t] for b in truth[t]), default=0.0) for t in seen]
        return f"{np.mean(best):.3f}"

    start, end = clip.span
    click.echo(
        f"clip: '{clip.action}' from frame {start} to {end} of {len(clip.frames)}, beside someone who is idle"
    )
    click.echo(
        f"network: {model.name}, untrained (weights {model.weights}): it has learned nothing about this\n"
    )
    table(
        ["boxes", "mean IoU with the acting figure", "maximum inside its box"],
        [
            ["attention (3DCAM)", mean_iou(dict(enumerate(found))), f"{np.mean(hits):.0%}"],
            ["whole frame", mean_iou({t: [full] for t in seen}), "-"],
            ["centre of the frame", mean_iou({t: [centre] for t in seen}), "-"],
        ],
    )
    click.echo("")

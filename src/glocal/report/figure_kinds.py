"""Figures of one video: methods, classes, temporal attention, and the sanity check."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from glocal.evaluation.sanity import randomised
from glocal.explanation.config import ExplainConfig
from glocal.explanation.runner import explain
from glocal.models import Model
from glocal.report.figures import (
    ColumnFrames,
    classes_figure,
    methods_figure,
    sanity_figure,
    temporal_figure,
)
from glocal.report.style import OverlayStyle
from glocal.video import Video

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_of_video(
    kind: str,
    model: Model,
    video: Video,
    configs: Mapping[str, ExplainConfig],
    columns: ColumnFrames,
    *,
    style: OverlayStyle,
    num_classes: int,
) -> "Figure":
    """Explain one video and draw a figure of it.

    Args:
        kind: "methods", "classes", "temporal" or "sanity".
        model: the model.
        video: the video.
        configs: name of a row → what is explained in it, and how; kinds other than "methods" use the first.
        columns: frames that are shown: the most relevant to the first explanation; for "temporal" evenly
            spaced ones.
        style: how attribution is drawn.
        num_classes: rows of "classes".
    """
    if kind == "methods":
        rows = {name: explain(model, video, config=config) for name, config in configs.items()}
        frames = columns.most_relevant(next(iter(rows.values())))
        return methods_figure(video, rows, frames, style=style)
    config = next(iter(configs.values()))
    if kind == "classes":
        top = f"top{min(num_classes, len(model.labels))}"
        best = explain(model, video, config=replace(config, target=top))
        opposite = replace(config, target=best.target.index, counterfactual=True)
        explanations = [*best.per_class, explain(model, video, config=opposite)]
        return classes_figure(video, explanations, columns.most_relevant(best), style=style)
    if kind == "temporal":
        explanation = explain(model, video, config=replace(config, method="st-abn", layers=None))
        return temporal_figure(video, explanation, columns.evenly_spaced(), style=style)
    explanation = explain(model, video, config=config)
    frames = columns.most_relevant(explanation)
    maps = {"trained": [explanation.frame(frame) for frame in frames]}
    config = replace(config, target=explanation.target.index)
    for part, copy in randomised_models(model):
        step = explain(copy, video, config=config)
        maps[part] = [step.frame(frame) for frame in frames]
    return sanity_figure(list(video.frames_at(frames)), maps, style=style)


def randomised_models(model: Model) -> Iterator[tuple[str, Model]]:
    """Yield the part that was made random last, and the model with all parts down to it random."""
    for part, network in randomised(model.network):
        yield part.removeprefix("backbone."), replace(model, network=network)

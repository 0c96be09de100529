"""Paper B, tables 1 and 2: the accuracy of ST-ABN, and under inverted and swapped attention."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glocal.benchmark.tables import Table, TableRow
from glocal.evaluation.statistics import Interval, bootstrap
from glocal.models.names import packaged_models
from glocal.papers.attention_swaps import CASES, OWN, RELIANCE, Hits, SwapExperiment
from glocal.papers.something_something import (
    FRAMES,
    INVERTED_SAMPLES,
    ST_ABN,
    V1,
    V2,
    Figures,
    by_column,
    other_methods,
    published_accuracy,
    published_inversions,
)
from glocal.papers.stabn_models import SEEDS, load_table_model, table_models, weights_name, weights_notes
from glocal.papers.table import TableContext, paper_table
from glocal.papers.training_cache import mean_and_spread
from glocal.papers.videos import COLUMNS, accuracy, source_of
from glocal.training.clips import EvaluationClips

SHIPPED = ("puppets/resnext3d", "puppets/gated", "puppets/st-abn")
DATA = {"puppets": "puppets/st-abn", V1: "st-abn/slow-50", V2: "st-abn/slow-50"}


DROP = ("drop", "drop from", "drop to")
INVERTING_IS_NOT_ENOUGH = (
    "Inverting alone does not show that a network uses what its attention says: 1 − M also shifts the scale "
    "of the features, and costs accuracy even where M is the same for every clip. Another clip's attention "
    "keeps the scale."
)


@paper_table(
    "paper-b/2", "accuracy under inverted and swapped attention", DATA, options={"samples": 0} | SEEDS
)
def table_2(context: TableContext) -> Table:
    """Accuracy of each case of `CASES`, and by how much it is below that with the own attention."""
    networks: list[Hits] = []
    notes: list[str] = []
    samples = context.options["samples"] or (None if context.data == "puppets" else INVERTED_SAMPLES)
    published: tuple[Figures, ...] = ()
    for model, _, name in table_models(context):
        source, facts = source_of(context, model, name, "validation")
        clips = EvaluationClips(source, model.clip, model.labels, samples)
        networks.append(
            SwapExperiment(
                model,
                clips,
                {"videos": facts, "samples": samples},
                context.cache,
                context.device,
                context.progress,
            ).hits()
        )
        notes += weights_notes(model)
        published = published_inversions(model.name, model.clip.frames, samples, context.data)
    columns = list(networks[0][OWN])
    of_case = dict(zip(CASES, published, strict=False))
    rows = []
    for case in CASES:
        accuracies = [{c: float(np.mean(hits[case][c])) for c in columns} for hits in networks]
        figures = mean_and_spread(accuracies, {column: column for column in columns})
        if case != OWN:
            figures |= dict(zip(DROP, drop(networks, case), strict=True))
        rows.append(TableRow(case, figures, by_column(of_case.get(case, ()))))
    return Table([*rows[0].values, *DROP], rows, notes=[*reliance_notes(networks), *dict.fromkeys(notes)])


def drop(networks: Sequence[Hits], case: str) -> Interval:
    """Top-1 accuracy with the own attention minus that of a case, with its 95 % interval over videos.

    Args:
        networks: of each network, hits on the same videos; the mean over networks is taken video by video.
        case: of `CASES`.
    """
    differences = [
        np.subtract(hits[OWN]["top-1"], hits[case]["top-1"], dtype=np.float64) for hits in networks
    ]
    return bootstrap(np.mean(differences, axis=0))


def reliance_notes(networks: Sequence[Hits]) -> list[str]:
    """Sentences below the table: the reliance on M_s and M_t, and what inverting does not show."""
    parts = []
    for attention, case in RELIANCE.items():
        points = Interval(*(100 * share for share in drop(networks, case)))
        parts.append(f"on {attention} {points.text(digits=1)}")
    return [
        "'drop' is the top-1 accuracy with a clip's own attention minus the row's, with its 95 % interval.",
        f"Reliance, the drop with another clip's attention in points: {', '.join(parts)}.",
        INVERTING_IS_NOT_ENOUGH,
    ]


@paper_table(
    "paper-b/1",
    "accuracy over backbones, and over one and two samples of a video",
    DATA,
    options={"networks": ""},
)
def table_1(context: TableContext) -> Table:
    """Accuracy of each network, from one sample of a video and from two."""
    names = [name for name in context.options["networks"].split(",") if name]
    if not names and context.model == DATA["puppets"] and context.weights is None:
        names = [name for name in SHIPPED if name in packaged_models()]
    rows: list[TableRow] = []
    notes: list[str] = []
    for name in names or [context.model]:
        model = load_table_model(context, name)
        network = model.network

        def plain(clips: Tensor, network: torch.nn.Module = network) -> dict[str, Tensor]:
            return {"": network(clips)}

        # A video of puppets is as long as two clips, so that two samples see more than one.
        longer = {"frames": 2 * model.clip.frames} if context.data == "puppets" else {}
        source, facts = source_of(context, model, weights_name(context, name), "validation", **longer)
        for samples in (1, 2):
            figures = accuracy(context, model, source, facts, plain, samples=samples)[""]
            paper = published_accuracy(model.name, model.clip.frames, samples, context.data)
            rows.append(TableRow(_row_name(model.name, model.clip.frames, samples), figures, paper))
        notes += weights_notes(model)
    measured = {row.name for row in rows}
    for name, samples in ST_ABN:
        paper = published_accuracy(name, FRAMES, samples, context.data)
        if paper and (row := _row_name(name, FRAMES, samples)) not in measured:
            rows.append(TableRow(row, {}, paper))
    rows += [TableRow(row, {}, paper) for row, paper in other_methods(context.data).items()]
    return Table(list(COLUMNS), rows, notes=notes)


def _row_name(model: str, frames: int, samples: int) -> str:
    return f"{model}, {frames}{f'×{samples}' if samples > 1 else ''} frames"

"""Paper B, tables 1 and 2: the accuracy of ST-ABN, and under inverted attention."""

from collections.abc import Mapping

import torch
from torch import Tensor

from glocal.benchmark.tables import Table, TableRow
from glocal.models.listing import packaged_models
from glocal.models.stabn import STABN, invert_attention
from glocal.papers.stabn_models import SEEDS, load_table_model, table_models, weights_name, weights_notes
from glocal.papers.table import TableContext, paper_table
from glocal.papers.training_cache import mean_and_spread
from glocal.papers.videos import COLUMNS, accuracy, source_of

V1, V2 = "something-something-v1", "something-something-v2"
CASES = {
    "neither inverted": (False, False),
    "spatial inverted": (True, False),
    "temporal inverted": (False, True),
    "both inverted": (True, True),
}
TWO: Mapping[str, tuple[tuple[float, float], ...]] = {
    V1: ((0.533, 0.820), (0.288, 0.578), (0.200, 0.506), (0.069, 0.243)),
    V2: ((0.641, 0.896), (0.323, 0.602), (0.431, 0.725), (0.142, 0.335)),
}
"""Data set → top-1 and top-5 of each case: 3D ResNet-50, two samples."""
ONE: Mapping[tuple[str, int], Mapping[str, tuple[float, float]]] = {
    ("st-abn/slow-50", 1): {V1: (0.459, 0.754), V2: (0.566, 0.820)},
    ("st-abn/slow-50", 2): {V1: (0.533, 0.820), V2: (0.641, 0.896)},
    ("st-abn/slow-101", 1): {V1: (0.474, 0.764), V2: (0.580, 0.832)},
    ("st-abn/slow-101", 2): {V1: (0.550, 0.830), V2: (0.658, 0.904)},
}
"""Network, samples of a video → data set → top-1 and top-5."""
SHIPPED = ("puppets/resnext3d", "puppets/gated", "puppets/st-abn")
DATA = {"puppets": "puppets/st-abn", V1: "st-abn/slow-50", V2: "st-abn/slow-50"}


@torch.no_grad()
def inversions(network: STABN, clips: Tensor) -> dict[str, Tensor]:
    """Case of `CASES` → logits `(B, classes)` (eq. 5); the features are computed once."""
    features = network.backbone.penultimate_activation(clips)
    _, spatial, temporal = network.attention(features)
    return {
        case: network.perception_logits(features, *invert_attention(*which)(spatial, temporal))
        for case, which in CASES.items()
    }


@paper_table("paper-b/2", "accuracy under inverted attention", DATA, options={"samples": 0} | SEEDS)
def table_2(context: TableContext) -> Table:
    """Accuracy of each case of `CASES`."""
    accuracies: list[dict[str, dict[str, float]]] = []
    notes: list[str] = []
    for model, network, name in table_models(context):

        def inverted_cases(clips: Tensor, network: STABN = network) -> dict[str, Tensor]:
            return inversions(network, clips)

        source, facts = source_of(context, model, name, "validation")
        samples = context.options["samples"] or None
        accuracies.append(accuracy(context, model, source, facts, inverted_cases, samples=samples))
        notes += weights_notes(model)
    columns = {column: column for column in accuracies[0]["neither inverted"]}
    published = TWO.get(context.data, ((),) * len(CASES))
    rows = [
        TableRow(case, mean_and_spread([cases[case] for cases in accuracies], columns), _paper(paper))
        for case, paper in zip(CASES, published, strict=True)
    ]
    return Table(list(rows[0].values), rows, notes=notes)


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
            paper = ONE.get((model.name, samples), {}).get(context.data, ())
            rows.append(TableRow(_row_name(model.name, model.clip.frames, samples), figures, _paper(paper)))
        notes += weights_notes(model)
    measured = {row.name for row in rows}
    for (name, samples), published in ONE.items():
        if context.data in published and (row := _row_name(name, 32, samples)) not in measured:
            rows.append(TableRow(row, {}, _paper(published[context.data])))
    return Table(list(COLUMNS), rows, notes=notes)


def _row_name(model: str, frames: int, samples: int) -> str:
    return f"{model}, {frames}{f'×{samples}' if samples > 1 else ''} frames"


def _paper(figures: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(COLUMNS, figures, strict=False))

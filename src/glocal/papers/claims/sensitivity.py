"""Claim: the more layers are added, the less evidence is missed (paper A, section 3.4.1)."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from glocal.attribution.inputs.network_inputs import to_network
from glocal.benchmark.explainers import parse_explainers
from glocal.benchmark.samples import Sample
from glocal.benchmark.tables import Table
from glocal.evaluation.faithfulness import BlockDrops, block_drops, infidelity
from glocal.evaluation.sanity import ExplainFunction
from glocal.models import Model
from glocal.papers.claims.experiment import (
    DATA,
    REAL_DATA,
    claim_model,
    claim_samples,
    claim_table,
    with_sources,
)
from glocal.papers.table import TableContext, paper_table

COLUMNS = {
    "missed": "share of the decisive blocks, without which the class loses a tenth of its probability or "
    "more, that get less attention than the average place",
    "blind": "share of all voxels whose attention is zero",
    "infidelity": "share of the score changes that the attribution does not predict",
}
DECISIVE = 0.1
SIDES = (1 / 8, 1 / 4)
BLOCKS = 96


@paper_table(
    "claims/sensitivity",
    "Layers added one by one: how much decisive evidence is missed (3DCAM, section 3.4.1)",
    DATA | REAL_DATA,
    options={"method": "3dcam"},
)
def table_of_layers(context: TableContext) -> Table:
    """The best class of every clip is explained from one layer, two layers and so on, from either end."""
    model, layers, key = claim_model(context)
    method = str(context.options["method"])
    up = [list(layers)[: count + 1] for count in range(len(layers))]
    down = [list(layers)[count:] for count in reversed(range(len(layers)))]
    named = [(chosen, "from the stem up") for chosen in up] + [
        (chosen, "from the head down") for chosen in down
    ]
    groups = {f"{method} {'+'.join(chosen)}": group for chosen, group in reversed(named)}
    rows = {f"{method} {'+'.join(chosen)}": f"{method}@{'+'.join(chosen)}" for chosen, _ in named}
    methods = parse_explainers(list(rows.values()), layers)
    values: dict[str, list[dict[str, float]]] = {row: [] for row in rows}
    explainers = {row: methods[name].of(model) for row, name in rows.items()}
    sources: list[str] = []
    for sample in with_sources(claim_samples(context, model, "mixed"), sources):
        facts = {**key, "claim": "sensitivity", "method": method, "clip": sample.key}
        figures = context.cache.get(facts, partial(miss_of_all, model, sample, explainers))
        for row in rows:
            values[row].append(figures[row])
    return claim_table(
        values,
        COLUMNS,
        trivial={"noise": {"missed": 0.5, "blind": 0.0}},
        groups=groups,
        sources=None if context.data == "puppets" else sources,
    )


def miss_of_all(
    model: Model, sample: Sample, explainers: Mapping[str, ExplainFunction]
) -> dict[str, dict[str, float]]:
    """Row → `COLUMNS`; the blocks are the same for all."""
    network = model.network
    clip = to_network(sample.load().network_input, network)
    assert isinstance(clip, Tensor), "a tensor is moved to a tensor"
    scores = model.logits(clip)[0].float()
    best = scores.argmax()[None].to(clip.device)
    blocks = block_drops(network, clip, best, blocks=BLOCKS, sides=SIDES, score=model.probabilities)
    whole = float(model.probabilities(scores[None]).max())
    return {row: miss(network, clip, best, explain, blocks, whole) for row, explain in explainers.items()}


def miss(
    network: nn.Module,
    clip: Tensor,
    classes: Tensor,
    explain: ExplainFunction,
    blocks: BlockDrops,
    probability: float,
) -> dict[str, float]:
    """`COLUMNS` for one clip `(1, C, T, H, W)`; NaN where no block is decisive. An empty map misses all.

    The axiom of sensitivity (Sundararajan et al., 2017, section 2.1) asks that what changes the prediction
    gets attention; a gradient can be zero there.

    Args:
        probability: of the class in the clip as it is.
    """
    attribution = explain(network, clip, classes)
    decisive = blocks.drops[0] >= DECISIVE * probability
    inside = torch.stack([attribution[0][mask].mean() for mask in blocks.masks.to(attribution.device)])
    mean = attribution.mean()
    overlooked = ((inside < mean) | (mean <= 0)).to(decisive.device)[decisive]
    return {
        "missed": float(overlooked.float().mean()) if len(overlooked) else float("nan"),
        "blind": float((attribution <= 0).float().mean()),
        "infidelity": float(infidelity(attribution.to(blocks.drops.device), blocks)),
    }

"""Claim: the more layers are added, the less evidence is missed (paper A, section 3.4.1)."""

import torch
from torch import Tensor, nn

from glocal.benchmark import contenders
from glocal.evaluation.faithfulness import BlockDrops, block_drops, infidelity
from glocal.evaluation.sanity import ExplainFunction
from glocal.papers.claims.scenes import logits, scenes, setting, table
from glocal.papers.table import Context, Rows

COLUMNS = {
    "missed": "share of the decisive blocks, without which the class loses a tenth of its probability or "
    "more, that get less attention than the average place",
    "blind": "share of all voxels whose attention is zero",
    "infidelity": "share of the score changes that the attention does not foretell",
}
DECISIVE = 0.1
SIDES = (1 / 8, 1 / 4)
BLOCKS = 96


def run(context: Context) -> Rows:
    """The best class of every clip is explained from one layer, two layers and so on, from either end."""
    model, layers, key = setting(context)
    method = str(context.options["method"])
    up = [list(layers)[: count + 1] for count in range(len(layers))]
    down = [list(layers)[count:] for count in reversed(range(len(layers)))]
    named = [(chosen, "from the stem up") for chosen in up] + [
        (chosen, "from the head down") for chosen in down
    ]
    groups = {f"{method} {'+'.join(chosen)}": group for chosen, group in reversed(named)}
    rows = {f"{method} {'+'.join(chosen)}": f"{method}@{'+'.join(chosen)}" for chosen, _ in named}
    methods = contenders(list(rows.values()), layers)
    values: dict[str, list[dict[str, float]]] = {row: [] for row in rows}
    for scene in scenes(context, model, "mixed"):

        def compute() -> dict[str, dict[str, float]]:
            clip = scene.clip  # noqa: B023
            best = logits(model.network, clip).argmax()[None].to(clip.device)
            blocks = block_drops(model.network, clip, best, blocks=BLOCKS, sides=SIDES)
            whole = float(logits(model.network, clip).softmax(0).max())
            return {
                row: miss(model.network, clip, best, methods[name], blocks, whole)
                for row, name in rows.items()
            }

        found = context.cells.get(
            {**key, "claim": "sensitivity", "method": method, "clip": scene.name}, compute
        )
        for row in rows:
            values[row].append(found[row])
    return table(values, COLUMNS, trivial={"noise": {"missed": 0.5, "blind": 0.0}}, groups=groups)


def miss(
    network: nn.Module,
    clip: Tensor,
    classes: Tensor,
    explain: ExplainFunction,
    blocks: BlockDrops,
    probability: float,
) -> dict[str, float]:
    """`COLUMNS` for one clip `(1, C, T, H, W)`; NaN where no block is decisive.

    The axiom of sensitivity (Sundararajan et al., 2017, section 2.1) asks that what changes the prediction
    gets attention; a gradient can be zero there.

    Args:
        probability: of the class in the clip as it is.
    """
    attention = explain(network, clip, classes)
    decisive = blocks.drops[0] >= DECISIVE * probability
    inside = torch.stack([attention[0][mask].mean() for mask in blocks.masks.to(attention.device)])
    overlooked = (inside < attention.mean()).to(decisive.device)[decisive]
    return {
        "missed": float(overlooked.float().mean()) if len(overlooked) else float("nan"),
        "blind": float((attention <= 0).float().mean()),
        "infidelity": float(infidelity(attention.to(blocks.drops.device), blocks)),
    }

"""Claim: 3DCAM is class-discriminative (paper A, section 3.4.1 and fig. 6)."""

import numpy as np
from torch import nn

from glocal.attribution import METHODS
from glocal.benchmark import contenders
from glocal.errors import GlocalError
from glocal.evaluation.pointing import pointing_game
from glocal.evaluation.sanity import ExplainFunction
from glocal.evaluation.statistics import spearman
from glocal.papers.claims.scenes import Scene, by_method, explained, logits, scenes, setting, table, words
from glocal.papers.table import Context, Rows
from glocal.types import AttributionMap, Mask

COLUMNS = {
    "right": "of the maxima on one of the two figures, the share on the one whose action is explained",
    "on a figure": "share of the maxima that lie on one of the figures",
    "more": "how often the figure whose action is explained gets more attention than the other",
    "alike": "rank correlation of the explanations of the two actions, 1 for a method that ignores the class",
    "2nd in 1st": "share of the strongest tenth for the second-best class that is also in that for the best",
    "3rd in 1st": "the same for the third-best class",
    "against in 1st": "the same for the counterfactual of the best class (eq. 7), where the method has one",
}
CHANCE = {"right": 0.5, "more": 0.5}
STRONGEST = 0.1


def run(context: Context) -> Rows:
    """Two figures do different actions at the same time; each of the two classes is explained."""
    model, layers, key = setting(context)
    names = words(context, "methods") or list(METHODS)
    methods = contenders(names, layers)
    against = contenders(names, layers, counterfactual=True)
    values, notes = by_method(
        context,
        {**key, "claim": "discriminative"},
        scenes(context, model, "acting"),
        names,
        lambda scene, name: discriminate(model.network, scene, methods[name], against[name]),
    )
    return table(values, COLUMNS, "right", {"chance": CHANCE}, notes=notes)


def discriminate(
    network: nn.Module, scene: Scene, explain: ExplainFunction, against: ExplainFunction
) -> dict[str, float]:
    """`COLUMNS` for a clip in which two figures do two different actions; NaN where one is not defined.

    Args:
        scene: with two masks and two classes.
        explain, against: the method, and its counterfactual; a method without one answers with an error.
    """
    maps = [explained(network, scene.clip, explain, index) for index in scene.classes]
    one, two = scene.masks
    sides = [(maps[0], one, two), (maps[1], two, one)]
    own = sum(pointing_game(attention, right & ~wrong) for attention, right, wrong in sides)
    other = sum(pointing_game(attention, wrong & ~right) for attention, right, wrong in sides)
    more = [np.sign(float(a[right].sum()) - float(a[wrong].sum())) for a, right, wrong in sides]
    best = logits(network, scene.clip).argsort(descending=True)[:3].tolist()
    first, *others = (strongest(explained(network, scene.clip, explain, index)) for index in best)
    ranks = dict(zip(("2nd in 1st", "3rd in 1st"), (within(other, first) for other in others), strict=False))
    try:
        counter = within(strongest(explained(network, scene.clip, against, best[0])), first)
    except GlocalError:
        counter = float("nan")
    return {
        "right": own / (own + other) if own + other else float("nan"),
        "on a figure": (own + other) / 2,
        "more": float(np.mean(more)) / 2 + 0.5,
        "alike": spearman(*maps),
        "2nd in 1st": float("nan"),
        "3rd in 1st": float("nan"),
        **ranks,
        "against in 1st": counter,
    }


def strongest(attention: AttributionMap) -> Mask:
    """The tenth of all voxels with most attention, as far as it is positive."""
    return np.asarray((attention >= np.quantile(attention, 1 - STRONGEST)) & (attention > 0))


def within(part: Mask, whole: Mask) -> float:
    """Share of `part` that lies in `whole`; NaN for an empty one."""
    return float((part & whole).sum() / part.sum()) if part.any() else float("nan")

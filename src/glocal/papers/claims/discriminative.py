"""Claim: 3DCAM is class-discriminative (paper A, section 3.4.1 and fig. 6)."""

import numpy as np
from torch import Tensor

from glocal.attribution.inputs.network_inputs import to_network
from glocal.benchmark.samples import Footage
from glocal.benchmark.tables import Table
from glocal.errors import InputError, UsageError
from glocal.evaluation.pointing import pointing_game
from glocal.evaluation.sanity import ExplainFunction
from glocal.evaluation.statistics import spearman
from glocal.models import Model
from glocal.papers.claims.experiment import (
    DATA,
    DEFAULT_METHODS,
    MethodsExperiment,
    attribution_map,
    claim_table,
)
from glocal.papers.table import TableContext, paper_table
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


@paper_table(
    "claims/discriminative",
    "Two figures, two actions: is the right one shown? Top three and counterfactual (3DCAM, fig. 6)",
    DATA,
    options={"methods": DEFAULT_METHODS},
)
def table_of_figures(context: TableContext) -> Table:
    """Two figures do different actions at the same time; each of the two classes is explained."""
    experiment = MethodsExperiment(context)
    methods, against = experiment.explainers(), experiment.explainers(counterfactual=True)
    results = experiment.measure(
        "discriminative",
        "acting",
        lambda sample, name: discriminate(experiment.model, sample.load(), methods[name], against[name]),
    )
    return claim_table(
        results.values, COLUMNS, "right", trivial={"chance": CHANCE}, notes=results.notes, paired=True
    )


def discriminate(
    model: Model, footage: Footage, explain: ExplainFunction, against: ExplainFunction
) -> dict[str, float]:
    """`COLUMNS` for a clip in which two figures do two different actions; NaN where one is not defined.

    Args:
        model: knows both actions.
        footage: with two figures.
        explain: the method.
        against: its counterfactual; a method without one raises an error.
    """
    network, clip = model.network, to_network(footage.network_input, model.network)
    assert isinstance(clip, Tensor), "a tensor is moved to a tensor"
    classes = [list(model.labels).index(str(figure.action)) for figure in footage.figures]
    maps = [attribution_map(network, clip, explain, index) for index in classes]
    first, second = (figure.mask for figure in footage.figures)
    sides = [(maps[0], first, second), (maps[1], second, first)]
    right_hits = sum(pointing_game(attribution, right & ~wrong) for attribution, right, wrong in sides)
    wrong_hits = sum(pointing_game(attribution, wrong & ~right) for attribution, right, wrong in sides)
    more = [np.sign(float(a[right].sum()) - float(a[wrong].sum())) for a, right, wrong in sides]
    ranked = model.logits(clip)[0].argsort(descending=True)[:3].tolist()
    best, *others = (strongest(attribution_map(network, clip, explain, index)) for index in ranked)
    ranks = dict(zip(("2nd in 1st", "3rd in 1st"), (within(other, best) for other in others), strict=False))
    try:
        counter = within(strongest(attribution_map(network, clip, against, ranked[0])), best)
    except (InputError, UsageError):
        counter = float("nan")
    hits = right_hits + wrong_hits
    return {
        "right": right_hits / hits if hits else float("nan"),
        "on a figure": hits / 2,
        "more": float(np.mean(more)) / 2 + 0.5,
        "alike": spearman(*maps),
        "2nd in 1st": float("nan"),
        "3rd in 1st": float("nan"),
        **ranks,
        "against in 1st": counter,
    }


def strongest(attribution: AttributionMap) -> Mask:
    """The tenth of all voxels with the highest attribution, as far as it is positive."""
    return np.asarray((attribution >= np.quantile(attribution, 1 - STRONGEST)) & (attribution > 0))


def within(part: Mask, whole: Mask) -> float:
    """Share of `part` that lies in `whole`; NaN for an empty one."""
    return float((part & whole).sum() / part.sum()) if part.any() else float("nan")

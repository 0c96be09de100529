"""Claim: a method tells classes apart in real clips too: two of different classes side by side."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glocal.attribution.inputs.network_inputs import to_network
from glocal.benchmark.samples import Footage, Sample
from glocal.benchmark.tables import Table
from glocal.datasets.puppets.clip import tight_boxes
from glocal.errors import InputError
from glocal.evaluation.pointing import energy_in_mask, pointing_game
from glocal.evaluation.sanity import ExplainFunction
from glocal.evaluation.statistics import spearman
from glocal.models import Model
from glocal.papers.claims.experiment import (
    DEFAULT_METHODS,
    REAL_DATA,
    Figures,
    MethodsExperiment,
    attribution_map,
    claim_table,
    measure_methods,
    real_samples,
)
from glocal.papers.table import TableContext, paper_table
from glocal.types import IntBoxArray, Mask

PAIRS = 40
CANDIDATES = 20
"""Windows that are looked at, for each pair that is wanted, at most."""
COLUMNS = {
    "right": "of the two maxima, the share on the half whose class is explained",
    "share": "share of the attribution that lies on that half",
    "alike": "rank correlation of the explanations of the two classes, 1 for a method that ignores the class",
}
CHANCE = {"right": 0.5, "share": 0.5}


@dataclass(frozen=True, eq=False)
class Half:
    """One of two clips that stand side by side, as a figure.

    Attributes:
        mask: its pixels, `(T, H, W)`, or `(H, W)` of images.
        action: its class.
        span: of no act.
    """

    mask: Mask
    action: str
    span: tuple[int, int] | None = None

    @property
    def acting(self) -> Mask:
        """Its pixels."""
        return self.mask

    @property
    def boxes(self) -> IntBoxArray:
        """Its box in each frame."""
        return tight_boxes(self.mask if self.mask.ndim == 3 else self.mask[None])


@paper_table(
    "claims/side-by-side",
    "Two clips side by side, two classes: is the right one shown? (Böhle et al., CVPR 2021, section 4)",
    REAL_DATA,
    options={"methods": DEFAULT_METHODS, "sure": 0.3},
)
def table_of_sides(context: TableContext) -> Table:
    """Two windows of different classes stand side by side; each of the two classes is explained."""
    experiment = MethodsExperiment(context)
    model, methods = experiment.model, experiment.explainers()
    pairs = list(side_by_side(model, context, context.clips or PAIRS, context.options["sure"]))
    if not pairs:
        raise InputError(
            f"no two windows have different classes with a probability of {context.options['sure']} or more; "
            "lower it as sure=…, or give other videos."
        )
    results = measure_methods(
        context,
        {**experiment.key, "claim": "side by side"},
        pairs,
        experiment.names,
        lambda sample, name: right_half(model, sample.load(), methods[name]),
    )
    classes = sorted({figure.action for pair in pairs for figure in pair.load().figures if figure.action})
    notes = [f"{model.name}; {len(pairs)} pairs of {len(classes)} classes: {', '.join(classes)}"]
    return claim_table(
        results.values,
        COLUMNS,
        "right",
        trivial={"chance": CHANCE},
        notes=[*notes, *results.notes],
        paired=True,
    )


def side_by_side(model: Model, context: TableContext, pairs: int, sure: float) -> Iterator[Sample]:
    """Pairs of windows of different videos and classes, each in one wide clip; every window is used once.

    Args:
        model: predicts the classes.
        context: names the data set.
        pairs: number of pairs at most.
        sure: probability from which a prediction counts.

    Raises:
        UsageError: the folder of the data set is missing.
    """
    waiting: list[tuple[Sample, int]] = []
    found = 0
    for sample in real_samples(context, model, CANDIDATES * pairs):
        probabilities = model.probabilities(model.logits(sample.load().network_input))[0]
        best = int(probabilities.argmax())
        if float(probabilities[best]) < sure:
            continue
        partner = next((other for other in waiting if _are_different(other, (sample, best))), None)
        if partner is None:
            waiting.append((sample, best))
            continue
        waiting.remove(partner)
        yield _joined(model, partner, (sample, best))
        found += 1
        if found == pairs:
            return


def right_half(model: Model, footage: Footage, explain: ExplainFunction) -> Figures:
    """`COLUMNS` for two clips side by side.

    Args:
        model: knows both classes.
        footage: with the two halves as figures.
        explain: the method.
    """
    clip = to_network(footage.network_input, model.network)
    assert isinstance(clip, Tensor), "a tensor is moved to a tensor"
    halves = footage.figures
    classes = [list(model.labels).index(str(half.action)) for half in halves]
    maps = [attribution_map(model.network, clip, explain, index) for index in classes]
    pairs = list(zip(maps, halves, strict=True))
    return {
        "right": float(np.mean([pointing_game(attribution, half.mask) for attribution, half in pairs])),
        "share": float(np.mean([energy_in_mask(attribution, half.mask) for attribution, half in pairs])),
        "alike": spearman(*maps),
    }


def _are_different(one: tuple[Sample, int], other: tuple[Sample, int]) -> bool:
    """Whether two windows have different classes, and are of different videos."""
    names = [sample.name.rpartition(", window ")[0] for sample, _ in (one, other)]
    return one[1] != other[1] and names[0] != names[1]


def _joined(model: Model, left: tuple[Sample, int], right: tuple[Sample, int]) -> Sample:
    def load() -> Footage:
        footages = [sample.load() for sample, _ in (left, right)]
        clip = torch.cat([footage.network_input for footage in footages], dim=-1)
        is_left = np.zeros(clip.shape[2:], bool)
        is_left[..., : footages[0].network_input.shape[-1]] = True
        halves = [
            Half(mask, model.labels[index])
            for mask, (_, index) in zip((is_left, ~is_left), (left, right), strict=True)
        ]
        return Footage(footages[0].video, None, clip, halves)

    name = f"{left[0].name} beside {right[0].name}"
    return Sample(name, load, key=[left[0].key, left[1], right[0].key, right[1]])

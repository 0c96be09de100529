"""Sanity checks: an explanation that does not change with the network does not depend on the network."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from glocal.evaluation.sanity.randomise import randomised
from glocal.evaluation.sanity.similarity import similarity
from glocal.evaluation.statistics import bootstrap
from glocal.types import AttributionMap, FloatArray

ExplainFunction = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Network, clips `(B, C, T, H, W)`, class indices `(B,)` → attributions `(B, T, H, W)` in [0, 1]; images
without T."""

MAX_CORRELATION = 0.5
"""Rank correlation above which an explanation counts as unchanged."""


class RandomisationStep(NamedTuple):
    """The explanations of one partly randomised copy of the network.

    Attributes:
        part: the part that was randomised last; "" for the original network.
        attributions: `(B, T, H, W)`.
        similarities: measure → `(B,)`, similarity to the attributions of the original network; see
            `similarity`.
    """

    part: str
    attributions: AttributionMap
    similarities: dict[str, FloatArray]


def randomisation_check(
    network: nn.Module,
    clips: Tensor,
    targets: Tensor,
    explain: ExplainFunction,
    *,
    order: str = "cascading",
    parts: Sequence[str] | None = None,
    seed: int = 0,
) -> Iterator[RandomisationStep]:
    """Explain the same targets while the weights are randomised part by part, from the head down.

    Model parameter randomisation test (Adebayo et al., 2018, section 3). The first step is the original
    network. The lower the similarities of the last steps, the better.

    Args:
        network: any module.
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        targets: `(B,)`, the class index explained in each clip.
        explain: see `ExplainFunction`.
        order: see `randomised`, as for `parts` and `seed`.
        parts: names of submodules.
        seed: of the weights.

    Raises:
        UsageError: the order or a part is unknown.
    """
    original = _numpy(explain(network, clips, targets))
    yield RandomisationStep("", original, similarities(original, original))
    for part, randomised_copy in randomised(network, order, parts=parts, seed=seed):
        attributions = _numpy(explain(randomised_copy, clips, targets))
        yield RandomisationStep(part, attributions, similarities(original, attributions))


def label_check(
    network: nn.Module, other: nn.Module, clips: Tensor, targets: Tensor, *, explain: ExplainFunction
) -> dict[str, FloatArray]:
    """Similarity of the explanations of two networks: one trained on the labels, one on shuffled labels.

    Data randomisation test (Adebayo et al., 2018, section 5). Lower is better.

    Args:
        network: trained on the labels.
        other: trained on shuffled labels.
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        targets: `(B,)`, the class index explained in each clip.
        explain: see `ExplainFunction`.

    Returns:
        Measure → `(B,)`; see `similarity`.
    """
    return similarities(_numpy(explain(network, clips, targets)), _numpy(explain(other, clips, targets)))


def similarities(a: AttributionMap, b: AttributionMap) -> dict[str, FloatArray]:
    """`similarity` of attributions `(B, T, H, W)`, sample by sample: measure → `(B,)`."""
    samples = [similarity(x, y) for x, y in zip(a, b, strict=True)]
    return {name: np.array([sample[name] for sample in samples]) for name in samples[0]} if samples else {}


def survives_randomisation(rank_correlation: npt.ArrayLike) -> bool:
    """Whether a method's explanations stay the same although nothing is left of the trained network.

    True if the lower end of the mean's 95 % interval is above 0.5. Maps of a trained network and of one that
    has learned nothing should agree only by chance. From 0.5 on, input and method alone put two thirds of all
    pairs of voxels (for normal values) in the order in which the trained network puts them. SSIM is not used:
    it is high for any two maps that are mostly dark.

    Args:
        rank_correlation: `(N,)`, Spearman's, one for each clip, between the attributions of the trained
            network and those of the fully randomised one, or of one trained on random labels.
    """
    return bootstrap(rank_correlation).low > MAX_CORRELATION


def _numpy(attributions: Tensor) -> AttributionMap:
    return attributions.detach().float().cpu().numpy()

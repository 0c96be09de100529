"""Sanity checks: a picture that does not change when the network does says nothing about the network."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from glocal.evaluation.sanity.randomise import randomised
from glocal.evaluation.sanity.similarity import similarity
from glocal.evaluation.statistics import bootstrap

Explain = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Network, clips `(B, C, T, H, W)`, classes `(B,)` → attention `(B, T, H, W)` in [0, 1]; images alike."""

SURVIVES = 0.5


class Step(NamedTuple):
    """One copy of the network.

    Attributes:
        part: that was randomised last; "" for the network as it was.
        attention: `(B, T, H, W)`.
        alike: measure → `(B,)`, the likeness to the attention of the network as it was; see `similarity`.
    """

    part: str
    attention: npt.NDArray[np.float32]
    alike: dict[str, npt.NDArray[np.float64]]


def randomisation_check(
    network: nn.Module,
    clips: Tensor,
    classes: Tensor,
    explain: Explain,
    how: str = "cascading",
    *,
    parts: Sequence[str] | None = None,
    seed: int = 0,
) -> Iterator[Step]:
    """The explanations of one and the same classes while the weights turn random, head first.

    Model parameter randomisation test (Adebayo et al., 2018, section 3); the first step is the network as it
    is. For the other arguments see `randomised`.
    """
    original = _numpy(explain(network, clips, classes))
    yield Step("", original, likeness(original, original))
    for part, changed in randomised(network, how, parts=parts, seed=seed):
        attention = _numpy(explain(changed, clips, classes))
        yield Step(part, attention, likeness(original, attention))


def label_check(
    network: nn.Module, other: nn.Module, clips: Tensor, classes: Tensor, explain: Explain
) -> dict[str, npt.NDArray[np.float64]]:
    """Likeness of the explanations of two networks: one trained on the labels, one on shuffled labels.

    Data randomisation test (Adebayo et al., 2018, section 5). Measure → `(B,)`.
    """
    return likeness(_numpy(explain(network, clips, classes)), _numpy(explain(other, clips, classes)))


def likeness(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float64]]:
    """`similarity` sample by sample of attention `(B, T, H, W)`: measure → `(B,)`."""
    found = [similarity(x, y) for x, y in zip(a, b, strict=True)]
    return {name: np.array([f[name] for f in found]) for name in found[0]} if found else {}


def survives(rank_correlation: npt.ArrayLike) -> bool:
    """Whether a method keeps its picture when nothing is left of the network.

    Args:
        rank_correlation: `(N,)`, Spearman's, one a clip, between the attention of the trained network and
            that of the wholly random one, or of one trained on random labels.

    True if the lower end of the mean's 95 % interval is above 0.5. Maps of a network that knows and of one
    that does not should agree only by chance. From 0.5 on, input and method alone put two thirds of all pairs
    of voxels (for normal values) in the order in which the trained network puts them. SSIM is not used: it is
    high for any two maps that are mostly dark.
    """
    return bootstrap(rank_correlation).low > SURVIVES


def _numpy(attention: Tensor) -> npt.NDArray[np.float32]:
    return attention.detach().float().cpu().numpy()

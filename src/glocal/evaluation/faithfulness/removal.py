"""Insertion, deletion and average drop: the score while parts of the clip are removed or restored."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glocal.attribution.baselines import BASELINES
from glocal.attribution.targets import Score
from glocal.errors import UsageError
from glocal.evaluation.faithfulness.scoring import Output, check_maps, class_score, per_sample

REMOVAL_UNITS = ("space-time", "space", "time")
"""What is removed first or last: single voxels; pixels, in all frames at once; or whole frames."""


@dataclass(frozen=True)
class RemovalCurve:
    """Scores while more and more of a clip is changed.

    Attributes:
        shares: `(S + 1,)`, from 0 to 1: how much of the clip is changed.
        scores: `(B, S + 1)`.
    """

    shares: Tensor
    scores: Tensor

    @property
    def auc(self) -> Tensor:
        """`(B,)` area under the curve by trapezoids, in [0, 1] for probabilities."""
        return torch.trapezoid(self.scores, self.shares, dim=1)


def deletion(
    network: nn.Module,
    clips: Tensor,
    attributions: Tensor,
    targets: Tensor,
    *,
    over: str = "space-time",
    baseline: str = "blur",
    steps: int = 20,
    batch: int = 16,
    score: Score = "probability",
    output: Output = None,
) -> RemovalCurve:
    """Deletion: the score of `targets` while the highest attributions are replaced first.

    RISE (Petsiuk et al., 2018, section 3.3), over space, time or both. A lower area is better. Equal
    attributions, such as zeros, are ordered at random but always the same, so that no method gains by where
    its ties lie.

    Args:
        network: any module that returns logits.
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`, on any device.
        attributions: `(B, T, H, W)`, or `(B, H, W)`.
        targets: `(B,)`, the class index explained in each clip.
        over: see `REMOVAL_UNITS`; attributions are averaged over each unit. Images have space only.
        baseline: name in `BASELINES` of what replaces removed units.
        steps: points of the curve after the first; at most as many as there are units.
        batch: changed clips that run through the network at once.
        score: `"probability"`, `"logit"`, or a function from outputs `(B, num_classes)` to scores.
        output: takes the logits out of what the network returns.

    Raises:
        UsageError: the baseline or `over` is unknown, shapes do not fit, or `steps` or `batch` is below 1.
    """
    replacement = BASELINES[baseline](clips)
    ranks = removal_order(clips, attributions, over)
    return _curve(network, clips, replacement, ranks, targets, steps, batch, score, output)


def insertion(
    network: nn.Module,
    clips: Tensor,
    attributions: Tensor,
    targets: Tensor,
    *,
    over: str = "space-time",
    baseline: str = "blur",
    steps: int = 20,
    batch: int = 16,
    score: Score = "probability",
    output: Output = None,
) -> RemovalCurve:
    """Insertion: the score of `targets` while the highest attributions are restored first.

    RISE (Petsiuk et al., 2018, section 3.3). A higher area is better. Arguments and errors as for `deletion`.
    """
    replacement = BASELINES[baseline](clips)
    ranks = removal_order(clips, attributions, over)
    return _curve(network, replacement, clips, ranks, targets, steps, batch, score, output)


def removal_order(clips: Tensor, attributions: Tensor, over: str) -> Tensor:
    """Rank of each unit, 0 for the highest attribution: `(B, 1, T, H, W)`, with size 1 along merged axes.

    Raises:
        UsageError: `over` is unknown, or images do not have it; or shapes do not fit.
    """
    check_maps(clips, attributions)
    if over not in REMOVAL_UNITS or (attributions.dim() == 3 and over != "space"):
        known = ", ".join(REMOVAL_UNITS) if attributions.dim() == 4 else "space"
        raise UsageError(f"over is '{over}'; for inputs {tuple(clips.shape)} use one of {known}.")
    if attributions.dim() == 4 and over != "space-time":
        attributions = attributions.mean((1,) if over == "space" else (2, 3), keepdim=True)
    flat = attributions.flatten(1)
    shuffle = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(0)).to(flat.device)
    order = shuffle[flat[:, shuffle].argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(flat.shape[1], device=flat.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).view(attributions.shape).unsqueeze(1)


def _curve(
    network: nn.Module,
    before: Tensor,
    after: Tensor,
    ranks: Tensor,
    targets: Tensor,
    steps: int,
    batch: int,
    score: Score,
    output: Output,
) -> RemovalCurve:
    """Scores while `before` turns into `after`, lowest ranks first."""
    if steps < 1 or batch < 1:
        raise UsageError(f"steps and batch must be at least 1, not {steps} and {batch}.")
    num_units = ranks[0].numel()
    counts = torch.linspace(0, num_units, min(steps, num_units) + 1, dtype=torch.float64).round().long()
    counts = counts.to(before.device)
    pairs = torch.cartesian_prod(torch.arange(len(before), device=before.device), counts)
    scores = []
    for sample, count in (part.unbind(1) for part in torch.split(pairs, batch)):
        changed = ranks[sample] < per_sample(count, ranks)
        mixed = torch.where(changed, after[sample], before[sample])
        scores.append(
            class_score(network, mixed, targets.to(sample.device)[sample], score=score, output=output)
        )
    return RemovalCurve((counts / num_units).float(), torch.cat(scores).view(len(before), -1))


class AverageDrop(NamedTuple):
    """Average drop and increase of each clip; their means over a data set are the published measures.

    Attributes:
        drop: `(B,)` in [0, 1], the share of the score that is lost; lower is better.
        increase: `(B,)`, 1 if the score rises, else 0; higher is better.
    """

    drop: Tensor
    increase: Tensor


def average_drop(
    network: nn.Module,
    clips: Tensor,
    attributions: Tensor,
    targets: Tensor,
    *,
    baseline: str = "blur",
    score: Score = "probability",
    output: Output = None,
) -> AverageDrop:
    """`max(0, Y − O) / Y`, and whether `O > Y`, for the probabilities Y of the clip and O of what stays.

    Grad-CAM++ (Chattopadhyay et al., 2018, section 4.1), which multiplies the image by the explanation; here
    the rest is filled with `baseline` instead of black: `attribution · clip + (1 − attribution) · baseline`.

    Args:
        network: any module that returns logits.
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        attributions: `(B, T, H, W)` or `(B, H, W)` in [0, 1].
        targets: `(B,)`, the class index explained in each clip.
        baseline: name in `BASELINES` of what fills the rest.
        score: of which the share is measured, see `deletion`.
        output: takes the logits out of what the network returns.

    Raises:
        UsageError: the baseline is unknown, or shapes do not fit.
    """
    check_maps(clips, attributions)
    masked = BASELINES[baseline](clips).lerp(clips, attributions.unsqueeze(1).to(clips.dtype))
    original_score = class_score(network, clips, targets, score=score, output=output)
    masked_score = class_score(network, masked, targets, score=score, output=output)
    drop = (original_score - masked_score) / original_score.clamp(min=1e-12)
    return AverageDrop(drop.clamp(min=0), (masked_score > original_score).float())

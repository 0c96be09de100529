"""Insertion, deletion and average drop: the score while parts of the clip are removed or restored."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glocal.attribution.baselines import BASELINES
from glocal.attribution.targets import Score
from glocal.errors import UsageError
from glocal.evaluation.faithfulness.scoring import (
    Output,
    batch_limit,
    check_maps,
    class_score,
    per_sample,
)

REMOVAL_UNITS = ("space-time", "space", "time")
"""What is removed first or last: single voxels; pixels, in all frames at once; or whole frames."""


class EndScores(NamedTuple):
    """Scores at both ends of every curve of the same clips, whatever the attribution.

    Attributes:
        whole: `(B,)`, of the clips as they are.
        empty: `(B,)`, of the clips with everything replaced.
    """

    whole: Tensor
    empty: Tensor


def end_scores(
    network: nn.Module,
    clips: Tensor,
    targets: Tensor,
    *,
    baseline: str = "blur",
    batch: int = 16,
    score: Score = "probability",
    output: Output = None,
) -> EndScores:
    """Score the clips as they are and with everything replaced; arguments as for `deletion`.

    Raises:
        UsageError: the baseline is unknown, or `batch` is below 1.
    """
    _check_positive(batch=batch)
    size = batch_limit(network, clips, batch)
    ends = [
        torch.cat(
            [
                class_score(network, part, part_targets, score=score, output=output)
                for part, part_targets in zip(torch.split(end, size), torch.split(targets, size), strict=True)
            ]
        )
        for end in (clips, BASELINES[baseline](clips))
    ]
    return EndScores(*ends)


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
    ends: EndScores | None = None,
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
        batch: changed clips that run through the network at once, at most; see `batch_limit`.
        score: `"probability"`, `"logit"`, or a function from outputs `(B, num_classes)` to scores.
        output: takes the logits out of what the network returns.
        ends: `end_scores` of these clips, to be shared by all curves; by default computed.

    Raises:
        UsageError: the baseline or `over` is unknown, shapes do not fit, or `steps` or `batch` is below 1.
    """
    _check_positive(steps=steps, batch=batch)
    ranks = removal_order(clips, attributions, over)
    ends = ends or end_scores(
        network, clips, targets, baseline=baseline, batch=batch, score=score, output=output
    )
    pair = clips, BASELINES[baseline](clips)
    counts, scores = _inner_scores(network, pair, ranks, targets, steps, batch, score, output)
    return _curve(counts, ends.whole, scores, ends.empty)


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
    ends: EndScores | None = None,
) -> RemovalCurve:
    """Insertion: the score of `targets` while the highest attributions are restored first.

    RISE (Petsiuk et al., 2018, section 3.3). A higher area is better. Arguments and errors as for `deletion`.
    """
    _check_positive(steps=steps, batch=batch)
    ranks = removal_order(clips, attributions, over)
    ends = ends or end_scores(
        network, clips, targets, baseline=baseline, batch=batch, score=score, output=output
    )
    pair = BASELINES[baseline](clips), clips
    counts, scores = _inner_scores(network, pair, ranks, targets, steps, batch, score, output)
    return _curve(counts, ends.empty, scores, ends.whole)


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


def _check_positive(**numbers: int) -> None:
    """Raise UsageError if a number is below 1."""
    for name, number in numbers.items():
        if number < 1:
            raise UsageError(f"{name} must be at least 1, not {number}.")


def _inner_scores(
    network: nn.Module,
    pair: tuple[Tensor, Tensor],
    ranks: Tensor,
    targets: Tensor,
    steps: int,
    batch: int,
    score: Score,
    output: Output,
) -> tuple[Tensor, Tensor]:
    """Numbers of changed units `(S + 1,)`, and scores `(B, S - 1)` between both ends of the curve.

    The first of the pair turns into the second, lowest ranks first.
    """
    before, after = pair
    num_units = ranks[0].numel()
    counts = torch.linspace(0, num_units, min(steps, num_units) + 1, dtype=torch.float64).round().long()
    counts = counts.to(before.device)
    places = torch.cartesian_prod(torch.arange(len(before), device=before.device), counts[1:-1])
    scores = [torch.empty(0, device=before.device)]
    for sample, count in (
        part.unbind(1) for part in torch.split(places, batch_limit(network, before, batch))
    ):
        changed = ranks[sample] < per_sample(count, ranks)
        mixed = torch.where(changed, after[sample], before[sample])
        scores.append(
            class_score(network, mixed, targets.to(sample.device)[sample], score=score, output=output)
        )
    return counts, torch.cat(scores).view(len(before), -1)


def _curve(counts: Tensor, first: Tensor, inner: Tensor, last: Tensor) -> RemovalCurve:
    """Join the scores `(B,)`, `(B, S - 1)` and `(B,)` of a curve."""
    scores = torch.cat([first[:, None], inner, last[:, None]], 1)
    return RemovalCurve((counts / counts[-1]).float(), scores)


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
    ends: EndScores | None = None,
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
        ends: `end_scores` of these clips; by default the clips are scored.

    Raises:
        UsageError: the baseline is unknown, or shapes do not fit.
    """
    check_maps(clips, attributions)
    masked = BASELINES[baseline](clips).lerp(clips, attributions.unsqueeze(1).to(clips.dtype))
    original_score = ends.whole if ends else class_score(network, clips, targets, score=score, output=output)
    masked_score = class_score(network, masked, targets, score=score, output=output)
    drop = (original_score - masked_score) / original_score.clamp(min=1e-12)
    return AverageDrop(drop.clamp(min=0), (masked_score > original_score).float())

"""Insertion, deletion and average drop: the score while evidence is removed or restored."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glocal.errors import UsageError
from glocal.evaluation.faithfulness.scoring import Output, check_maps, class_score, find_baseline, per_sample

OVER = ("space-time", "space", "time")
"""What is taken away at a step: voxels; pixels, in all frames at once; or whole frames."""


@dataclass(frozen=True)
class Curve:
    """Scores while more and more of a clip is changed.

    Attributes:
        shares: `(S + 1,)`, from 0 to 1: how much of the clip is changed.
        scores: `(B, S + 1)`.
    """

    shares: Tensor
    scores: Tensor

    @property
    def auc(self) -> Tensor:
        """`(B,)` area under the curve, by trapezoids."""
        return torch.trapezoid(self.scores, self.shares, dim=1)


def deletion(
    network: nn.Module,
    clips: Tensor,
    attention: Tensor,
    classes: Tensor,
    *,
    over: str = "space-time",
    baseline: str = "blur",
    steps: int = 20,
    batch: int = 16,
    score: str = "probability",
    output: Output = None,
) -> Curve:
    """The score of `classes` while what gets most attention is replaced first; a low area is good.

    RISE (Petsiuk et al., 2018, section 3.3), over space, time or both. Where attention ties, as at zero, the
    order is random but always the same, so that no method gains by where its ties lie.

    Args:
        network: any module that returns logits.
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`, on any device.
        attention: `(B, T, H, W)`, or `(B, H, W)`.
        classes: `(B,)`, the class explained in each clip.
        over: see `OVER`; attention is averaged over what a step does not tell apart. Images have space only.
        baseline: a name in `BASELINES`.
        steps: points of the curve after the first; at most as many as there are voxels, pixels or frames.
        batch: changed clips that run through the network at once.
        score: `"probability"` or `"logit"`.
        output: takes the logits out of what the network returns.

    Raises:
        UsageError: an argument is not among what is allowed.
    """
    emptied = find_baseline(baseline)(clips)
    ranks = rank_cells(clips, attention, over)
    return _curve(network, clips, emptied, ranks, classes, steps, batch, score, output)


def insertion(
    network: nn.Module,
    clips: Tensor,
    attention: Tensor,
    classes: Tensor,
    *,
    over: str = "space-time",
    baseline: str = "blur",
    steps: int = 20,
    batch: int = 16,
    score: str = "probability",
    output: Output = None,
) -> Curve:
    """The score of `classes` while what gets most attention comes back first; a high area is good.

    RISE (Petsiuk et al., 2018, section 3.3); arguments as for `deletion`.
    """
    emptied = find_baseline(baseline)(clips)
    ranks = rank_cells(clips, attention, over)
    return _curve(network, emptied, clips, ranks, classes, steps, batch, score, output)


def rank_cells(clips: Tensor, attention: Tensor, over: str) -> Tensor:
    """`(B, 1, T, H, W)`, with 1 for what a step does not tell apart: 0 for what gets most attention.

    Raises:
        UsageError: no such order, or one that images do not have.
    """
    check_maps(clips, attention)
    if over not in OVER or (attention.dim() == 3 and over != "space"):
        known = ", ".join(OVER) if attention.dim() == 4 else "space"
        raise UsageError(f"over is '{over}'; for inputs {tuple(clips.shape)} use one of {known}.")
    if attention.dim() == 4 and over != "space-time":
        attention = attention.mean((1,) if over == "space" else (2, 3), keepdim=True)
    flat = attention.flatten(1)
    shuffle = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(0)).to(flat.device)
    order = shuffle[flat[:, shuffle].argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(flat.shape[1], device=flat.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).view(attention.shape).unsqueeze(1)


def _curve(
    network: nn.Module,
    before: Tensor,
    after: Tensor,
    ranks: Tensor,
    classes: Tensor,
    steps: int,
    batch: int,
    score: str,
    output: Output,
) -> Curve:
    """Scores while `before` turns into `after`, lowest ranks first."""
    if steps < 1 or batch < 1:
        raise UsageError(f"steps and batch must be at least 1, not {steps} and {batch}.")
    cells = ranks[0].numel()
    counts = torch.linspace(0, cells, min(steps, cells) + 1, dtype=torch.float64).round().long()
    counts = counts.to(before.device)
    pairs = torch.cartesian_prod(torch.arange(len(before), device=before.device), counts)
    scores = []
    for sample, count in (part.unbind(1) for part in torch.split(pairs, batch)):
        changed = ranks[sample] < per_sample(count, ranks)
        mixed = torch.where(changed, after[sample], before[sample])
        scores.append(class_score(network, mixed, classes.to(sample.device)[sample], score, output))
    return Curve((counts / cells).float(), torch.cat(scores).view(len(before), -1))


class Drop(NamedTuple):
    """Per clip; their means over a data set are the published measures.

    Attributes:
        drop: `(B,)` in [0, 1], the share of the score that is lost; low is good.
        increase: `(B,)`, 1 where the score rises, else 0; high is good.
    """

    drop: Tensor
    increase: Tensor


def average_drop(
    network: nn.Module,
    clips: Tensor,
    attention: Tensor,
    classes: Tensor,
    *,
    baseline: str = "blur",
    output: Output = None,
) -> Drop:
    """`max(0, Y − O) / Y`, and whether `O > Y`, for the probabilities Y of the clip and O of what is kept.

    Grad-CAM++ (Chattopadhyay et al., 2018, section 4.1), which multiplies the image by the explanation; here
    the rest is filled with `baseline` in place of black: `attention · clip + (1 − attention) · baseline`.

    Args:
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        attention: `(B, T, H, W)` or `(B, H, W)` in [0, 1].
        classes: `(B,)`.
        baseline: a name in `BASELINES`.
        output: takes the logits out of what the network returns.
    """
    check_maps(clips, attention)
    kept = find_baseline(baseline)(clips).lerp(clips, attention.unsqueeze(1).to(clips.dtype))
    whole = class_score(network, clips, classes, output=output)
    masked = class_score(network, kept, classes, output=output)
    return Drop(((whole - masked) / whole.clamp(min=1e-12)).clamp(min=0), (masked > whole).float())

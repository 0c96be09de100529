"""Infidelity and sensitivity of explanations (Yeh et al., NeurIPS 2019)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glocal.attribution.baselines import BASELINES
from glocal.attribution.targets import Score
from glocal.evaluation.faithfulness.scoring import (
    Output,
    batch_limit,
    batches,
    class_score,
    per_sample,
)

BLOCK_SIDES = (1 / 8, 1 / 2)
"""Smallest and largest side of a random block, as shares of each axis."""


class BlockDrops(NamedTuple):
    """Random blocks, and how much the score drops without each; every explanation of the clips can use them.

    Attributes:
        masks: `(N, T, H, W)` bool, or `(N, H, W)` for images; N blocks.
        drops: `(B, N)`, score of the clip minus score without the block.
    """

    masks: Tensor
    drops: Tensor


def block_drops(
    network: nn.Module,
    clips: Tensor,
    targets: Tensor,
    *,
    baseline: str = "blur",
    blocks: int = 64,
    sides: tuple[float, float] = BLOCK_SIDES,
    seed: int = 0,
    batch: int = 16,
    score: Score = "probability",
    output: Output = None,
) -> BlockDrops:
    """Measure how much the score drops when random blocks of the clips are replaced, one at a time.

    The square-removal perturbation of Yeh et al. (2019, section 2.2), in space and time.

    Args:
        network: any module that returns logits.
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        targets: `(B,)`, the class index whose score is measured in each clip.
        baseline: name in `BASELINES` of what replaces the blocks.
        blocks: how many; the same ones for all clips.
        sides: smallest and largest side of a block, see `BLOCK_SIDES`.
        seed: of the blocks.
        batch: changed clips that run through the network at once, at most; see `batch_limit`.
        score: `"probability"`, `"logit"`, or a function from outputs `(B, num_classes)` to scores.
        output: takes the logits out of what the network returns.

    Raises:
        UsageError: the baseline is unknown.
    """
    replacement = BASELINES[baseline](clips)
    masks = random_blocks(tuple(clips.shape[2:]), blocks, seed, sides).to(clips.device)
    original = class_score(network, clips, targets, score=score, output=output)
    drops = torch.empty(len(clips), blocks, device=clips.device)
    size = batch_limit(network, clips, batch)
    for sample in range(len(clips)):
        for part in batches(range(blocks), size):
            changed = torch.where(masks[part, None], replacement[sample], clips[sample])
            repeated = targets[sample].repeat(len(part))
            scores = class_score(network, changed, repeated, score=score, output=output)
            drops[sample, part] = original[sample] - scores
    return BlockDrops(masks, drops)


def random_blocks(
    shape: tuple[int, ...], count: int, seed: int, sides: tuple[float, float] = BLOCK_SIDES
) -> Tensor:
    """`(count, *shape)` bool: blocks with uniformly drawn sides and places, each within the clip."""
    generator = torch.Generator().manual_seed(seed)
    masks = torch.ones(count, *shape, dtype=torch.bool)
    for axis, size in enumerate(shape):
        low, high = (max(1, round(share * size)) for share in sides)
        side = torch.randint(low, high + 1, (count,), generator=generator)
        start = (torch.rand(count, generator=generator) * (size - side + 1)).long()
        cell = torch.arange(size)
        inside = (cell >= start[:, None]) & (cell < (start + side)[:, None])
        masks &= inside.view(count, *[size if a == axis else 1 for a in range(len(shape))])
    return masks


def infidelity(attributions: Tensor, blocks: BlockDrops, *, relative: bool = True) -> Tensor:
    """`(B,)` infidelity `E[(β · Σ attribution in the block − drop of the score)²]`; lower is better.

    Yeh et al. (2019, definition 2.1) with the square-removal perturbation: the attribution of a voxel is read
    as its share of the score, up to the scale β that fits best, since attribution has no unit.

    Args:
        attributions: `(B, T, H, W)` or `(B, H, W)`.
        blocks: see `block_drops`.
        relative: divide by `E[drop²]`. The result is then in [0, 1]: 0 if the attribution predicts every
            drop, 1 if it predicts none; NaN if no block changes the score.
    """
    sums = torch.einsum("p...,b...->bp", blocks.masks.double(), attributions.double())
    drops = blocks.drops.double()
    mean_square = (drops**2).mean(1)
    beta = (sums * drops).sum(1) / (sums**2).sum(1).clamp(min=1e-300)
    error = ((beta.clamp(min=0)[:, None] * sums - drops) ** 2).mean(1)
    return (error / mean_square.where(mean_square > 0, torch.nan) if relative else error).float()


def sensitivity_max(
    explain: Callable[[Tensor], Tensor],
    clips: Tensor,
    *,
    radius: float = 0.02,
    samples: int = 8,
    seed: int = 0,
) -> Tensor:
    """`(B,)`: the largest `‖Φ(x + ε) − Φ(x)‖ / ‖Φ(x)‖` over random ε with `|ε| ≤ radius`, at least 0.

    Max-sensitivity of Yeh et al. (2019, definition 3.1 and its Monte-Carlo estimate), relative to the norm of
    the explanation Φ(x). Lower is better.

    Args:
        explain: clips `(B, C, T, H, W)` → attributions `(B, T, H, W)` for the same targets each time; images
            without T.
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        radius: as a share of the clip's range (its maximum minus its minimum).
        samples: number of random ε, uniform in the box.
        seed: of ε.
    """
    generator = torch.Generator().manual_seed(seed)
    flat = clips.flatten(1)
    max_noise = per_sample(radius * (flat.amax(1) - flat.amin(1)), clips)
    original = explain(clips).detach().flatten(1)
    norm = original.norm(dim=1).clamp(min=1e-12)
    worst = torch.zeros(len(clips), device=original.device)
    for _ in range(samples):
        noise = torch.rand(clips.shape, generator=generator).to(clips) * 2 - 1
        changed = explain(clips + max_noise * noise).detach().flatten(1)
        worst = worst.maximum((changed - original).norm(dim=1) / norm)
    return worst

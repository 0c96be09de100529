"""Infidelity and sensitivity of explanations (Yeh et al., NeurIPS 2019)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glocal.evaluation.faithfulness.scoring import Output, batches, class_score, find_baseline, per_sample

SIDES = (1 / 8, 1 / 2)
"""Of a random block: shares of each axis between which its sides lie."""


class Blocks(NamedTuple):
    """Random blocks and what the score loses without each; they serve every explanation of the clips.

    Attributes:
        masks: `(P, T, H, W)` bool, or `(P, H, W)`.
        drops: `(B, P)`, score of the clip minus score without the block.
    """

    masks: Tensor
    drops: Tensor


def block_drops(
    network: nn.Module,
    clips: Tensor,
    classes: Tensor,
    *,
    baseline: str = "blur",
    blocks: int = 64,
    sides: tuple[float, float] = SIDES,
    seed: int = 0,
    batch: int = 16,
    score: str = "probability",
    output: Output = None,
) -> Blocks:
    """Replace random blocks of the clips by the baseline, one at a time.

    The square-removal perturbation of Yeh et al. (2019, section 2.2), in space and time.

    Args:
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        classes: `(B,)`.
        blocks: how many; the same for all clips.
        sides: of a block, see `SIDES`.
        batch: changed clips that run through the network at once.
    """
    emptied = find_baseline(baseline)(clips)
    masks = random_blocks(tuple(clips.shape[2:]), blocks, seed, sides).to(clips.device)
    whole = class_score(network, clips, classes, score, output)
    drops = torch.empty(len(clips), blocks, device=clips.device)
    for sample in range(len(clips)):
        for part in batches(range(blocks), batch):
            without = torch.where(masks[part, None], emptied[sample], clips[sample])
            left = class_score(network, without, classes[sample].repeat(len(part)), score, output)
            drops[sample, part] = whole[sample] - left
    return Blocks(masks, drops)


def random_blocks(
    shape: tuple[int, ...], count: int, seed: int, sides: tuple[float, float] = SIDES
) -> Tensor:
    """`(count, *shape)` bool: blocks with sides and places drawn evenly, all within the clip."""
    random = torch.Generator().manual_seed(seed)
    masks = torch.ones(count, *shape, dtype=torch.bool)
    for axis, size in enumerate(shape):
        low, high = (max(1, round(share * size)) for share in sides)
        side = torch.randint(low, high + 1, (count,), generator=random)
        start = (torch.rand(count, generator=random) * (size - side + 1)).long()
        cell = torch.arange(size)
        within = (cell >= start[:, None]) & (cell < (start + side)[:, None])
        masks &= within.view(count, *[size if a == axis else 1 for a in range(len(shape))])
    return masks


def infidelity(attention: Tensor, blocks: Blocks, *, relative: bool = True) -> Tensor:
    """`(B,)`: `E[(β · Σ attention in the block − drop of the score)²]`; low is good.

    Yeh et al. (2019, definition 2.1) with the square-removal perturbation, the attention of a voxel standing
    for its share of the score, and the scale β that fits best, since attention has no unit.

    Args:
        attention: `(B, T, H, W)` or `(B, H, W)`.
        relative: divide by `E[drop²]`: 0 where the attention foretells every drop, 1 where it foretells none;
            NaN where no block changes the score.
    """
    sums = torch.einsum("p...,b...->bp", blocks.masks.double(), attention.double())
    drops = blocks.drops.double()
    power = (drops**2).mean(1)
    beta = (sums * drops).sum(1) / (sums**2).sum(1).clamp(min=1e-300)
    error = ((beta.clamp(min=0)[:, None] * sums - drops) ** 2).mean(1)
    return (error / power.where(power > 0, torch.nan) if relative else error).float()


def sensitivity_max(
    explain: Callable[[Tensor], Tensor],
    clips: Tensor,
    *,
    radius: float = 0.02,
    samples: int = 8,
    seed: int = 0,
) -> Tensor:
    """`(B,)`: the largest `‖Φ(x + ε) − Φ(x)‖ / ‖Φ(x)‖` over random ε with `|ε| ≤ radius`; low is good.

    Yeh et al. (2019, definition 3.1 and its Monte-Carlo estimate), relative to the explanation's norm.

    Args:
        explain: clips `(B, C, T, H, W)` → attention `(B, T, H, W)`, of the same classes each time; images
            alike.
        clips: of one range for all samples of the batch or of each its own.
        radius: as a share of the clip's range (its maximum minus its minimum).
        samples: random ε, uniform in the box.
    """
    random = torch.Generator().manual_seed(seed)
    flat = clips.flatten(1)
    reach = per_sample(radius * (flat.amax(1) - flat.amin(1)), clips)
    original = explain(clips).detach().flatten(1)
    norm = original.norm(dim=1).clamp(min=1e-12)
    worst = torch.zeros(len(clips), device=original.device)
    for _ in range(samples):
        noise = torch.rand(clips.shape, generator=random).to(clips) * 2 - 1
        moved = explain(clips + reach * noise).detach().flatten(1)
        worst = worst.maximum((moved - original).norm(dim=1) / norm)
    return worst

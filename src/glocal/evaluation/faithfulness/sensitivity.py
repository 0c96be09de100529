"""Sensitivity: how far an explanation moves when the clip is changed by less than an eye can see."""

from collections.abc import Callable

import torch
from torch import Tensor

from glocal.evaluation.faithfulness.scoring import per_sample


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

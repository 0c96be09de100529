"""ROAD: the score while places are removed by noisy linear imputation, which does not show where."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn

from glocal.errors import UsageError
from glocal.evaluation.faithfulness.removal import removal_order
from glocal.evaluation.faithfulness.scoring import Output, class_score

SHARES: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
"""Shares of the places that are removed."""

NOISE = 0.01
"""Standard deviation of the noise on imputed values, of clips that are normalised."""

DIRECT, DIAGONAL = 1 / 6, 1 / 12
"""Weights of the neighbours of a pixel (Rong et al., 2022, section 4.2)."""

TOLERANCE = 1e-5
"""Residual, relative to the right-hand side, at which the linear system counts as solved."""

MAX_ITERATIONS = 2000


@dataclass(frozen=True)
class RoadScores:
    """Scores of a class while places of a clip are imputed.

    Attributes:
        shares: `(S,)`, how much of the clip is imputed.
        most_first: `(B, S)`, the highest attributions are imputed (MoRF); lower is better.
        least_first: `(B, S)`, the lowest are (LeRF); higher is better.
    """

    shares: Tensor
    most_first: Tensor
    least_first: Tensor

    @property
    def combined(self) -> Tensor:
        """`(B,)`: the mean over the shares of half of LeRF minus MoRF; higher is better, 0 is chance."""
        return ((self.least_first - self.most_first) / 2).mean(1)


def road(
    network: nn.Module,
    clips: Tensor,
    attributions: Tensor,
    targets: Tensor,
    *,
    over: str = "space",
    shares: tuple[float, ...] = SHARES,
    noise: float = NOISE,
    score: str = "probability",
    output: Output = None,
) -> RoadScores:
    """Score clips in which the most, or the least, relevant places are imputed (Rong et al., ICML 2022).

    Removed pixels that are replaced by one value or a blur show the network where they were. Imputation from
    their neighbours, with a little noise, does not: remove and debias.

    Args:
        network: any module that returns logits.
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        attributions: `(B, T, H, W)`, or `(B, H, W)`.
        targets: `(B,)`, the class index explained in each clip.
        over: see `REMOVAL_UNITS`; images have space only. Frames are imputed from the frames around them,
            pixels from those around them in their frame.
        shares: of the places that are imputed, in (0, 1).
        noise: standard deviation of the noise on imputed values; the same numbers in every call.
        score: `"probability"` or `"logit"`.
        output: takes the logits out of what the network returns.

    Raises:
        UsageError: `over` is unknown, a share is not in (0, 1), or shapes do not fit.
    """
    if any(not 0 < share < 1 for share in shares):
        raise UsageError(f"shares are {', '.join(f'{share:g}' for share in shares)}; use some in (0, 1).")
    ranks = removal_order(clips, attributions, over)
    num_units = ranks[0].numel()
    columns: dict[bool, list[Tensor]] = {True: [], False: []}
    for most_first, share in product((True, False), shares):
        count = round(share * num_units)
        removed = ranks < count if most_first else ranks >= num_units - count
        imputed = impute(clips, removed, noise=noise)
        columns[most_first].append(class_score(network, imputed, targets, score=score, output=output))
    return RoadScores(torch.tensor(shares), *(torch.stack(columns[key], 1) for key in (True, False)))


def impute(clips: Tensor, removed: Tensor, *, noise: float = NOISE) -> Tensor:
    """Replace removed places by the weighted mean of their neighbours, and add noise.

    Removed neighbours are imputed too, so that the values solve a linear system (Rong et al., 2022, eq. 5):
    by conjugate gradients. If whole frames are removed, the neighbours are the same pixels of the frames
    before and after; else the eight pixels around, direct ones with twice the weight of diagonal ones.

    Args:
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        removed: True where a value is removed, `(B, 1, …)`, with size 1 along axes that have all in common.
        noise: standard deviation of the noise.
    """
    values = clips.float() if clips.dtype != torch.float64 else clips
    removed = removed.to(clips.device)
    whole_frames = clips.dim() == 5 and removed.shape[-2:] == (1, 1) and clips.shape[-2:] != (1, 1)
    offsets = _frame_offsets() if whole_frames else _pixel_offsets()
    unknown = removed.expand(len(clips), 1, *clips.shape[2:]).to(values.dtype)
    known_values = values * (1 - unknown)
    degree = _neighbour_sum(torch.ones_like(values[:1, :1]), offsets)

    def system(x: Tensor) -> Tensor:
        return unknown * (degree * x - _neighbour_sum(x, offsets))

    start = unknown * _fill_from_coarse(known_values, 1 - unknown)
    solution = _conjugate_gradients(system, unknown * _neighbour_sum(known_values, offsets), start)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(clips.shape[1:], generator=generator, dtype=values.dtype).to(clips.device)
    return (known_values + unknown * (solution + noise * drawn)).to(clips.dtype)


def _pixel_offsets() -> list[tuple[tuple[int, int, int], float]]:
    steps = [(y, x) for y, x in product((-1, 0, 1), repeat=2) if (y, x) != (0, 0)]
    return [((0, y, x), DIRECT if 0 in (y, x) else DIAGONAL) for y, x in steps]


def _frame_offsets() -> list[tuple[tuple[int, int, int], float]]:
    return [((-1, 0, 0), 0.5), ((1, 0, 0), 0.5)]


def _neighbour_sum(values: Tensor, offsets: list[tuple[tuple[int, int, int], float]]) -> Tensor:
    """The weighted sum of each place's neighbours; those outside of the frame or clip count as 0."""
    total = torch.zeros_like(values)
    for steps, weight in offsets:
        to, source = [slice(None)] * values.dim(), [slice(None)] * values.dim()
        for axis, step in zip((-3, -2, -1), steps, strict=True):
            if step:
                to[axis] = slice(max(0, -step), -step if step > 0 else None)
                source[axis] = slice(max(0, step), step if step < 0 else None)
        total[tuple(to)] += weight * values[tuple(source)]
    return total


def _fill_from_coarse(values: Tensor, weights: Tensor) -> Tensor:
    """A smooth guess of the values without weight: means over ever larger cells, until one has a weight."""
    weights = weights.expand(len(values), 1, *values.shape[2:])
    size = values.shape[-2], values.shape[-1]
    if min(size) < 2 or bool((weights > 0).all()):
        return values
    halve = partial(_resized, size=((size[0] + 1) // 2, (size[1] + 1) // 2), mode="area")
    coarse_weights, coarse_values = halve(weights), halve(values * weights)
    means = coarse_values / coarse_weights.clamp(min=1e-6) * (coarse_weights > 0)
    filled = _resized(_fill_from_coarse(means, (coarse_weights > 0).to(values.dtype)), size, mode="bilinear")
    return torch.where(weights > 0, values, filled)


def _resized(values: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Resize each frame of `(B, C, …, H, W)`."""
    frames = values.reshape(-1, 1, *values.shape[-2:])
    smooth = {"align_corners": False} if mode == "bilinear" else {}
    resized = torch.nn.functional.interpolate(frames, size=size, mode=mode, **smooth)
    return resized.reshape(*values.shape[:-2], *size)


def _conjugate_gradients(system: Callable[[Tensor], Tensor], target: Tensor, start: Tensor) -> Tensor:
    """Solve `system(x) = target` for each sample and channel; the system is symmetric and positive."""
    axes = tuple(range(2, target.dim()))
    tiny = torch.finfo(target.dtype).tiny
    x, residual = start, target - system(start)
    direction, power = residual.clone(), (residual**2).sum(axes, keepdim=True)
    goal = TOLERANCE**2 * (target**2).sum(axes, keepdim=True).clamp(min=tiny)
    for _ in range(MAX_ITERATIONS):
        if bool((power <= goal).all()):
            break
        image = system(direction)
        step = power / (direction * image).sum(axes, keepdim=True).clamp(min=tiny)
        x = x + step * direction
        residual = residual - step * image
        new_power = (residual**2).sum(axes, keepdim=True)
        direction = residual + new_power / power.clamp(min=tiny) * direction
        power = new_power
    return x

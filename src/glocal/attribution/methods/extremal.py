"""Spatio-temporal extremal perturbation: the part of a given size that keeps the class most probable."""

from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

import torch
import torch.nn.functional as F
from torch import Tensor

from glocal.attribution.method import input_method
from glocal.attribution.request import AttributionRequest
from glocal.errors import UsageError

LEVELS = 8
"""Degrees of blur between the clip and its most blurred copy."""
MOST_BLUR = 20 / 112
"""Standard deviation of the strongest blur, as a share of the frame's shorter side."""
COLDNESS = 20.0
"""Of the smooth maximum of mask cells."""
WEIGHT, WEIGHT_GROWTH = 300.0, 5.66
"""Weight of the area and the smoothness losses at the start, and by how much it grows to the end."""
WARM_UP = 0.05
"""Share of the steps before the smoothness counts."""
RATE, MOMENTUM = 0.05, 0.9
SUM_TOLERANCE = 1e-3
"""By how much the sum of probabilities may differ from 1, in half precision."""


@input_method(
    "extremal-perturbation",
    title="Spatio-temporal extremal perturbation",
    paper="Li et al., WACV 2021, section 3; Fong et al., ICCV 2019",
    cost="1 + steps forward, steps backward, for each area",
    needs="nothing: any network",
)
def extremal_perturbation(
    request: AttributionRequest,
    areas: tuple[float, ...] = (0.1,),
    steps: int = 300,
    cells: int = 16,
    key_frames: int = 5,
    seed: int = 0,
) -> Tensor:
    """The mask m, the mean over `areas`, with the lowest `−log p(x ⊗ m) + λ (area(m) + smoothness(m))`.

    `x ⊗ m` is the clip, blurred the more the lower m is. The score is the logarithm of the class's
    probability, whatever `score` says.

    Args:
        areas: shares of the clip that are kept.
        steps: of gradient descent.
        cells: of the mask along the frame's shorter side, before they are smoothed.
        key_frames: length of the ellipsoids of which a smooth mask consists.
        seed: of the order in which equal values of a mask are sorted.
    """
    if max(areas) >= 1:
        raise UsageError(f"option 'areas' of method '{request.method}' is {areas}; give shares below 1.")
    masks = [_optimise(request, area, steps, cells, key_frames, seed) for area in areas]
    mask = torch.stack(masks).mean(0)
    return mask if len(request.size) == 3 else mask[:, 0]


def _optimise(
    request: AttributionRequest, area: float, steps: int, cells: int, key_frames: int, seed: int
) -> Tensor:
    """The mask `(B, T, H, W)` of one area; of images T is 1."""
    frames, *sides = (1, *request.size)[-3:]
    device, count = request.targets.device, len(request.targets)
    smooth_mask = SmoothMask((sides[0], sides[1]), cells, device)
    values = torch.ones(count, frames, *smooth_mask.grid, device=device, requires_grad=True)
    generator = torch.Generator().manual_seed(seed)
    pyramids = [blur_pyramid(x) for x in request.videos]
    smoothness = Smoothness.of((frames, *sides), area, key_frames)
    optimizer = torch.optim.SGD([values], lr=RATE, momentum=MOMENTUM, dampening=MOMENTUM)
    for start, _ in request.batches(steps, 1):
        mask = smooth_mask(values)
        losses = area_loss(mask, area, generator)
        if start >= WARM_UP * steps:
            losses = losses + smoothness.loss(mask, generator)
        weight = WEIGHT * WEIGHT_GROWTH ** (start / steps)
        energy = (weight * losses - _log_probability(request, pyramids, mask)).sum()
        (values.grad,) = torch.autograd.grad(energy, [values])
        optimizer.step()
        with torch.no_grad():
            values.clamp_(0, 1)
    return smooth_mask(values).detach()


def _log_probability(request: AttributionRequest, pyramids: list[Tensor], mask: Tensor) -> Tensor:
    """`(B,)`: logarithm of the class's probability where the clip is blurred outside of the mask."""
    full = mask if len(request.size) == 3 else mask[:, 0]
    videos = [
        perturbed(pyramid, request.resize_to(x, full).to(x.dtype))
        for pyramid, x in zip(pyramids, request.videos, strict=True)
    ]
    logits = request.logits_of(request.with_videos(*videos)).float()
    chosen = _logs(logits).gather(1, request.targets[:, None])[:, 0]
    return -chosen if request.counterfactual else chosen


def _logs(outputs: Tensor) -> Tensor:
    """Logarithms of the probabilities; of outputs that are not negative and sum to 1, their own."""
    if outputs.shape[1] == 1:
        return F.logsigmoid(outputs)
    is_distribution = (outputs >= 0).all() and ((outputs.sum(1) - 1).abs() < SUM_TOLERANCE).all()
    return outputs.clamp(min=1e-8).log() if is_distribution else outputs.log_softmax(1)


def blur_pyramid(video: Tensor) -> Tensor:
    """`(LEVELS, *video.shape)`: the video from the strongest blur over space to none."""
    height, width = video.shape[-2:]
    levels = []
    for share in torch.linspace(0, 1, LEVELS).tolist():
        spread = (1 - share) * MOST_BLUR * min(height, width)
        rows, columns = (_gaussian(n, spread, video) for n in (height, width))
        levels.append(rows @ video @ columns.T if share < 1 else video)
    return torch.stack(levels)


def _gaussian(length: int, spread: float, like: Tensor) -> Tensor:
    """`(length, length)`: row i is a Gaussian around i, of sum 1."""
    positions = torch.arange(length, dtype=like.dtype, device=like.device)
    weights = torch.exp(-0.5 * ((positions[:, None] - positions) / max(spread, 1e-6)) ** 2)
    return weights / weights.sum(1, keepdim=True)


def perturbed(pyramid: Tensor, mask: Tensor) -> Tensor:
    """`x ⊗ m`: each pixel at the level `m · (LEVELS − 1)` of the pyramid, linear between levels."""
    level = mask[:, None] * (len(pyramid) - 1)
    shares = [(1 - (level - k).abs()).clamp(min=0) for k in range(len(pyramid))]
    return torch.stack([share * layer for share, layer in zip(shares, pyramid, strict=True)]).sum(0)


@dataclass(frozen=True)
class SmoothMask:
    """Makes a smooth mask of cells: `m(u) = smax_v k(∣u − v∣ / σ) · cell(v)` (Fong et al., section 3.3).

    `k(z) = exp(−2 max(z − ½, 0)²)`; the smooth maximum weighs values by their softmax; σ is 11/7 of a cell.

    Attributes:
        size: `(H, W)` of the mask.
        cells: along the shorter side.
        device: of the mask.
    """

    size: tuple[int, int]
    cells: int
    device: torch.device

    @property
    def step(self) -> float:
        """Pixels of a cell."""
        return max(1.0, min(self.size) / self.cells)

    @property
    def radius(self) -> int:
        """Cells to each side that reach a pixel."""
        return 1 + ceil(11 / 7)

    @property
    def grid(self) -> tuple[int, int]:
        """Cells along each side."""
        return ceil(self.size[0] / self.step), ceil(self.size[1] / self.step)

    @cached_property
    def weights(self) -> Tensor:
        """`((2 · radius + 1)², H, W)`: k of the distance of each pixel to the cells around it."""
        distances = [self._distances(side) for side in self.size]
        distance = (distances[0][:, None, :, None] ** 2 + distances[1][None, :, None, :] ** 2).sqrt()
        kernel = torch.exp(-2 * (distance / (11 / 7 * self.step) - 0.5).clamp(min=0) ** 2)
        return kernel.flatten(0, 1).to(self.device)

    def _distances(self, side: int) -> Tensor:
        """`(2 · radius + 1, side)`: distance of each pixel to the centres of the cells around it."""
        pixels = torch.arange(side) + 0.5
        offsets = torch.arange(-self.radius, self.radius + 1)[:, None]
        return pixels - ((pixels / self.step).floor() + offsets + 0.5) * self.step

    def __call__(self, values: Tensor) -> Tensor:
        """Cells `(B, T, h, w)` → mask `(B, T, H, W)` in [0, 1]."""
        flat = values.flatten(0, 1)[:, None]
        around = F.unfold(flat, 2 * self.radius + 1, padding=self.radius).view(len(flat), -1, *self.grid)
        rows, columns = (
            ((torch.arange(side) + 0.5) / self.step).floor().long().to(self.device) for side in self.size
        )
        reached = self.weights * around[:, :, rows][..., columns]
        mask = (reached * (COLDNESS * reached).softmax(1)).sum(1)
        return mask.view(*values.shape[:2], *self.size)


def _sorted(values: Tensor, generator: torch.Generator) -> Tensor:
    """Values `(B, n)` in increasing order; equal ones are in random order, so that none is preferred."""
    order = torch.randperm(values.shape[1], generator=generator).to(values.device)
    return values[:, order].sort(1).values


def area_loss(mask: Tensor, area: float, generator: torch.Generator) -> Tensor:
    """`∥vecsort(m) − r∥² / n` for each sample, with r of `1 − area` zeros, then ones (Fong et al., eq. 4)."""
    ordered = _sorted(mask.flatten(1), generator)
    wanted = torch.ones_like(ordered)
    wanted[:, : int(ordered.shape[1] * (1 - area))] = 0
    return (ordered - wanted).square().mean(1)


@dataclass(frozen=True)
class Smoothness:
    """Li et al.'s loss, which is low for masks made of few ellipsoids in space and time.

    The mask is averaged over an ellipsoid at places next to each other in space and at every frame. Of these
    means, as many as ellipsoids fit into the area should be 1, the others 0.

    Attributes:
        kernel: `(1, 1, t, h, w)`, 1 in the ellipsoid.
        count: of ellipsoids.
    """

    kernel: Tensor
    count: int

    @classmethod
    def of(cls, size: tuple[int, ...], area: float, key_frames: int) -> "Smoothness":
        """The loss for masks of `size` `(T, H, W)`; an ellipsoid is 11/112 of a frame's shorter side."""
        edge = max(1, round(11 / 112 * min(size[1:])))
        edges = (min(key_frames, size[0]), edge, edge)
        t, y, x = (torch.linspace(-1, 1, n) if n > 2 else torch.zeros(n) for n in edges)
        inside = t[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= 1
        kernel = inside.float()[None, None]
        return cls(kernel, ceil(area * prod(size) / float(kernel.sum())))

    def loss(self, mask: Tensor, generator: torch.Generator) -> Tensor:
        """`(B,)` for masks `(B, T, H, W)`."""
        kernel = self.kernel.to(mask)
        stride = (1, *kernel.shape[3:])
        means = F.conv3d(mask[:, None], kernel, stride=stride).flatten(1) / kernel.sum()
        ordered = _sorted(means, generator).flip(1)
        high, low = ordered[:, : self.count], ordered[:, self.count :]
        loss = (high - 1).square().mean(1)
        return loss + low.square().mean(1) if low.shape[1] else loss

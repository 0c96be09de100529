"""Methods over the gradient at the input: saliency, SmoothGrad, input × gradient, integrated gradients."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glocal.attribution.baselines import BASELINES
from glocal.attribution.inputs.network_inputs import copies
from glocal.attribution.method import input_method
from glocal.attribution.request import AttributionRequest
from glocal.attribution.tape import NoInfluenceError
from glocal.errors import UsageError

NEEDS = "nothing: any network"


@input_method(
    "saliency",
    title="Gradient",
    paper="Simonyan et al., ICLR workshop 2014",
    cost="2 forward, 1 backward",
    needs=NEEDS,
)
def saliency(request: AttributionRequest) -> Tensor:
    """`max_C |∂y/∂x|`."""
    return _largest(request, input_gradients(request, request.videos))


@input_method(
    "smoothgrad",
    title="SmoothGrad",
    paper="Smilkov et al., 2017, arXiv 1706.03825",
    cost="1 + samples forward, samples backward",
    needs=NEEDS,
)
def smooth_grad(
    request: AttributionRequest, samples: int = 25, noise: float = 0.15, batch: int = 4, seed: int = 0
) -> Tensor:
    """`max_C |mean ∂y/∂x|` over clips with Gaussian noise.

    Args:
        samples: noisy clips.
        noise: standard deviation, as a share of the range of the batch's values.
        batch: noisy clips in one pass, at most.
        seed: of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    totals = [torch.zeros_like(x, dtype=torch.float32) for x in request.videos]
    spreads = [noise * (x.max() - x.min()) for x in request.videos]
    for start, stop in request.batches(samples, batch):
        count = stop - start
        draws = [_normal(request.videos, generator) for _ in range(count)]
        noisy = [
            copies(x, count) + spread * torch.cat(normal)
            for x, spread, normal in zip(request.videos, spreads, zip(*draws, strict=True), strict=True)
        ]
        for total, gradient in zip(totals, input_gradients(request, noisy), strict=True):
            total += gradient.float().view(count, *total.shape).sum(0)
    return _largest(request, [total / samples for total in totals])


def _normal(videos: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Standard normal noise for each of `videos`, the same on every device and in every dtype."""
    return [torch.randn(x.shape, generator=generator).to(x) for x in videos]


@input_method(
    "inputxgradient",
    title="Input × gradient",
    paper="Shrikumar et al., 2016, arXiv 1605.01713",
    cost="2 forward, 1 backward",
    needs=NEEDS,
)
def input_x_gradient(request: AttributionRequest) -> Tensor:
    """`ReLU(Σ_C x · ∂y/∂x)`."""
    gradients = input_gradients(request, request.videos)
    return _positive(request, [x * g for x, g in zip(request.videos, gradients, strict=True)])


@input_method(
    "integrated-gradients",
    title="Integrated gradients",
    paper="Sundararajan et al., ICML 2017, eq. 1",
    cost="1 + steps forward, steps backward",
    needs=NEEDS,
)
def integrated_gradients(
    request: AttributionRequest, steps: int = 50, batch: int = 4, baseline: str = "zero"
) -> Tensor:
    """`ReLU(Σ_C (x − x₀) · mean ∂y/∂x)`, the mean along the line from the baseline x₀ to the clip x.

    Args:
        steps: points on the line, by Gauss-Legendre quadrature.
        batch: clips in one pass, at most.
        baseline: name in `BASELINES` of x₀: zero, the mean colour of the training data in a normalised clip;
            mean, the clip's own mean colour; blur.

    Raises:
        UsageError: there is no such baseline.
    """
    starts = [BASELINES[baseline](x) for x in request.videos]
    ways = [x - start for x, start in zip(request.videos, starts, strict=True)]
    points, weights = np.polynomial.legendre.leggauss(steps)
    totals = [torch.zeros_like(x, dtype=torch.float32) for x in request.videos]
    for first, last in request.batches(steps, max(1, batch // len(request.targets))):
        positions = torch.from_numpy((1 + points[first:last]) / 2)
        along = [
            torch.cat([start + share * way for share in positions.to(way)])
            for start, way in zip(starts, ways, strict=True)
        ]
        shares = torch.from_numpy(weights[first:last] / 2).float()
        for total, gradient in zip(totals, input_gradients(request, along), strict=True):
            by_point = gradient.float().view(last - first, *total.shape)
            total += torch.einsum("n,n...->...", shares.to(total.device), by_point)
    return _positive(request, [way * total for way, total in zip(ways, totals, strict=True)])


def input_gradients(request: AttributionRequest, videos: Sequence[Tensor]) -> list[Tensor]:
    """Gradient of the score at N copies of each of the request's videos, zero where it has no influence.

    Raises:
        UsageError: the score has no gradient at all.
    """
    leaves = [x.detach().clone().requires_grad_() for x in videos]
    score = request.score(request.with_videos(*leaves)).sum()
    if not score.requires_grad:
        raise NoInfluenceError(
            f"method '{request.method}' needs a gradient from the logits to the input, and there is none; "
            "run the network without no_grad, inference_mode and detach, or use a method that needs none, "
            "such as rise."
        )
    gradients = torch.autograd.grad(score, leaves, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, gradients, strict=True)]


def _largest(request: AttributionRequest, gradients: Sequence[Tensor]) -> Tensor:
    """Largest absolute gradient over the channels, of all videos together."""
    if request.counterfactual:
        raise UsageError(
            f"method '{request.method}' takes the gradient's absolute value, the same for a class and "
            "against it; for a counterfactual use guided-backprop, inputxgradient or integrated-gradients."
        )
    return sum_videos(request, [x.abs().amax(1) for x in gradients])


def _positive(request: AttributionRequest, attributions: Sequence[Tensor]) -> Tensor:
    """Positive part of the sum over the channels, of all videos together."""
    return sum_videos(request, [x.sum(1).clamp(min=0) for x in attributions])


def sum_videos(request: AttributionRequest, maps: Sequence[Tensor]) -> Tensor:
    """Sum the maps of a request's videos at the size of the largest."""
    return torch.stack([request.upsample(x.detach().float()) for x in maps]).sum(0)

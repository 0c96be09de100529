"""Methods over the gradient at the input: saliency, integrated gradients, guided backprop, occlusion."""

import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from glocal.attribution.method import input_method
from glocal.attribution.methods.excitation_rules import ReluRule
from glocal.attribution.request import AttributionRequest
from glocal.errors import UsageError
from glocal.utils.optional_import import optional_import
from glocal.utils.random_state import fixed_seed

CAPTUM = "captum"


@input_method(
    "saliency",
    title="Gradient",
    paper="Simonyan et al., ICLR workshop 2014",
    cost="2 forward, 1 backward",
    needs=CAPTUM,
)
def saliency(request: AttributionRequest) -> Tensor:
    """`max_C |∂y/∂x|`."""
    attr = _captum(request)
    return _largest(request, _attribute(request, attr.Saliency, abs=False))


@input_method(
    "smoothgrad",
    title="SmoothGrad",
    paper="Smilkov et al., 2017, arXiv 1706.03825",
    cost="1 + samples forward, samples backward",
    needs=CAPTUM,
)
def smooth_grad(
    request: AttributionRequest, samples: int = 25, noise: float = 0.15, batch: int = 4, seed: int = 0
) -> Tensor:
    """`max_C |mean ∂y/∂x|` over clips with Gaussian noise.

    Args:
        samples: noisy clips.
        noise: standard deviation, as a share of the clip's range.
        batch: noisy clips in one pass.
        seed: of the noise.
    """
    attr = _captum(request)
    spread = tuple(noise * float(x.max() - x.min()) for x in request.videos)

    def tunnel(forward: Any) -> Any:
        return attr.NoiseTunnel(attr.Saliency(forward))

    with fixed_seed(seed, [x.device for x in request.videos]):
        attributions = _attribute(
            request,
            tunnel,
            nt_type="smoothgrad",
            nt_samples=samples,
            nt_samples_batch_size=min(batch, samples),
            stdevs=spread,
            abs=False,
        )
    return _largest(request, attributions)


@input_method(
    "inputxgradient",
    title="Input × gradient",
    paper="Shrikumar et al., 2016, arXiv 1605.01713",
    cost="2 forward, 1 backward",
    needs=CAPTUM,
)
def input_x_gradient(request: AttributionRequest) -> Tensor:
    """`ReLU(Σ_C x · ∂y/∂x)`."""
    return _positive(request, _attribute(request, _captum(request).InputXGradient))


@input_method(
    "integrated-gradients",
    title="Integrated gradients",
    paper="Sundararajan et al., ICML 2017, eq. 1",
    cost="1 + steps forward, steps backward",
    needs=CAPTUM,
)
def integrated_gradients(request: AttributionRequest, steps: int = 50, batch: int = 4) -> Tensor:
    """`ReLU(Σ_C x · mean ∂y/∂x)`, the mean along the line from a clip of zeros, which is the mean colour.

    Args:
        steps: points on the line, by Gauss-Legendre quadrature.
        batch: clips in one pass.
    """
    attr = _captum(request)
    size = max(batch, len(request.targets))
    return _positive(
        request, _attribute(request, attr.IntegratedGradients, n_steps=steps, internal_batch_size=size)
    )


@input_method(
    "occlusion",
    title="Occlusion by blocks in space and time",
    paper="Zeiler and Fergus, ECCV 2014",
    cost="2 + blocks forward",
    needs=CAPTUM,
)
def occlusion(request: AttributionRequest, pixels: int = 32, frames: int = 4, batch: int = 8) -> Tensor:
    """`ReLU(y − y_occluded)`, the mean over the blocks of zeros, the mean colour, that cover a pixel.

    Args:
        pixels, frames: edge of a block in space and in time; blocks are half of that apart.
        batch: occluded clips in one pass.
    """
    attr = _captum(request)
    blocks: list[tuple[int, ...]] = []
    strides: list[tuple[int, ...]] = []
    for x in request.videos:
        block = [
            min(n, edge) for n, edge in zip(x.shape[2:], (frames, pixels, pixels)[5 - x.dim() :], strict=True)
        ]
        blocks.append((x.shape[1], *block))
        strides.append((x.shape[1], *(max(1, n // 2) for n in block)))
    show = request.progress and sys.stderr.isatty()
    with torch.no_grad():
        attributions = _attribute(
            request,
            attr.Occlusion,
            sliding_window_shapes=tuple(blocks),
            strides=tuple(strides),
            perturbations_per_eval=batch,
            show_progress=show,
        )
    return _positive(request, [x[:, :1] for x in attributions])


def _captum(request: AttributionRequest) -> Any:
    """`captum.attr`.

    Raises:
        InputError: it is not installed.
    """
    return optional_import("captum.attr", extra="captum", purpose=f"the method '{request.method}'")


def _attribute(
    request: AttributionRequest, algorithm: Callable[[Any], Any], **options: Any
) -> tuple[Tensor, ...]:
    """Run an algorithm of captum: its attributions `(B, C, T, H, W)` of each of the request's videos."""

    def forward(*arguments: Tensor) -> Tensor:
        *videos, samples = arguments
        converted = [x.to(video.dtype) for x, video in zip(videos, request.videos, strict=True)]
        return request.all_scores(request.with_samples(converted, samples))

    samples = torch.arange(len(request.targets), device=request.targets.device)
    videos = tuple(x.detach().clone().requires_grad_(torch.is_grad_enabled()) for x in request.videos)
    attributions: tuple[Tensor, ...] = algorithm(forward).attribute(
        videos, target=request.targets, additional_forward_args=(samples,), **options
    )
    return attributions


def _largest(request: AttributionRequest, gradients: tuple[Tensor, ...]) -> Tensor:
    """Largest absolute gradient over the channels, of all videos together."""
    if request.counterfactual:
        raise UsageError(
            f"method '{request.method}' takes the gradient's absolute value, the same for a class and "
            "against it; for a counterfactual use guided-backprop, inputxgradient or integrated-gradients."
        )
    return sum_videos(request, [x.abs().amax(1) for x in gradients])


def _positive(request: AttributionRequest, attributions: Any) -> Tensor:
    """Positive part of the sum over the channels, of all videos together."""
    return sum_videos(request, [x.sum(1).clamp(min=0) for x in attributions])


def sum_videos(request: AttributionRequest, maps: list[Tensor]) -> Tensor:
    """Sum the maps of a request's videos at the size of the largest."""
    return torch.stack([request.upsample(x.detach().float()) for x in maps]).sum(0)


@input_method(
    "guided-backprop",
    title="Guided backprop",
    paper="Springenberg et al., ICLR workshop 2015",
    cost="2 forward, 1 backward",
    needs="a network with ReLUs",
)
def guided_backprop(request: AttributionRequest) -> Tensor:
    """`max_C |g|`, with g the gradient that passes a ReLU only where it is positive.

    As in captum, but ReLUs may also be functions, be used twice, or work in place.
    """
    videos = [x.detach().clone().requires_grad_() for x in request.videos]
    with _GuidedRelus() as guided:
        score = request.score(request.with_videos(*videos)).sum()
    if not guided.relus:
        raise UsageError(
            f"method '{request.method}' needs a network with ReLUs; use saliency, which needs none."
        )
    return sum_videos(request, [g.abs().amax(1) for g in torch.autograd.grad(score, videos)])


class _GuidedRelus(TorchFunctionMode):
    """Inside, every ReLU passes positive gradients only; `relus` counts them."""

    relus = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in (F.relu, torch.relu, Tensor.relu, Tensor.relu_, F.relu_):
            return func(*args, **(kwargs or {}))
        self.relus += 1
        result: Tensor = ReluRule.apply(args[0])  # type: ignore[no-untyped-call]
        in_place = func in (Tensor.relu_, F.relu_) or (kwargs or {}).get("inplace")
        return args[0].copy_(result) if in_place else result

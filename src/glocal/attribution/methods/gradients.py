"""Methods that take the gradient at the input: saliency, integrated gradients, guided backprop."""

import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from glocal.attribution.method import input_method
from glocal.attribution.methods.excitation_rules import Relu
from glocal.attribution.request import Call
from glocal.errors import UsageError
from glocal.utils.optional_import import optional_import

CAPTUM = "captum"


@input_method(
    "saliency",
    title="Gradient",
    paper="Simonyan et al., ICLR workshop 2014",
    cost="2 forward, 1 backward",
    needs=CAPTUM,
)
def saliency(call: Call) -> Tensor:
    """`max_C |∂y/∂x|`."""
    attr = _captum(call)
    return _largest(call, _attributed(call, attr.Saliency, abs=False))


@input_method(
    "smoothgrad",
    title="SmoothGrad",
    paper="Smilkov et al., 2017, arXiv 1706.03825",
    cost="1 + samples forward, samples backward",
    needs=CAPTUM,
)
def smooth_grad(call: Call, samples: int = 25, noise: float = 0.15, batch: int = 4, seed: int = 0) -> Tensor:
    """`max_C |mean ∂y/∂x|` over clips with Gaussian noise.

    Args:
        samples: noisy clips.
        noise: standard deviation, as a share of the clip's range.
        batch: noisy clips in one pass.
        seed: of the noise.
    """
    attr = _captum(call)
    spread = tuple(noise * float(x.max() - x.min()) for x in call.videos)

    def tunnel(forward: Any) -> Any:
        return attr.NoiseTunnel(attr.Saliency(forward))

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        found = _attributed(
            call,
            tunnel,
            nt_type="smoothgrad",
            nt_samples=samples,
            nt_samples_batch_size=min(batch, samples),
            stdevs=spread,
            abs=False,
        )
    return _largest(call, found)


@input_method(
    "inputxgradient",
    title="Input × gradient",
    paper="Shrikumar et al., 2016, arXiv 1605.01713",
    cost="2 forward, 1 backward",
    needs=CAPTUM,
)
def input_x_gradient(call: Call) -> Tensor:
    """`ReLU(Σ_C x · ∂y/∂x)`."""
    return _positive(call, _attributed(call, _captum(call).InputXGradient))


@input_method(
    "integrated-gradients",
    title="Integrated gradients",
    paper="Sundararajan et al., ICML 2017, eq. 1",
    cost="1 + steps forward, steps backward",
    needs=CAPTUM,
)
def integrated_gradients(call: Call, steps: int = 50, batch: int = 4) -> Tensor:
    """`ReLU(Σ_C x · mean ∂y/∂x)`, the mean along the line from a clip of zeros, which is the mean colour.

    Args:
        steps: points on the line, by Gauss-Legendre quadrature.
        batch: clips in one pass.
    """
    attr = _captum(call)
    size = max(batch, len(call.classes))
    return _positive(
        call, _attributed(call, attr.IntegratedGradients, n_steps=steps, internal_batch_size=size)
    )


@input_method(
    "occlusion",
    title="Occlusion by blocks in space and time",
    paper="Zeiler and Fergus, ECCV 2014",
    cost="2 + blocks forward",
    needs=CAPTUM,
)
def occlusion(call: Call, pixels: int = 32, frames: int = 4, batch: int = 8) -> Tensor:
    """`ReLU(y − y_occluded)`, the mean over the blocks of zeros, the mean colour, that cover a pixel.

    Args:
        pixels, frames: edge of a block in space and in time; blocks are half of that apart.
        batch: occluded clips in one pass.
    """
    attr = _captum(call)
    blocks: list[tuple[int, ...]] = []
    strides: list[tuple[int, ...]] = []
    for x in call.videos:
        block = [
            min(n, edge) for n, edge in zip(x.shape[2:], (frames, pixels, pixels)[5 - x.dim() :], strict=True)
        ]
        blocks.append((x.shape[1], *block))
        strides.append((x.shape[1], *(max(1, n // 2) for n in block)))
    show = call.progress and sys.stderr.isatty()
    with torch.no_grad():
        found = _attributed(
            call,
            attr.Occlusion,
            sliding_window_shapes=tuple(blocks),
            strides=tuple(strides),
            perturbations_per_eval=batch,
            show_progress=show,
        )
    return _positive(call, [x[:, :1] for x in found])


def _captum(call: Call) -> Any:
    """`captum.attr`.

    Raises:
        InputError: it is not installed.
    """
    return optional_import("captum.attr", extra="captum", purpose=f"the method '{call.name}'")


def _attributed(call: Call, algorithm: Callable[[Any], Any], **options: Any) -> tuple[Tensor, ...]:
    """What `algorithm` attributes to each of the call's videos, `(B, C, T, H, W)` each."""

    def forward(*videos: Tensor) -> Tensor:
        fitted = (x.to(own.dtype) for x, own in zip(videos, call.videos, strict=True))
        return call.scores(call.replaced(*fitted))

    videos = tuple(x.detach().clone().requires_grad_(torch.is_grad_enabled()) for x in call.videos)
    found: tuple[Tensor, ...] = algorithm(forward).attribute(videos, target=call.classes, **options)
    return found


def _largest(call: Call, found: tuple[Tensor, ...]) -> Tensor:
    if call.question.counterfactual:
        raise UsageError(
            f"method '{call.name}' takes the gradient's absolute value, the same for a class and against it; "
            "for a counterfactual use guided-backprop, inputxgradient or integrated-gradients."
        )
    return together(call, [x.abs().amax(1) for x in found])


def _positive(call: Call, found: Any) -> Tensor:
    return together(call, [x.sum(1).clamp(min=0) for x in found])


def together(call: Call, maps: list[Tensor]) -> Tensor:
    """The sum of the maps of a network's inputs, at the size of the largest."""
    return torch.stack([call.at_size(x.detach().float()) for x in maps]).sum(0)


@input_method(
    "guided-backprop",
    title="Guided backprop",
    paper="Springenberg et al., ICLR workshop 2015",
    cost="2 forward, 1 backward",
    needs="a network with ReLUs",
)
def guided_backprop(call: Call) -> Tensor:
    """`max_C |g|`, with g the gradient that passes a ReLU only where it is positive.

    As in captum, but with ReLUs that are no modules, or used twice, or in place.
    """
    videos = [x.detach().clone().requires_grad_() for x in call.videos]
    with _Guided() as guided:
        score = call.score(call.replaced(*videos)).sum()
    if not guided.relus:
        raise UsageError(
            f"method '{call.name}' needs a network with ReLUs; use saliency, its like without them."
        )
    return together(call, [g.abs().amax(1) for g in torch.autograd.grad(score, videos)])


class _Guided(TorchFunctionMode):
    """Inside, every ReLU is a guided one."""

    relus = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in (F.relu, torch.relu, Tensor.relu, Tensor.relu_, F.relu_):
            return func(*args, **(kwargs or {}))
        self.relus += 1
        result: Tensor = Relu.apply(args[0])  # type: ignore[no-untyped-call]
        in_place = func in (Tensor.relu_, F.relu_) or (kwargs or {}).get("inplace")
        return args[0].copy_(result) if in_place else result

"""Guided backprop, in which a ReLU passes positive gradients only, and Guided Grad-CAM."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from glocal.attribution.method import input_method
from glocal.attribution.methods.cam import grad_cam
from glocal.attribution.methods.excitation_rules import ReluRule
from glocal.attribution.methods.gradients import input_gradients, sum_videos
from glocal.attribution.request import AttributionRequest
from glocal.errors import UsageError


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
    return _largest_guided_gradient(request)


def _largest_guided_gradient(request: AttributionRequest) -> Tensor:
    """`max_C |g|`, summed over the videos."""
    with _GuidedRelus() as guided:
        gradients = input_gradients(request, request.videos)
    if not guided.relus:
        raise UsageError(
            f"method '{request.method}' needs a network with ReLUs; use saliency, which needs none."
        )
    return sum_videos(request, [g.abs().amax(1) for g in gradients])


@input_method(
    "guided-gradcam",
    title="Guided Grad-CAM",
    paper="Selvaraju et al., ICCV 2017, section 3.2",
    cost="3 forward, 1 backward, 1 partial backward",
    needs="layers, in a network with ReLUs",
)
def guided_grad_cam(request: AttributionRequest) -> dict[str, Tensor]:
    """`max_C |g| · ↑Grad-CAM` for each layer, with g the gradient of guided backprop at the input."""
    guided = _largest_guided_gradient(request)
    with request.record() as tape:
        gradients = tape.gradients(request.target_score(tape.logits).sum())
    with torch.no_grad():
        return {
            name: guided * grad_cam(activation.detach().float(), gradients[name].float(), request.upsample)
            for name, activation in tape.activations.items()
        }


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

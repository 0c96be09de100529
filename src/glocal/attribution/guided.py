"""Guided backprop: the gradient that passes a ReLU only where it is positive."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from glocal.attribution.call import Call
from glocal.attribution.pixel import together
from glocal.attribution.registry import input_method
from glocal.attribution.winning import Relu
from glocal.errors import UsageError


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

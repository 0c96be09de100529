"""Which part of an attribution autocast computes in lower precision: all of it, or its gradients alone.

Rounded activations move the maxima of max pooling and the ends of ReLU6, and with them the places that the
gradient reaches. Networks that have many of them run forward in float32 and backward in the lower precision,
which costs nothing in accuracy: a gradient is linear in what is rounded there.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from glocal.attribution.inputs.network_inputs import Inputs, tensors

MAX_POOLS = 1
"""Max pooling layers up to which a network runs in lower precision as a whole: a stem has one."""

GRADIENT_SCALE = 2.0**10
"""Factor of scores in float16, whose gradients would be rounded to zero otherwise."""

CONVOLUTIONS: Mapping[Callable[..., Any], int] = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}
"""Function → number of axes in space and time."""


def is_sensitive(network: nn.Module) -> bool:
    """Whether rounding in the forward pass moves what the gradient of a network reaches."""
    modules = list(network.modules())
    pools = sum(isinstance(module, nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d) for module in modules)
    return pools > MAX_POOLS or any(isinstance(module, nn.ReLU6) for module in modules)


def autocast_type(network: nn.Module, inputs: Inputs) -> torch.dtype | None:
    """Return the type in which autocast computes on the device of the network; None where it is off."""
    device = _device(network, inputs)
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


@contextlib.contextmanager
def recorded_precisely(network: nn.Module, inputs: Inputs) -> Iterator[None]:
    """Inside, a sensitive network under autocast runs forward in float32 and backward in autocast's type."""
    kind = autocast_type(network, inputs)
    if kind is None or not is_sensitive(network):
        yield
        return
    with torch.autocast(_device(network, inputs), enabled=False), _ReducedGradients(kind):
        yield


def gradient_scale(network: nn.Module, inputs: Inputs) -> float:
    """Return the factor by which scores are multiplied, and gradients divided."""
    return GRADIENT_SCALE if autocast_type(network, inputs) == torch.float16 else 1.0


def _device(network: nn.Module, inputs: Inputs) -> str:
    """Return the type of the device that the network runs on."""
    tensor = next(itertools.chain(network.parameters(), tensors(inputs)), None)
    return "cpu" if tensor is None else tensor.device.type


class _ReducedGradients(TorchFunctionMode):
    """Inside, convolutions have a backward pass in a lower precision."""

    def __init__(self, kind: torch.dtype) -> None:
        super().__init__()
        self.kind = kind

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        call = _convolution_call(func, *args, **(kwargs or {})) if func in CONVOLUTIONS else None
        if call is None:
            return func(*args, **(kwargs or {}))
        return _Convolution.apply(*call, self.kind)  # type: ignore[no-untyped-call]


def _convolution_call(
    func: Callable[..., Any],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Any, ...] | None:
    """Return the arguments of `_Convolution`; None for a call whose backward pass is left as it is."""
    axes = CONVOLUTIONS[func]
    is_whole = input.dim() == axes + 2 and input.dtype == torch.float32 and not isinstance(padding, str)
    if not is_whole or weight.requires_grad or not (torch.is_grad_enabled() and input.requires_grad):
        return None
    per_axis = [
        [value] * axes if isinstance(value, int) else list(value) for value in (stride, padding, dilation)
    ]
    return (input, weight, bias, *(values * (axes // len(values)) for values in per_axis), groups)


class _Convolution(torch.autograd.Function):
    """A convolution in float32, whose gradient for the input is computed in a lower precision."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
        dilation: list[int],
        groups: int,
        kind: torch.dtype,
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.facts = (x.shape, stride, padding, dilation, groups, kind)
        output: Tensor = torch.ops.aten.convolution(
            x, weight, bias, stride, padding, dilation, False, [0] * len(stride), groups
        )
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        shape, stride, padding, dilation, groups, kind = ctx.facts
        gradient = gradient.to(kind)
        of_input, _, _ = torch.ops.aten.convolution_backward(
            gradient,
            gradient.new_empty(1).expand(shape),
            weight.to(kind),
            None,
            stride,
            padding,
            dilation,
            False,
            [0] * len(stride),
            groups,
            [True, False, False],
        )
        return (of_input.float(), *[None] * 7)

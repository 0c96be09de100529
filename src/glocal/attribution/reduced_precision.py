"""The precision and the memory layout in which a network is recorded.

Rounded activations move the maxima of max pooling and the ends of ReLU6, and with them the places that the
gradient reaches. Under autocast, networks that have many of them run forward in float32 and backward in the
lower precision, which costs nothing in accuracy: a gradient is linear in what is rounded there.

Channels last is the layout of the fast kernels for 16 bits, and on a processor for max pooling, which takes
fifteen times as long in the other one.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from glocal.attribution.inputs.network_inputs import MEMORY_FORMATS, Inputs, channels_last, tensors

MAX_POOLS = 1
"""Max pooling layers up to which a network runs in lower precision as a whole: a stem has one."""

GRADIENT_SCALE = 2.0**10
"""Factor of scores in float16, whose gradients would be rounded to zero otherwise."""

CONVOLUTIONS: Mapping[Callable[..., Any], int] = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}
"""Function → number of axes in space and time."""


def is_sensitive(network: nn.Module) -> bool:
    """Whether rounding in the forward pass moves what the gradient of a network reaches."""
    return pools_often(network) or any(isinstance(module, nn.ReLU6) for module in network.modules())


def pools_often(network: nn.Module) -> bool:
    """Whether a network has several max pooling layers."""
    pools = sum(isinstance(m, nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d) for m in network.modules())
    return pools > MAX_POOLS


def autocast_type(network: nn.Module, inputs: Inputs) -> torch.dtype | None:
    """Return the type in which autocast computes on the device of the network; None where it is off."""
    device = _device(network, inputs)
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def pays_channels_last(network: nn.Module, inputs: Inputs) -> bool:
    """Whether a network is recorded faster with channels last."""
    is_reduced = autocast_type(network, inputs) is not None
    return is_reduced or (_device(network, inputs) == "cpu" and pools_often(network))


@contextlib.contextmanager
def recorded_precisely(
    network: nn.Module, inputs: Inputs, *, is_channels_last: bool
) -> Iterator[Callable[[Tensor], Tensor]]:
    """Inside, a sensitive network under autocast runs forward in float32 and backward in autocast's type.

    Args:
        network: is recorded inside.
        inputs: of the network.
        is_channels_last: whether the layout is channels last where it pays.

    Yields:
        The function that lays out a tensor of the inputs.
    """
    kind, device = autocast_type(network, inputs), _device(network, inputs)
    is_forward_exact = is_sensitive(network) if kind else is_channels_last
    if not is_forward_exact:
        yield channels_last if is_channels_last else _unchanged
        return
    convolutions = _Convolutions(kind or torch.float32, is_channels_last and device == "cpu")
    with torch.autocast(device, enabled=False), convolutions:
        yield _unchanged


def _unchanged(x: Tensor) -> Tensor:
    return x


def gradient_scale(network: nn.Module, inputs: Inputs) -> float:
    """Return the factor by which scores are multiplied, and gradients divided."""
    return GRADIENT_SCALE if autocast_type(network, inputs) == torch.float16 else 1.0


def _device(network: nn.Module, inputs: Inputs) -> str:
    """Return the type of the device that the network runs on."""
    tensor = next(itertools.chain(network.parameters(), tensors(inputs)), None)
    return "cpu" if tensor is None else tensor.device.type


class _Convolutions(TorchFunctionMode):
    """Inside, convolutions run forward in float32 and backward in another precision.

    Args:
        kind: of the backward pass.
        by_onednn: whether those on a processor run forward by oneDNN, with channels last. PyTorch takes other
            kernels for many of those of a single clip, which are half as fast and return another layout.
    """

    def __init__(self, kind: torch.dtype, by_onednn: bool) -> None:
        super().__init__()
        self.kind = kind
        self.by_onednn = by_onednn and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]

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
        return _Convolution.apply(*call, self.kind, self.by_onednn)  # type: ignore[no-untyped-call]


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
    """Return the arguments of `_Convolution`; None for a call that is left as it is."""
    axes = CONVOLUTIONS[func]
    is_whole = input.dim() == axes + 2 and input.dtype == torch.float32 and not isinstance(padding, str)
    if not is_whole or weight.requires_grad:
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
        by_onednn: bool,
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.facts = (x.shape, stride, padding, dilation, groups, kind)
        if by_onednn and x.dim() in MEMORY_FORMATS:
            x = channels_last(x)
            output: Tensor = torch.ops.aten.mkldnn_convolution(
                x, weight, bias, padding, stride, dilation, groups
            )
        else:
            output = torch.ops.aten.convolution(
                x, weight, bias, stride, padding, dilation, False, [0] * len(stride), groups
            )
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        shape, stride, padding, dilation, groups, kind = ctx.facts
        gradient = channels_last(gradient.to(kind))
        layout = MEMORY_FORMATS.get(gradient.dim(), torch.contiguous_format)
        of_input, _, _ = torch.ops.aten.convolution_backward(
            gradient,
            torch.empty(shape, dtype=kind, device=gradient.device, memory_format=layout),
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
        return (of_input.float(), *[None] * 9)

"""Rules of excitation backprop: the derivative of each kind of function, which passes probability down."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ExcitationRule(torch.autograd.Function):
    """A function whose backward pass distributes winning probability over its excitatory inputs.

    `P(a_i) = Σ_j a_i w⁺_ij P_j / Σ_k a_k w⁺_kj`, without biases. Where P_j is negative, the negated weights
    are used, and its absolute value is distributed. Batch norms with a negative scale and the opposite of a
    class use this to tell the layer below.
    """

    @staticmethod
    def forward(
        ctx: Any, run: Callable[..., Tensor], excite: Callable[..., Tensor], inhibit: Any, *inputs: Tensor
    ) -> Tensor:
        """Run the function itself."""
        ctx.save_for_backward(*inputs)
        ctx.excite, ctx.inhibit = excite, inhibit
        return run(*inputs)

    @staticmethod
    def backward(ctx: Any, *messages: Tensor) -> tuple[Tensor | None, ...]:
        """Distribute the message over the inputs."""
        (message,) = messages
        shares = _distribute(ctx.excite, ctx.saved_tensors, message.clamp(min=0))
        if ctx.inhibit is not None and (message < 0).any():
            more = _distribute(ctx.inhibit, ctx.saved_tensors, (-message).clamp(min=0))
            shares = [a + b for a, b in zip(shares, more, strict=True)]
        return None, None, None, *shares


def _distribute(function: Callable[..., Tensor], inputs: tuple[Tensor, ...], message: Tensor) -> list[Tensor]:
    """Each input's share of `message`, in proportion to its part in the function's result."""
    responses = [x.detach().clamp(min=0).requires_grad_() for x in inputs]
    with torch.enable_grad():
        total = function(*responses)
    share = (message / total.detach()).where(total > torch.finfo(total.dtype).tiny, 0.0)
    shares = torch.autograd.grad(total, responses, share)
    return [response.detach() * s for response, s in zip(responses, shares, strict=True)]


class ScaleRule(torch.autograd.Function):
    """A scale, such as a batch norm's: the message passes, negated where the scale is negative."""

    @staticmethod
    def forward(ctx: Any, run: Callable[[Tensor], Tensor], scale: Tensor | None, x: Tensor) -> Tensor:
        """Run the function itself."""
        ctx.sign = None if scale is None else scale.sign().view(-1, *[1] * max(x.dim() - 2, 0))
        return run(x)

    @staticmethod
    def backward(ctx: Any, *messages: Tensor) -> tuple[Tensor | None, ...]:
        """Pass the message on, with the sign of the scale."""
        (message,) = messages
        return None, None, message if ctx.sign is None else message * ctx.sign


class ReluRule(torch.autograd.Function):
    """A positive message passes where the input is positive, as in guided backprop."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Compute the ReLU."""
        ctx.save_for_backward(x > 0)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *messages: Tensor) -> Tensor:
        """Pass a positive message where the input was positive."""
        (message,), (on,) = messages, ctx.saved_tensors
        return message.clamp(min=0).where(on, 0.0)


def linear(function: Callable[..., Tensor], x: Tensor, weight: Tensor, *rest: Any, **options: Any) -> Tensor:
    """A convolution or linear layer."""
    bias, *more = rest or [options.pop("bias", None)]

    def weighted(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
        return lambda responses: function(responses, weight, bias, *more, **options)

    excite, inhibit = weighted(weight.clamp(min=0), None), weighted((-weight).clamp(min=0), None)
    return ExcitationRule.apply(weighted(weight, bias), excite, inhibit, x)  # type: ignore[no-any-return, no-untyped-call]


def average(function: Callable[..., Tensor], x: Tensor, *rest: Any, **options: Any) -> Tensor:
    """An average or sum over places."""

    def run(responses: Tensor) -> Tensor:
        return function(responses, *rest, **options)

    return ExcitationRule.apply(run, run, None, x)  # type: ignore[no-any-return, no-untyped-call]


def summed(function: Callable[..., Tensor], x: Any, y: Any, **options: Any) -> Tensor:
    """A sum of responses; a constant is a bias, and each summand of scores gets the whole message."""
    constant = any(not isinstance(term, Tensor) or isinstance(term, nn.Parameter) for term in (x, y))
    if constant or x.dim() == 2:
        return function(x, y, **options)

    def run(x: Tensor, y: Tensor) -> Tensor:
        return torch.add(x, y, **options)

    return ExcitationRule.apply(run, run, None, x, y)  # type: ignore[no-any-return, no-untyped-call]


def batch_norm(
    function: Callable[..., Tensor],
    x: Tensor,
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None = None,
    *rest: Any,
    **options: Any,
) -> Tensor:
    """A batch norm, as if it were folded into the convolution before it."""

    def run(responses: Tensor) -> Tensor:
        return function(responses, mean, variance, weight, *rest, **options)

    return ScaleRule.apply(run, weight, x)  # type: ignore[no-any-return, no-untyped-call]


def relu(function: Callable[..., Tensor], x: Tensor, *rest: Any, **options: Any) -> Tensor:
    """A ReLU."""
    return ReluRule.apply(x)  # type: ignore[no-any-return, no-untyped-call]


def scaled(function: Callable[..., Tensor], x: Tensor, factor: float, **options: Any) -> Tensor:
    """A product with or quotient by a number, which may be negative."""

    def run(responses: Tensor) -> Tensor:
        return function(responses, factor, **options)

    return ScaleRule.apply(run, x.new_tensor(factor), x)  # type: ignore[no-any-return, no-untyped-call]


def routed(function: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
    """A function that moves or selects values: its derivative is the rule."""
    return function(*inputs, **options)


FUNCTIONS: dict[Callable[..., Any], tuple[Any, ...]] = {
    linear: (F.linear, F.conv1d, F.conv2d, F.conv3d),
    batch_norm: (F.batch_norm,),
    relu: (F.relu, F.relu_, torch.relu, Tensor.relu, Tensor.relu_),
    summed: (torch.add, Tensor.add, Tensor.add_),
    scaled: (torch.mul, Tensor.mul, torch.div, Tensor.div),
    average: (
        *(F.avg_pool1d, F.avg_pool2d, F.avg_pool3d, torch.mean, Tensor.mean, torch.sum, Tensor.sum),
        *(F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d, F.interpolate),
    ),
    routed: (
        *(F.max_pool1d, F.max_pool2d, F.max_pool3d, torch.amax, Tensor.amax),
        *(F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d),
        *(F.dropout, F.dropout2d, F.dropout3d, F.pad, torch.cat, torch.stack, Tensor.clone, Tensor.to),
        *(torch.flatten, Tensor.flatten, Tensor.unflatten, Tensor.view, Tensor.reshape, torch.reshape),
        *(torch.squeeze, Tensor.squeeze, torch.unsqueeze, Tensor.unsqueeze, Tensor.contiguous),
        *(torch.permute, Tensor.permute, torch.transpose, Tensor.transpose, Tensor.__getitem__),
        *(torch.chunk, Tensor.chunk, torch.split, Tensor.split, torch.unbind, Tensor.unbind),
        *(torch.narrow, Tensor.narrow, Tensor.expand, Tensor.float),
    ),
}
RULES = {function: rule for rule, functions in FUNCTIONS.items() for function in functions}
IN_PLACE: set[Callable[..., Tensor]] = {Tensor.add_, Tensor.relu_, F.relu_}
LINEAR = (linear, batch_norm)
"""Rules of functions whose results may be negative, as a ReLU follows."""

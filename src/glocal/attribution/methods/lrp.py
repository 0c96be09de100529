"""AttnLRP: layer-wise relevance propagation through attention (Achtibat et al., ICML 2024).

The network runs once with the derivatives of its functions replaced, so that an ordinary backward pass gives
relevance divided by activation. What follows here are those derivatives; every other function, such as a sum
or a softmax (their rule is `x · ∂/∂x`), keeps its own.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glocal.attribution.inputs.token_grid import OutputLayout
from glocal.attribution.method import input_method
from glocal.attribution.methods.attention_matrices import ExplicitAttention
from glocal.attribution.methods.gradients import NEEDS, input_gradients, sum_videos
from glocal.attribution.request import AttributionRequest

PRODUCTS = ("matmul", "bmm", "einsum", "mul")
"""Functions that multiply their arguments."""
WEIGHTED = ("linear", "conv1d", "conv2d", "conv3d")
"""Functions of an input, a weight and a bias."""
ACTIVATIONS = ("gelu", "silu", "elu", "mish", "hardswish", "leaky_relu", "softplus", "tanh", "sigmoid")
"""Functions of single values, other than the ReLU, whose derivative is the rule."""
ACTIVATION_MODULES = ("gelu", "silu", "swish", "mish")
"""Parts of the names of modules without parameters that are such a function."""
IN_PLACE = ("mul_", "silu_", "elu_", "tanh_", "sigmoid_", "leaky_relu_")


@input_method(
    "attnlrp",
    title="AttnLRP",
    paper="Achtibat et al., ICML 2024, section 3",
    cost="2 forward, 1 backward",
    needs=NEEDS,
)
def attention_lrp(request: AttributionRequest, gamma: float = 0.0, tokens: bool = False) -> Tensor:
    """`ReLU(Σ_C R)`, with R the relevance of the input.

    It sums to the score, but for what biases absorb, and each softmax, as one of zeros is not zero.

    Args:
        gamma: how much more the contributions count that have the sign of their sum, in linear layers and
            convolutions (LRP-γ); 0 is LRP-ε, and more than 0 takes four backward passes.
        tokens: sum the relevance of the pixels of each token, in networks whose tokens lie on a grid.
    """
    relevance = input_relevance(request, gamma)
    total = sum_videos(request, [x.sum(1) for x in relevance])
    grid = OutputLayout.of(request.network, request.clips, request.grid, request.input).grid
    if not tokens or grid is None:
        return total
    pool: Callable[..., Tensor] = F.adaptive_avg_pool3d if total.dim() == 4 else F.adaptive_avg_pool2d
    return pool(total[:, None], grid.size)[:, 0]


def input_relevance(request: AttributionRequest, gamma: float = 0.0) -> list[Tensor]:
    """Relevance of each value of the request's videos `(B, C, T, H, W)`, with its sign."""
    with _activation_modules(request.network), _RelevanceRules(gamma):
        gradients = input_gradients(request, request.videos)
    return [x * gradient for x, gradient in zip(request.videos, gradients, strict=True)]


@contextlib.contextmanager
def _activation_modules(network: nn.Module) -> Iterator[None]:
    """Inside, modules of an activation pass relevance on, also those that compute it from other functions."""

    def hook(module: nn.Module, args: Any, result: Any) -> Any:
        x = args[0].detach() if args and _depends(args[0]) else None
        if x is None or not isinstance(result, Tensor) or result.shape != x.shape:
            return result
        return _Scaled.apply(args[0], result.detach(), _ratio(result.detach(), x))  # type: ignore[no-untyped-call]

    with contextlib.ExitStack() as stack:
        for module in network.modules():
            name = type(module).__name__.lower()
            if any(word in name for word in ACTIVATION_MODULES) and not list(module.parameters()):
                stack.callback(module.register_forward_hook(hook).remove)
        yield


class _RelevanceRules(ExplicitAttention):
    """Inside, functions have the derivatives of AttnLRP."""

    def __init__(self, gamma: float) -> None:
        super().__init__()
        self._gamma = gamma

    def apply(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function by its rule, if it has one and depends on the video."""
        name = getattr(func, "__name__", "")
        if name in IN_PLACE and _depends(args[0]):
            return args[0].copy_(self._by_rule(name[:-1], getattr(torch, name[:-1]), args, kwargs))
        return self._by_rule(name, func, args, kwargs)

    def _by_rule(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if name in PRODUCTS:
            return _product(func, args, kwargs)
        if name == "div" and _depends(args[1]):
            return func(args[0], args[1].detach(), *args[2:], **kwargs)
        if not args or not _depends(args[0]):
            return func(*args, **kwargs)
        if name in ACTIVATIONS:
            return _activation(func, args, kwargs)
        if name in NORMS:
            return NORMS[name](*args, **kwargs)
        if name == "rsqrt":
            return func(args[0].detach(), *args[1:], **kwargs)
        if name in WEIGHTED and self._gamma:
            return _weighted(func, self._gamma, *args, **kwargs)
        return func(*args, **kwargs)


def _depends(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


class _Scaled(torch.autograd.Function):
    """A result whose derivative by x is a given factor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, result: Tensor, factor: Tensor | float) -> Tensor:
        ctx.factor = factor
        return result.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0] * ctx.factor, None, None


def _product(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """A product shares its relevance evenly among its factors that depend on the video (proposition 3.3)."""
    count = sum(map(_depends, args))
    if count < 2:
        return func(*args, **kwargs)
    shared = [_Scaled.apply(x, x, 1 / count) if _depends(x) else x for x in args]  # type: ignore[no-untyped-call]
    return func(*shared, **kwargs)


def _ratio(result: Tensor, x: Tensor) -> Tensor:
    """`result / x`, and 0 where x is."""
    return (result / x).where(x != 0, 0.0)


def _activation(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    """A function of single values passes its relevance on (identity rule, section 3.3)."""
    x = args[0]
    with torch.no_grad():
        result = func(x.clone(), *args[1:], **kwargs)
        factor = _ratio(result, x)
    return _Scaled.apply(x, result, factor)  # type: ignore[no-any-return, no-untyped-call]


def _layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Tensor:
    """A layer norm is linear, as its standard deviation counts as constant (section 3.3)."""
    axes = tuple(range(-len(normalized_shape), 0))
    x = x - x.mean(axes, keepdim=True)
    x = x / (x.detach().square().mean(axes, keepdim=True) + eps).sqrt()
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _rms_norm(
    x: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """An RMS norm is linear, as its root mean square counts as constant."""
    axes = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    x = x / (x.detach().square().mean(axes, keepdim=True) + eps).sqrt()
    return x if weight is None else x * weight


NORMS: dict[str, Callable[..., Tensor]] = {"layer_norm": _layer_norm, "rms_norm": _rms_norm}
"""Name of a function → its rule."""


def _weighted(
    func: Callable[..., Tensor],
    gamma: float,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    """A linear layer or convolution by LRP-γ."""

    def run(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return func(x, weight, bias, *args, **kwargs)

    return _GammaRule.apply(x, run, weight, bias, gamma)  # type: ignore[no-any-return, no-untyped-call]


class _GammaRule(torch.autograd.Function):
    """LRP-γ for inputs and results of both signs.

    A contribution `x_i w_ij` with the sign of the result counts `1 + γ` times; so does the bias.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        run: Callable[..., Tensor],
        weight: Tensor,
        bias: Tensor | None,
        gamma: float,
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.run, ctx.weight, ctx.bias, ctx.gamma = run, weight, bias, gamma
        return run(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (x,) = ctx.saved_tensors
        run, gamma = ctx.run, ctx.gamma
        result = run(x, ctx.weight, ctx.bias)
        relevance = gradients[0] * result
        parts = [x.clamp(min=0).requires_grad_(), x.clamp(max=0).requires_grad_()]
        shares = [torch.zeros_like(x), torch.zeros_like(x)]
        for sign in (1, -1):
            more, less = (ctx.weight + gamma * ctx.weight.clamp(**{end: 0}) for end in ("min", "max")[::sign])
            bias = ctx.bias
            if bias is not None:
                bias = bias + gamma * bias.clamp(**{("min", "max")[::sign][0]: 0})
            with torch.enable_grad():
                total = run(parts[0], more, bias) + run(parts[1], less, None)
            share = (relevance / total.detach()).where(result * sign > 0, 0.0)
            for kept, gradient in zip(shares, torch.autograd.grad(total, parts, share), strict=True):
                kept += gradient
        positive, negative = shares
        return torch.where(x >= 0, positive, negative), None, None, None, None

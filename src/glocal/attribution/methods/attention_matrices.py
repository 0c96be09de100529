"""Run a network with its attention computed step by step, so that attention matrices can be read."""

import contextlib
import math
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

POOLERS = ("pooler", "attn_pool")
"""Names of modules whose attention pools the tokens for the head: it is not attention between tokens."""


class ExplicitAttention(TorchFunctionMode):
    """Inside, attention in one call is computed as matrix product, softmax and matrix product.

    This holds for `scaled_dot_product_attention`, which timm and `transformers` call, and for
    `torch.nn.MultiheadAttention`. Subclasses change what the functions do by `apply`.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            with self:
                return _attend(*args, **kwargs)
        if func is F.multi_head_attention_forward:
            with self:
                return self.multi_head(*args, **kwargs)
        return self.apply(func, args, kwargs)

    def multi_head(self, *args: Any, **kwargs: Any) -> Any:
        """`multi_head_attention_forward`, whose parts pass through `apply`."""
        return _multi_head_attention_forward(*args, **kwargs)

    def apply(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call any other function."""
        return func(*args, **kwargs)


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`scaled_dot_product_attention` of a network in eval mode, by its definition."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(-1) @ value


_multi_head_attention_forward = FunctionType(
    F.multi_head_attention_forward.__code__,
    {**F.multi_head_attention_forward.__globals__, "has_torch_function": lambda arguments: False},
    argdefs=F.multi_head_attention_forward.__defaults__,
)
"""PyTorch's function, which runs its parts in the mode that is active instead of handing itself to it."""


class AttentionMatrix(NamedTuple):
    """Attention weights as a network computed them.

    Attributes:
        weights: `(samples, heads, N, M)`, or `(samples · heads, N, M)`.
        heads: their number, where it is known.
    """

    weights: Tensor
    heads: int | None

    def is_of(self, samples: int) -> bool:
        """Whether the matrix may be that of a number of samples."""
        if self.heads is None:
            return len(self.weights) % samples == 0
        return len(self.weights) * (self.heads if self.weights.dim() == 4 else 1) == samples * self.heads

    def per_sample(self, samples: int, weights: Tensor | None = None) -> Tensor:
        """The weights, or their gradient, as `(samples, heads, N, M)`."""
        weights = self.weights if weights is None else weights
        return weights.reshape(samples, -1, *weights.shape[-2:])


class MatrixRecorder(ExplicitAttention):
    """Inside, the attention matrices of a network are kept in `matrices`, in order.

    With `differentiable`, they are parts of the graph, and those that do not depend on what needs a gradient
    are left out. Otherwise those of four axes are kept as the mean over their heads.
    """

    def __init__(self, *, differentiable: bool) -> None:
        super().__init__()
        self.matrices: list[AttentionMatrix] = []
        self._differentiable = differentiable
        self._heads: int | None = None
        self._paused = 0

    def multi_head(self, *args: Any, **kwargs: Any) -> Any:
        """`multi_head_attention_forward`, with its number of heads noted."""
        self._heads = args[4] if len(args) > 4 else kwargs["num_heads"]
        try:
            return super().multi_head(*args, **kwargs)
        finally:
            self._heads = None

    def apply(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function; keep the result of a softmax over the last of three or four axes."""
        result = func(*args, **kwargs)
        if getattr(func, "__name__", "") == "softmax" and not self._paused and result.dim() in (3, 4):
            axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
            if axis in (-1, result.dim() - 1) and (result.requires_grad or not self._differentiable):
                self._keep(result)
        return result

    def _keep(self, weights: Tensor) -> None:
        heads = weights.shape[1] if weights.dim() == 4 else self._heads
        if not self._differentiable and weights.dim() == 4:
            weights, heads = weights.mean(1, keepdim=True), 1
        self.matrices.append(AttentionMatrix(weights, heads))

    @contextlib.contextmanager
    def reading(self, network: nn.Module) -> Iterator[None]:
        """Inside, attention is kept, but for that of poolers, and no kernel runs that hides it."""

        def pause(module: nn.Module, args: Any) -> None:
            self._paused += 1

        def resume(module: nn.Module, args: Any, result: Any) -> None:
            self._paused -= 1

        with contextlib.ExitStack() as stack:
            for name, module in network.named_modules():
                if name.rpartition(".")[2] in POOLERS:
                    stack.callback(module.register_forward_pre_hook(pause).remove)
                    stack.callback(module.register_forward_hook(resume).remove)
                stack.enter_context(_visible_attention(module))
            stack.enter_context(self)
            yield


@contextlib.contextmanager
def _visible_attention(module: Any) -> Iterator[None]:
    """Inside, a network of `transformers` uses no kernel other than PyTorch's."""
    before = getattr(getattr(module, "config", None), "_attn_implementation", None)
    if before in (None, "eager", "sdpa") or not hasattr(module, "set_attn_implementation"):
        yield
        return
    module.set_attn_implementation("eager")
    try:
        yield
    finally:
        module.set_attn_implementation(before)

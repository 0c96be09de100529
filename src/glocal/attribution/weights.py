"""The attention weights of a network, as it computes them in a forward pass."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from glocal.attribution.inputs import Inputs, call
from glocal.errors import UsageError


def attention_weights(network: nn.Module, inputs: Inputs) -> list[Tensor]:
    """`(samples, heads, N, N)` of each attention layer, in the order in which they run.

    They are seen where a dropout layer passes them on; else a network of `transformers` returns them.

    Raises:
        UsageError: the network does not give them.
    """
    seen: list[Tensor] = []

    def hook(module: nn.Module, args: Any, result: Any) -> None:
        if isinstance(result, Tensor) and _is_attention(result):
            seen.append(result)

    with contextlib.ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                stack.callback(module.register_forward_hook(hook).remove)
        if hasattr(network, "set_attn_implementation"):
            with _eager_attention(network):
                result = _call_for_attention(network, inputs)
            seen = seen or [
                weights for weights in getattr(result, "attentions", None) or () if weights is not None
            ]
        else:
            call(network, inputs)
    if not seen:
        raise UsageError(
            "method 'rollout' needs attention weights, and the network gives none: no dropout layer passes "
            "them on, nor does it return them as models of transformers do; use another method."
        )
    return seen


def _is_attention(x: Tensor) -> bool:
    """Whether `x` is `(samples, heads, N, N)` with rows that sum to 1."""
    return x.dim() == 4 and x.shape[2] == x.shape[3] and bool(((x.sum(3) - 1).abs() < 1e-2).all())


def _call_for_attention(network: nn.Module, inputs: Inputs) -> Any:
    if isinstance(inputs, Mapping):
        return network(**inputs, output_attentions=True)
    return network(*(inputs if isinstance(inputs, tuple) else (inputs,)), output_attentions=True)


@contextlib.contextmanager
def _eager_attention(network: Any) -> Iterator[None]:
    """Inside, a network of `transformers` computes attention in steps, since faster ways keep no weights."""
    before = network.config._attn_implementation
    network.set_attn_implementation("eager")
    try:
        yield
    finally:
        network.set_attn_implementation(before)

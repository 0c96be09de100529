"""What networks are given: a tensor, a list, several arguments or keyword arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

Inputs = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
"""A tensor or a list is the one argument, a tuple the arguments, a mapping the keyword arguments."""


def call(network: nn.Module, inputs: Inputs) -> Any:
    """`network(inputs)`, with a tuple as arguments and a mapping as keyword arguments."""
    if isinstance(inputs, Mapping):
        return network(**inputs)
    return network(*inputs) if isinstance(inputs, tuple) else network(inputs)


def tensors(inputs: Inputs) -> list[Tensor]:
    """The tensors of `inputs`, in order."""
    if isinstance(inputs, Tensor):
        return [inputs]
    return list(inputs.values() if isinstance(inputs, Mapping) else inputs)


def to_network(inputs: Inputs, network: nn.Module) -> Inputs:
    """`inputs` on the device of the network's first parameter, floating ones in its dtype."""
    first = next((p for p in network.parameters() if p.is_floating_point()), None)
    if first is None:
        return inputs

    def move(tensor: Tensor) -> Tensor:
        return tensor.to(first.device, first.dtype if tensor.is_floating_point() else None)

    if isinstance(inputs, Tensor):
        return move(inputs)
    if isinstance(inputs, Mapping):
        return {name: move(tensor) for name, tensor in inputs.items()}
    moved = [move(tensor) for tensor in inputs]
    return tuple(moved) if isinstance(inputs, tuple) else moved


def describe(value: Any) -> str:
    """A few words on what `value` is, for error messages."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"a mapping with the keys {', '.join(map(repr, value))}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)} items"
    return f"a {type(value).__name__}"

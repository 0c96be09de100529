"""What a network is called with: a tensor, a list, several arguments or keyword arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
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


FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def channels_last(x: Tensor) -> Tensor:
    """A batch of clips or images, or a convolution's weight, in that order; another tensor as it is."""
    return x.contiguous(memory_format=FORMATS[x.dim()]) if x.dim() in FORMATS else x


Times = Mapping[int, Tensor]
"""Number of frames of a slower input → the frame `(T_slow,)` of the fastest input that each of them is."""


def frame_times(clips: Inputs) -> Times:
    """When the frames of each slower input `(B, C, T_slow, H, W)` happen, counted in those of the fastest.

    Each slow frame is looked up among the fast ones; of several equal ones the nearest to its turn counts.
    Where not all are found, because the inputs differ in more than their frames, frame `i` of `T_slow` is
    frame `i · T / T_slow`, as a stride samples it (Feichtenhofer et al., SlowFast Networks, section 3.1).
    """
    inputs = [t for t in tensors(clips) if isinstance(t, Tensor) and t.dim() == 5 and t.is_floating_point()]
    if not inputs:
        return {}
    fast = max(inputs, key=lambda t: t.shape[2])
    return {slow.shape[2]: _times(slow, fast) for slow in inputs if slow.shape[2] < fast.shape[2]}


def _times(slow: Tensor, fast: Tensor) -> Tensor:
    count = slow.shape[2]
    strided = torch.arange(count) * (fast.shape[2] / count)
    if slow.shape[:2] != fast.shape[:2] or slow.shape[3:] != fast.shape[3:]:
        return strided
    found = []
    for i, turn in enumerate(strided):
        same = (fast == slow[:, :, i : i + 1]).all(dim=4).all(dim=3).all(dim=1).all(dim=0)
        frames = same.nonzero().flatten().cpu()
        if not len(frames):
            return strided
        found.append(frames[(frames - turn).abs().argmin()])
    times = torch.stack(found).float()
    return times if bool((times.diff() > 0).all()) else strided

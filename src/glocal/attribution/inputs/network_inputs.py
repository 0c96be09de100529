"""What a network is called with: a tensor, a list, several arguments or keyword arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glocal.errors import UsageError

Inputs = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
"""A tensor or a list is the one argument, a tuple the arguments, a mapping the keyword arguments."""


def call(network: nn.Module, inputs: Inputs) -> Any:
    """Run the network on `inputs`: a tuple as its arguments, a mapping as its keyword arguments."""
    if isinstance(inputs, Mapping):
        return network(**inputs)
    return network(*inputs) if isinstance(inputs, tuple) else network(inputs)


def tensors(inputs: Inputs) -> list[Tensor]:
    """The tensors of `inputs`, in order."""
    if isinstance(inputs, Tensor):
        return [inputs]
    return list(inputs.values() if isinstance(inputs, Mapping) else inputs)


def to_network(inputs: Inputs, network: nn.Module) -> Inputs:
    """Move `inputs` to the device of the network's first parameter, and floating ones to its dtype."""
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
    """What `value` is, in a few words for error messages."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"a mapping with the keys {', '.join(map(repr, value))}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)} items"
    return f"a {type(value).__name__}"


MEMORY_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def channels_last(x: Tensor) -> Tensor:
    """Lay a batch of clips or images, or a convolution's weight, out channels last; keep other tensors."""
    return x.contiguous(memory_format=MEMORY_FORMATS[x.dim()]) if x.dim() in MEMORY_FORMATS else x


def is_map(tensor: Tensor) -> bool:
    """Whether a tensor is a clip `(B, C, T, H, W)` or an image `(B, C, H, W)`, which a map can lie on."""
    return tensor.dim() in (4, 5) and tensor.is_floating_point()


def map_size(inputs: Inputs) -> tuple[int, ...]:
    """`(T, H, W)` or `(H, W)` of the largest clip or image among the inputs.

    Raises:
        UsageError: there is none.
    """
    sizes = [tuple(t.shape[2:]) for t in tensors(inputs) if isinstance(t, Tensor) and is_map(t)]
    if not sizes:
        raise UsageError(f"clips is {describe(inputs)}; give (B, C, T, H, W), or (B, C, H, W) for images.")
    return max(sizes)


def replace_videos(inputs: Inputs, videos: list[Tensor]) -> Inputs:
    """`inputs` with `videos`, in order, in the places of its clips and images."""
    following = iter(videos)
    values = [next(following) if is_map(tensor) else tensor for tensor in tensors(inputs)]
    if isinstance(inputs, Tensor):
        return values[0]
    if isinstance(inputs, Mapping):
        return dict(zip(inputs, values, strict=True))
    return tuple(values) if isinstance(inputs, tuple) else values


FramePositions = Mapping[int, Tensor]
"""Number of frames of a slower input → where each `(T_slow,)` lies among the frames of the fastest input."""


def frame_positions(inputs: Inputs) -> FramePositions:
    """Map frame numbers of slower inputs `(B, C, T_slow, H, W)` to frame numbers of the fastest one.

    Each slow frame is searched among the fast ones; of several equal frames, the one nearest to a regular
    stride is taken. Where not all are found, because the inputs differ in more than their frames, frame `i`
    of `T_slow` is frame `i · T / T_slow`, as a stride samples it (Feichtenhofer et al., SlowFast Networks,
    section 3.1).
    """
    clips = [t for t in tensors(inputs) if isinstance(t, Tensor) and t.dim() == 5 and t.is_floating_point()]
    if not clips:
        return {}
    fast = max(clips, key=lambda clip: clip.shape[2])
    return {slow.shape[2]: _positions(slow, fast) for slow in clips if slow.shape[2] < fast.shape[2]}


def _positions(slow: Tensor, fast: Tensor) -> Tensor:
    count = slow.shape[2]
    strided = torch.arange(count) * (fast.shape[2] / count)
    if slow.shape[:2] != fast.shape[:2] or slow.shape[3:] != fast.shape[3:]:
        return strided
    matches = []
    for i, position in enumerate(strided):
        equal = (fast == slow[:, :, i : i + 1]).all(dim=4).all(dim=3).all(dim=1).all(dim=0)
        frames = equal.nonzero().flatten().cpu()
        if not len(frames):
            return strided
        matches.append(frames[(frames - position).abs().argmin()])
    positions = torch.stack(matches).float()
    return positions if bool((positions.diff() > 0).all()) else strided

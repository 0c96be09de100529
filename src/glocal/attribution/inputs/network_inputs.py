"""What a network is called with: a tensor, a list, several arguments or keyword arguments."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution.inputs.default_device import default_of_caller
from glocal.attribution.inputs.state import unchanged_state
from glocal.errors import InputError, UsageError

Inputs = Tensor | Sequence[Any] | Mapping[str, Any]
"""A tensor or a list is the one argument, a tuple the arguments, a mapping the keyword arguments.

What is no tensor, such as None, a number or a word, is passed on as it is.
"""

VALUES_PER_THREAD = 3 << 17
"""Values of clips that a processor takes at once, for each thread: its caches hold no more activations."""


def call(network: nn.Module, inputs: Inputs) -> Any:
    """Run the network on `inputs`: a tuple as its arguments, a mapping as its keyword arguments.

    The network gets copies of the tensors and of its own state, so that it may change both in place: each
    call sees the same.
    """
    inputs = copied(inputs)
    with unchanged_state(network), default_of_caller():
        if isinstance(inputs, Mapping):
            return network(**inputs)
        return network(*inputs) if isinstance(inputs, tuple) else network(inputs)


def copied(inputs: Inputs) -> Any:
    """`inputs` with copies of its tensors, through which gradients flow to them."""
    return map_tensors(inputs, Tensor.clone)


def map_tensors(inputs: Inputs, function: Callable[[Tensor], Tensor]) -> Any:
    """`inputs` with `function` of each of its tensors, in order; other values stay as they are."""
    if isinstance(inputs, Tensor):
        return function(inputs)
    if isinstance(inputs, Mapping):
        return {name: map_tensors(value, function) for name, value in inputs.items()}
    if isinstance(inputs, tuple | list):
        values = [map_tensors(value, function) for value in inputs]
        return tuple(values) if isinstance(inputs, tuple) else values
    return inputs


def tensors(inputs: Inputs) -> list[Tensor]:
    """The tensors of `inputs`, in order."""
    collected: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        collected.append(tensor)
        return tensor

    map_tensors(inputs, note)
    return collected


def to_network(inputs: Inputs, network: nn.Module) -> Any:
    """Move `inputs` to the device of the network's first parameter, and floating ones to its dtype.

    To a GPU they are copied from pinned memory, so that the processor does not wait for the copy.
    """
    first = next((p for p in network.parameters() if p.is_floating_point()), None)
    if first is None:
        return inputs

    def move(tensor: Tensor) -> Tensor:
        dtype = first.dtype if tensor.is_floating_point() else tensor.dtype
        if tensor.device.type == "cpu" and first.device.type == "cuda" and not tensor.requires_grad:
            tensor = tensor.pin_memory().to(first.device, non_blocking=True)
        return tensor.to(first.device, dtype)

    return map_tensors(inputs, move)


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


def copies(x: Tensor, count: int) -> Tensor:
    """Repeat the batch `count` times, one copy after another."""
    return x.repeat(count, *[1] * (x.dim() - 1))


def copies_at_once(clips: Tensor, count: int, device: torch.device) -> int:
    """How many copies of `clips` go through a network at once: on a processor fewer if they are large.

    Args:
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`, in any order of the axes.
        count: at most.
        device: of the network.
    """
    if device.type != "cpu":
        return count
    return min(count, max(1, VALUES_PER_THREAD * torch.get_num_threads() // clips.numel()))


def is_map(tensor: Tensor) -> bool:
    """Whether a tensor is a clip `(B, C, T, H, W)` or an image `(B, C, H, W)`, which a map can lie on."""
    return tensor.dim() in (4, 5) and tensor.is_floating_point()


InputName = int | str | None
"""Position or keyword of one of several inputs; None for the video among them."""


def videos(inputs: Inputs, input: InputName = None) -> list[Tensor]:
    """The tensors among the inputs that are explained, see `video_positions`."""
    values = tensors(inputs)
    return [values[position] for position in video_positions(inputs, input)]


def video_positions(inputs: Inputs, input: InputName = None) -> list[int]:
    """Positions among `tensors(inputs)` of the clips, or images, that are explained.

    By default they are the clips `(B, C, T, H, W)`, or without one the images `(B, C, H, W)`; where some of
    these have three channels, those and what has the size of their frames, such as optical flow.

    Args:
        inputs: as the network takes them.
        input: explain this one instead: the position of an argument, or the name of a keyword argument.

    Raises:
        UsageError: there is no clip or image, or no input of that name.
    """
    values = tensors(inputs)
    named = inputs if input is None else _named(inputs, input)
    selected = set(map(id, tensors(named)))
    large = [i for i, value in enumerate(values) if id(value) in selected and value.dim() in (4, 5)]
    maps = [i for i in large if is_map(values[i])]
    if large and not maps:
        raise UsageError(
            f"clips is a tensor of {str(values[large[0]].dtype).removeprefix('torch.')}; give floating-point "
            "values, scaled and normalised as the network was trained, such as "
            "(clips.float() / 255 - mean) / std."
        )
    if not maps:
        sentence = describe(named) if input is None else f"'{input}', {describe(named)}"
        raise UsageError(f"clips is {sentence}; give (B, C, T, H, W), or (B, C, H, W) for images.")
    if input is not None:
        return maps
    maps = [i for i in maps if values[i].dim() == 5] or maps
    sides = {values[i].shape[-2:] for i in maps if values[i].shape[1] == 3}
    return [i for i in maps if values[i].shape[-2:] in sides] if sides else maps


def convolutions(network: nn.Module) -> Iterator[nn.Conv2d | nn.Conv3d]:
    """The 2D and 3D convolutions of a network, in the order in which it defines them."""
    return (module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Conv3d))


def check_clips(network: nn.Module, inputs: Inputs, input: InputName = None) -> None:
    """Check that the clips or images that are explained have samples, frames and pixels.

    Raises:
        UsageError: one is empty, or is a clip `(C, T, H, W)` without an axis of samples.
        InputError: the weights of the network are on the meta device.
    """
    if any(parameter.is_meta for parameter in network.parameters()):
        raise InputError("the network's weights are on the meta device, without values; load them first.")
    first = next(convolutions(network), None)
    for video in videos(inputs, input):
        shape = tuple(video.shape)
        if 0 in shape:
            raise UsageError(
                f"clips is {describe(video)}, which is empty; give at least one sample, frame and pixel."
            )
        if isinstance(first, nn.Conv3d) and len(shape) == 4 and shape[0] == first.in_channels != shape[1]:
            raise UsageError(
                f"clips is {describe(video)}, and the network takes clips (B, C, T, H, W); "
                "give clips[None] for one sample."
            )


def other_maps(inputs: Inputs, input: InputName = None) -> bool:
    """Whether there are clips or images among the inputs besides those that are explained."""
    return sum(map(is_map, tensors(inputs))) > len(video_positions(inputs, input))


def _named(inputs: Inputs, input: int | str) -> Any:
    arguments = (inputs,) if isinstance(inputs, Tensor) else inputs
    names = list(arguments) if isinstance(arguments, Mapping) else list(range(len(arguments)))
    if input not in names:
        raise UsageError(f"the network has no input '{input}'; its inputs: {', '.join(map(str, names))}.")
    return arguments[input]  # type: ignore[index]


def map_size(inputs: Inputs, input: InputName = None) -> tuple[int, ...]:
    """`(T, H, W)` or `(H, W)` of the largest clip or image that is explained.

    Raises:
        UsageError: there is none.
    """
    return max(tuple(video.shape[2:]) for video in videos(inputs, input))


def replace_tensors(inputs: Inputs, replacements: Sequence[Tensor]) -> Any:
    """`inputs` with `replacements`, in order, in the places of its tensors."""
    following = iter(replacements)
    return map_tensors(inputs, lambda tensor: next(following))


FramePositions = Mapping[int, Tensor]
"""Number of frames of a slower input → where each `(T_slow,)` lies among the frames of the fastest input."""


def frame_positions(inputs: Inputs, input: InputName = None) -> FramePositions:
    """Map frame numbers of slower inputs `(B, C, T_slow, H, W)` to frame numbers of the fastest one.

    Each slow frame is searched among the fast ones; of several equal frames, the one nearest to a regular
    stride is taken. Where not all are found, because the inputs differ in more than their frames, frame `i`
    of `T_slow` is frame `i · T / T_slow`, as a stride samples it (Feichtenhofer et al., SlowFast Networks,
    section 3.1).
    """
    clips = [video for video in videos(inputs, input) if video.dim() == 5]
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

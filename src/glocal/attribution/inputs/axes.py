"""Order of the axes of a clip: networks differ, this package uses `(B, C, T, H, W)`."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Size, Tensor, nn

from glocal.attribution.frozen_network import frozen
from glocal.attribution.inputs.network_inputs import (
    Inputs,
    call,
    convolutions,
    map_tensors,
    tensors,
    to_network,
)
from glocal.errors import unknown

LAYOUTS = ("BCTHW", "BTCHW", "BTHWC")
CANONICAL = LAYOUTS[0]
USUAL_CHANNELS = (1, 2, 3, 4)
"""Numbers of channels of clips: grey, flow, RGB, RGB and depth."""
SAME_INPUT = 0.01
"""Change of a channel that is none, as a share of the largest."""


def layout_of(network: nn.Module, clips: Inputs) -> str:
    """Find the order of the axes of `clips` by the position of the network's number of input channels.

    A network of `transformers` that could take either order takes `(B, T, C, H, W)`. For others, where the
    numbers leave a doubt, it is tried out which axis has the channels of the first convolution that runs.
    Images, and clips whose channels cannot be told, count as `(B, C, T, H, W)`.
    """
    shapes = [tensor.shape for tensor in tensors(clips) if tensor.dim() == 5]
    if not shapes:
        return CANONICAL
    channels = _channels(network)
    if hasattr(network, "main_input_name"):
        orders = (LAYOUTS[1], LAYOUTS[0], LAYOUTS[2])
        return next((order for order in orders if _fits(order, shapes, channels)), CANONICAL)
    fitting = [order for order in LAYOUTS if _fits(order, shapes, channels)]
    sees_clips = set(channels) <= set(USUAL_CHANNELS)  # else the first convolution may be another's
    others = [order for order in fitting if order != CANONICAL]
    in_doubt = others and _fits(CANONICAL, shapes, USUAL_CHANNELS)
    if sees_clips and fitting and not in_doubt:
        return fitting[0]
    seen = _seen_by_convolution(network, clips, shapes)
    return seen or (fitting[0] if fitting and sees_clips else CANONICAL)


def _fits(order: str, shapes: Sequence[Size], channels: Sequence[int]) -> bool:
    return all(shape[order.index("C")] in channels for shape in shapes)


def _channels(network: nn.Module) -> tuple[int, ...]:
    """Numbers of input channels that are possible: that of the first convolution, else the usual ones."""
    first = next(convolutions(network), None)
    return USUAL_CHANNELS if first is None else (first.in_channels,)


def _seen_by_convolution(network: nn.Module, clips: Inputs, shapes: Sequence[Size]) -> str | None:
    """The order in which one channel of the clips is one channel of the first convolution that runs.

    The network is run up to there, two to four times; None if no order is that one.
    """
    moved = to_network(clips, network)
    seen = _first_convolved(network, moved)
    for order in LAYOUTS if seen is not None else ():
        other = _first_convolved(network, map_tensors(moved, partial(_with_flipped_channel, order=order)))
        if seen is None or other is None or seen.shape != other.shape:
            continue
        changes = (seen.float() - other.float()).abs().transpose(0, 1).flatten(1).amax(1)
        changed = int((changes > SAME_INPUT * changes.amax()).sum())
        if changed == 1 and _fits(order, shapes, [len(changes)]):
            return order
    return None


def _with_flipped_channel(clip: Tensor, order: str) -> Tensor:
    """`clip` with its first channel turned over, which leaves means and deviations as they are."""
    if clip.dim() != 5:
        return clip
    clip = clip.clone()
    first = clip.select(order.index("C"), 0)
    first.copy_(first.flip(1, 2, 3))
    return clip


class _ReachedError(Exception):
    """Raised at the first convolution."""


def _first_convolved(network: nn.Module, clips: Inputs) -> Tensor | None:
    """What the first convolution that runs gets; None if none runs."""
    inputs: list[Tensor] = []
    if next(convolutions(network), None) is None:
        return None

    def hook(module: nn.Module, args: Any) -> None:
        inputs.append(args[0].clone())
        raise _ReachedError

    with torch.no_grad(), frozen(network), contextlib.ExitStack() as stack:
        for module in convolutions(network):
            stack.callback(module.register_forward_pre_hook(hook).remove)
        with contextlib.suppress(Exception):  # of any kind: what goes wrong before is seen when it is run
            call(network, clips)
    return inputs[0] if inputs else None


def check_layout(layout: str) -> str:
    """Return `layout`, if it is among `LAYOUTS`.

    Raises:
        UsageError: it is not.
    """
    if layout not in LAYOUTS:
        raise unknown("layout", layout, LAYOUTS)
    return layout


def rearrange(value: Any, source: str, target: str) -> Any:
    """Reorder the axes of the 5-dimensional tensors in a tensor, list, tuple or mapping."""
    if source == target:
        return value
    order = [source.index(axis) for axis in target]
    return map_tensors(value, lambda tensor: tensor.permute(order) if tensor.dim() == 5 else tensor)


@contextlib.contextmanager
def taking_canonical(network: nn.Module, layout: str) -> Iterator[None]:
    """Inside, `network` takes clips `(B, C, T, H, W)`, which are rearranged to `layout` for it."""

    def hook(module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        return rearrange(args, CANONICAL, layout), rearrange(kwargs, CANONICAL, layout)

    if layout == CANONICAL:
        yield
        return
    handle = network.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()

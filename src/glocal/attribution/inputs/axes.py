"""Order of the axes of a clip: networks differ, this package uses `(B, C, T, H, W)`."""

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn

from glocal.attribution.inputs.network_inputs import Inputs, map_tensors, tensors
from glocal.errors import unknown

LAYOUTS = ("BCTHW", "BTCHW", "BTHWC")
CANONICAL = LAYOUTS[0]


def layout_of(network: nn.Module, clips: Inputs) -> str:
    """Find the order of the axes of `clips` by the position of the network's number of input channels.

    A network of `transformers` that could take either order takes `(B, T, C, H, W)`. Images, and clips
    whose channels cannot be told, count as `(B, C, T, H, W)`.
    """
    channels = _channels(network)
    orders = (LAYOUTS[1], LAYOUTS[0], LAYOUTS[2]) if hasattr(network, "main_input_name") else LAYOUTS
    shapes = [t.shape for t in tensors(clips) if t.dim() == 5]
    for order in orders:
        if shapes and all(shape[order.index("C")] in channels for shape in shapes):
            return order
    return CANONICAL


def _channels(network: nn.Module) -> tuple[int, ...]:
    """Numbers of input channels that are possible: that of the first convolution, else 1 to 4."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            return (module.in_channels,)
    return (1, 2, 3, 4)


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

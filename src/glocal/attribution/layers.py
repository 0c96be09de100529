"""Find the layers of a network that can be explained, and those that are by default."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution.frozen_network import frozen
from glocal.attribution.inputs.axes import CANONICAL, layout_of, rearrange, taking_canonical
from glocal.attribution.inputs.default_device import defaults_on_cpu
from glocal.attribution.inputs.network_inputs import (
    InputName,
    Inputs,
    call,
    check_clips,
    other_maps,
    replace_tensors,
    tensors,
    to_network,
    video_positions,
)
from glocal.attribution.inputs.token_grid import Grid
from glocal.attribution.inputs.wrappers import unwrap
from glocal.attribution.locking import exclusive
from glocal.attribution.tape import first_tensor
from glocal.attribution.tracing import TracedMap, trace_maps
from glocal.errors import UsageError, nearest

POOLING = (
    nn.MaxPool2d,
    nn.MaxPool3d,
    nn.AvgPool2d,
    nn.AvgPool3d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveMaxPool3d,
)
STAGES = 4
"""Blocks of a network with tokens that are explained by default."""
LayerNames = Iterable[str | nn.Module] | Mapping[str, str | nn.Module]
"""Names or submodules, or a name for maps → the name of a layer or a submodule."""


@dataclass(frozen=True)
class Layer:
    """A submodule whose output is a map over the input.

    Attributes:
        name: path of the submodule.
        kind: class of the submodule.
        shape: `(C, T, H, W)` of its output, or `(C, H, W)` for images.
        default: whether it is explained when no layers are named.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    default: bool


@defaults_on_cpu()
def explainable_layers(
    network: nn.Module, example: Inputs, grid: Grid | None = None, *, input: InputName = None
) -> list[Layer]:
    """List all submodules that return a map over the input and are called once, or once for each frame.

    A map is `(B, C, T, H, W)` or `(B, C, H, W)`, also with its channels last or each frame as a sample, or
    consists of tokens `(B, N, C)` or `(N, B, C)` that lie on a grid; it may be the first item of a tuple.

    Args:
        network: any module.
        example: an input as the network takes it; one forward pass is run on it.
        grid: `(T, H, W)` of the tokens, where the network does not tell it itself.
        input: position or keyword of the input that is explained, where there are several; by default the
            video. Layers that see only others are left out.

    Returns:
        In the order in which they finish. The defaults are the outputs of the stages before pooling: at
        the level of the module tree where the resolution changes, the last module of each resolution. Of a
        network with tokens they are the outputs of four of its blocks, evenly spread up to the last, or the
        last block of each resolution; the very last block is left out if there is a class token, since what
        follows it reads only that.
    """
    network = unwrap(network)
    check_clips(network, example, input)
    layout = layout_of(network, example)
    with exclusive(network), taking_canonical(network, layout):
        return _explainable_layers(network, rearrange(example, layout, CANONICAL), grid, input)


def _explainable_layers(
    network: nn.Module, example: Inputs, grid: Grid | None, input: InputName
) -> list[Layer]:
    """`explainable_layers` for clips in canonical order."""
    names = {module: name for name, module in network.named_modules()}
    trace = trace_maps(network, example, grid, input)
    maps = trace.maps
    if other_maps(example, input):
        unrelated = blind_to_videos(network, example, maps, input)
        maps = {module: output for module, output in maps.items() if module not in unrelated}
    shapes = {module: output.shape for module, output in maps.items()}
    forks = trace.forks | set(names).difference(trace.called)
    default = _blocks(network, maps) or _stages(network, shapes, forks)
    return [Layer(names[m], type(m).__name__, shape, m in default) for m, shape in shapes.items()]


def blind_to_videos(
    network: nn.Module, inputs: Inputs, modules: Iterable[nn.Module], input: InputName = None
) -> set[nn.Module]:
    """Those of `modules` that see only other inputs: they return the same for other videos.

    Two forward passes are run.
    """
    moved = to_network(inputs, network)
    values = tensors(moved)
    for position in video_positions(moved, input):
        values[position] = 2 - 3 * values[position].flip(*range(2, values[position].dim()))
    outputs: dict[nn.Module, list[Tensor]] = {}

    def hook(module: nn.Module, args: Any, result: Any) -> None:
        if (output := first_tensor(result)) is not None:
            outputs.setdefault(module, []).append(output.clone())

    with frozen(network), torch.no_grad(), contextlib.ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(hook).remove)
        for clips in (moved, replace_tensors(moved, values)):
            call(network, clips)
    return {module for module, (first, *_, last) in outputs.items() if torch.equal(first, last)}


def _blocks(network: nn.Module, maps: Mapping[nn.Module, TracedMap]) -> set[nn.Module]:
    """The default layers among the longest list of modules that return tokens."""
    longest: list[nn.Module] = []
    for container in network.modules():
        if isinstance(container, nn.ModuleList | nn.Sequential):
            blocks = [m for m in container if m in maps and maps[m].extra is not None]
            longest = max(longest, blocks, key=len)
    if len(longest) < 2:
        return set()
    if maps[longest[-1]].extra:
        longest = longest[:-1]
    if len({maps[block].shape[1:] for block in longest}) > 1:
        return set({maps[block].shape[1:]: block for block in longest}.values())
    return {longest[ceil((i + 1) * len(longest) / STAGES) - 1] for i in range(STAGES)}


def _stages(
    network: nn.Module, shapes: dict[nn.Module, tuple[int, ...]], forks: set[nn.Module]
) -> set[nn.Module]:
    """The last module of each resolution, passing over those with less than half the channels of another.

    `forks` are modules that are not called themselves, or return several maps: their parts count.
    """
    level = list(network.children())
    while True:
        level = [part for module in level for part in _unrolled(module, shapes, forks)]
        maps = [m for m in shapes if m in level and _may_be_stage(m) and max(shapes[m][1:]) > 1]
        most: dict[tuple[int, ...], int] = {}
        for m in maps:
            most[shapes[m][1:]] = max(shapes[m][0], most.get(shapes[m][1:], 0))
        last_of = {shapes[m][1:]: m for m in maps if 2 * shapes[m][0] >= most[shapes[m][1:]]}
        containers = [m for m in level if any(child in shapes for child in list(m.modules())[1:])]
        if len(last_of) > 1 or not containers:
            return set(last_of.values())
        widest = max(containers, key=lambda m: sum(child in shapes for child in m.modules()))
        level = [child for m in level for child in (m.children() if m is widest else [m])]


def _unrolled(
    module: nn.Module, shapes: dict[nn.Module, tuple[int, ...]], forks: set[nn.Module]
) -> list[nn.Module]:
    """The parts of a fork, or of a sequence along which the resolution changes; or the module itself."""
    parts = list(module.children())
    if module not in forks:
        resolutions = {shapes[part][-2:] for part in parts if part in shapes and _may_be_stage(part)}
        if not isinstance(module, nn.Sequential) or len(resolutions) < 2:
            return [module]
    return [inner for part in parts for inner in _unrolled(part, shapes, forks)]


def _may_be_stage(module: nn.Module) -> bool:
    return not isinstance(module, (*POOLING, nn.LayerNorm))


def find_layers(
    network: nn.Module,
    layers: LayerNames | None,
    example: Inputs,
    grid: Grid | None = None,
    *,
    input: InputName = None,
) -> dict[str, nn.Module]:
    """Look up the submodules that are to be explained.

    Args:
        network: any module.
        layers: names, submodules, a mapping of both, or None for the defaults.
        example: an input, on which the network is run to find the defaults.
        grid: of the tokens, where the network does not tell it.
        input: the one of several inputs that is explained; by default the video.

    Returns:
        Name → submodule.

    Raises:
        UsageError: the network does not have a layer, no layer is named, or one does not see the video.
    """
    network = unwrap(network)
    if isinstance(layers, Mapping):
        modules = {
            name: layer if isinstance(layer, nn.Module) else _find_layer(network, layer)[1]
            for name, layer in layers.items()
        }
    elif layers is None:
        rows = explainable_layers(network, example, grid, input=input)
        modules = {row.name: network.get_submodule(row.name) for row in rows if row.default}
    else:
        names = layers if isinstance(layers, Iterable) and not isinstance(layers, str) else [layers]
        modules = dict(_find_layer(network, layer) for layer in names)
    if not modules:
        raise UsageError("no layer to explain: name at least one that returns maps over the input.")
    if layers is not None and other_maps(example, input):
        unrelated = blind_to_videos(network, example, modules.values(), input)
        if names := [name for name, module in modules.items() if module in unrelated]:
            raise UsageError(
                f"layer '{names[0]}' does not see the input that is explained; name another layer, or choose "
                "the input by its position or keyword, as in input=1."
            )
    return modules


def _find_layer(network: nn.Module, layer: str | nn.Module) -> tuple[str, nn.Module]:
    """Name and module of one layer."""
    if isinstance(layer, nn.Module):
        for name, module in network.named_modules():
            if module is layer:
                return name, module
        raise UsageError(f"the layer given as a {type(layer).__name__} is not a part of the network.")
    if not isinstance(layer, str):
        raise UsageError(f"a layer is {layer!r}; give its name, such as '{layer}', or the module.")
    with contextlib.suppress(AttributeError):
        if layer:
            return layer, network.get_submodule(layer)
    names = [name for name, _ in network.named_modules() if name]
    top = ", ".join(name for name in names if "." not in name)
    raise UsageError(
        f"the network has no layer '{layer}'.{nearest(layer, names)} "
        f"Its top layers: {top}; glocal.layers(network, example) lists all that can be explained."
    )

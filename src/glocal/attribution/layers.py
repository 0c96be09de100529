"""Which layers of a network can be explained, and which are by default."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

import torch
from torch import nn

from glocal.attribution.inputs.network_inputs import Inputs, call, to_network
from glocal.attribution.inputs.token_grid import Canvas, Grid
from glocal.attribution.inputs.wrappers import unwrap
from glocal.attribution.tape import first_tensor, frozen, several_maps
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
LayerNames = Iterable[str | nn.Module] | Mapping[str, nn.Module]


@dataclass(frozen=True)
class Layer:
    """A submodule whose output is a map over the input.

    `shape` is its output's `(C, T, H, W)`, or `(C, H, W)` for images; `default` marks the layers that are
    explained when none are named.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    default: bool


def explainable_layers(network: nn.Module, example: Inputs, grid: Grid | None = None) -> list[Layer]:
    """All submodules that return a map over the input and are called once.

    A map is `(B, C, T, H, W)` or `(B, C, H, W)`, also with its channels last or each frame as a sample, or
    consists of tokens `(B, N, C)` that lie on a grid; it may be the first item of a tuple.

    Args:
        network: any module.
        example: an input as the network takes it; one forward pass is run on it.
        grid: `(T, H, W)` of the tokens, where the network does not tell it itself.

    Returns:
        In the order in which they finish. The defaults are the outputs of the stages before pooling: at
        the level of the module tree where the resolution changes, the last module of each resolution. Of a
        network with tokens they are the outputs of four of its blocks, evenly spread up to the last, or the
        last block of each resolution; the very last block is left out if there is a class token, since what
        follows it reads only that.
    """
    network = unwrap(network)
    canvas = Canvas.of(network, example, grid)
    names = {module: name for name, module in network.named_modules()}
    calls: dict[nn.Module, list[_Map | None]] = {}
    forks: set[nn.Module] = set()

    def hook(module: nn.Module, args: Any, result: Any) -> None:
        calls.setdefault(module, []).append(_map_of(module, result, canvas))
        if several_maps(result):
            forks.add(module)

    open_ones = [m for m in names if m is not network and not isinstance(m, torch.jit.ScriptModule)]
    handles = [module.register_forward_hook(hook) for module in open_ones]
    try:
        with frozen(network), torch.no_grad():
            call(network, to_network(example, network))
    finally:
        for handle in handles:
            handle.remove()
    maps = {module: seen[0] for module, seen in calls.items() if len(seen) == 1 and seen[0] is not None}
    shapes = {module: found.shape for module, found in maps.items()}
    default = _blocks(network, maps) or _stages(network, shapes, forks | set(names).difference(calls))
    return [Layer(names[m], type(m).__name__, shape, m in default) for m, shape in shapes.items()]


class _Map(NamedTuple):
    """`(C, T, H, W)` or `(C, H, W)` of an output, and how many of its tokens, if any, are not on the grid."""

    shape: tuple[int, ...]
    extra: int | None


def _map_of(module: nn.Module, result: Any, canvas: Canvas) -> _Map | None:
    found = first_tensor(result)
    canvas = canvas.beside(result)
    folded = None if found is None else canvas.fold(found, module)
    if found is None or folded is None:
        return None
    on_grid = found.dim() == 3 and len(found) == canvas.batch and canvas.grid is not None
    return _Map(tuple(folded.shape[1:]), canvas.grid.extra(found.shape) if canvas.grid and on_grid else None)


def _blocks(network: nn.Module, maps: Mapping[nn.Module, _Map]) -> set[nn.Module]:
    """Of the longest list of modules that return tokens, those that are explained by default."""
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
    network: nn.Module, layers: LayerNames | None, example: Inputs, grid: Grid | None = None
) -> dict[str, nn.Module]:
    """Name → submodule for `layers`: names, submodules, a mapping of both, or None for the defaults.

    Raises:
        UsageError: a layer that the network does not have, or none at all.
    """
    network = unwrap(network)
    if isinstance(layers, Mapping):
        found = dict(layers)
    elif layers is None:
        rows = explainable_layers(network, example, grid)
        found = {row.name: network.get_submodule(row.name) for row in rows if row.default}
    else:
        found = dict(
            _find_layer(network, layer) for layer in ([layers] if isinstance(layers, str) else layers)
        )
    if not found:
        raise UsageError("no layer to explain: name at least one that returns maps over the input.")
    return found


def _find_layer(network: nn.Module, layer: str | nn.Module) -> tuple[str, nn.Module]:
    modules = dict(network.named_modules())
    if isinstance(layer, nn.Module):
        for name, module in modules.items():
            if module is layer:
                return name, module
        raise UsageError(f"the layer given as a {type(layer).__name__} is not a part of the network.")
    if layer in modules and layer:
        return layer, modules[layer]
    top = ", ".join(name for name in modules if name and "." not in name)
    raise UsageError(
        f"the network has no layer '{layer}'.{nearest(layer, [n for n in modules if n])} "
        f"Its top layers: {top}; glocal.layers(network, example) lists all that can be explained."
    )

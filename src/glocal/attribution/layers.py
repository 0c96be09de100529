"""Which layers of a network can be explained, and which are by default."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution.tape import Inputs, call, frozen, to_network
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


def unwrap(network: nn.Module) -> nn.Module:
    """The network inside `DataParallel`, `DistributedDataParallel` and `torch.compile` wrappers.

    Raises:
        UsageError: a scripted or traced network, which does not run the hooks that read its layers.
    """
    while True:
        if isinstance(network, torch.jit.ScriptModule):
            raise UsageError(
                "a scripted or traced network does not show its layers; pass the module it was made from."
            )
        if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel):
            network = network.module
        elif isinstance(inner := getattr(network, "_orig_mod", None), nn.Module):
            network = inner
        else:
            return network


def explainable_layers(network: nn.Module, example: Inputs) -> list[Layer]:
    """All submodules that return one tensor `(B, C, T, H, W)` or `(B, C, H, W)` and are called once.

    Args:
        network: any module.
        example: an input as the network takes it; one forward pass is run on it.

    Returns:
        In the order in which they finish. The defaults are the outputs of the stages before pooling: at
        the level of the module tree where the resolution changes, the last module of each resolution.
    """
    network = unwrap(network)
    names = {module: name for name, module in network.named_modules()}
    calls: dict[nn.Module, list[Any]] = {}

    def hook(module: nn.Module, args: Any, result: Any) -> None:
        calls.setdefault(module, []).append(result.shape if isinstance(result, Tensor) else None)

    handles = [module.register_forward_hook(hook) for module in names if module is not network]
    try:
        with frozen(network), torch.no_grad():
            call(network, to_network(example, network))
    finally:
        for handle in handles:
            handle.remove()
    shapes = {
        module: tuple(seen[0][1:])
        for module, seen in calls.items()
        if len(seen) == 1 and seen[0] is not None and len(seen[0]) in (4, 5)
    }
    default = _stages(network, shapes)
    return [Layer(names[m], type(m).__name__, shape, m in default) for m, shape in shapes.items()]


def _stages(network: nn.Module, shapes: dict[nn.Module, tuple[int, ...]]) -> set[nn.Module]:
    level = list(network.children())
    while True:
        maps = [m for m in shapes if m in level and not isinstance(m, POOLING)]
        last_of = {shapes[m][1:]: m for m in maps if max(shapes[m][1:]) > 1}
        containers = [m for m in level if any(child in shapes for child in list(m.modules())[1:])]
        if len(last_of) > 1 or not containers:
            return set(last_of.values())
        widest = max(containers, key=lambda m: sum(child in shapes for child in m.modules()))
        level = [child for m in level for child in (m.children() if m is widest else [m])]


def find_layers(network: nn.Module, layers: LayerNames | None, example: Inputs) -> dict[str, nn.Module]:
    """Name → submodule for `layers`: names, submodules, a mapping of both, or None for the defaults.

    Raises:
        UsageError: a layer that the network does not have, or none at all.
    """
    network = unwrap(network)
    if isinstance(layers, Mapping):
        found = dict(layers)
    elif layers is None:
        found = {
            x.name: network.get_submodule(x.name) for x in explainable_layers(network, example) if x.default
        }
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

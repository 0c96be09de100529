"""Copies of a network with random weights, from the top down."""

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from glocal.attribution import exclusive
from glocal.attribution.inputs.wrappers import unwrap
from glocal.errors import UsageError, nearest, unknown
from glocal.utils.random_state import fixed_seed

MIN_PARTS = 4
"""Smallest number of parts that are randomised in turn, if the network has as many."""
NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.LayerNorm,
)
ORDERS = ("cascading", "independent")


def randomised(
    network: nn.Module, order: str = "cascading", *, parts: Sequence[str] | None = None, seed: int = 0
) -> Iterator[tuple[str, nn.Module]]:
    """Yield each part's name, from the head to the stem, and a copy of the network in which it is random.

    Adebayo et al. (2018, section 3). The network itself is never changed; a copy is valid until the next one
    is yielded.

    Args:
        network: any module.
        order: `"cascading"`: all parts above are random too, so that the last copy is fully random;
            `"independent"`: only this part is random.
        parts: names of submodules, top first; by default those of `weight_parts`.
        seed: of the weights.

    Raises:
        UsageError: the order or a part is unknown.
    """
    if order not in ORDERS:
        raise unknown("order", order, ORDERS)
    network = unwrap(network)
    groups = weight_parts(network, parts)
    randomised_copy = _copy(network)
    for place, (name, modules) in enumerate(groups.items()):
        if order == "independent" and place:
            randomised_copy = _copy(network)
        with fixed_seed(seed + place, _devices(network)):
            for path in modules:
                _randomise(randomised_copy.get_submodule(path))
        yield name, randomised_copy


def weight_parts(network: nn.Module, parts: Sequence[str] | None = None) -> dict[str, list[str]]:
    """Part → paths of its modules that have weights of their own; the part defined last comes first.

    By default parts are the network's children; while there are fewer than `MIN_PARTS`, the largest part is
    replaced by its children. A normalisation belongs to the part that it follows, and weights outside of all
    parts belong to the lowest one.

    Args:
        network: any module.
        parts: names of submodules, top first.

    Raises:
        UsageError: one of `parts` is not in the network.
    """
    owners = [name for name, module in network.named_modules() if list(module.parameters(recurse=False))]

    def modules_of(part: str) -> list[str]:
        return [name for name in owners if name == part or name.startswith(f"{part}.")]

    if parts is not None:
        known = [name for name, _ in network.named_modules() if name]
        for part in parts:
            if part not in known:
                raise UsageError(f"the network has no part '{part}'.{nearest(part, known)}")
        return {part: modules_of(part) for part in parts}
    groups: dict[str, list[str]] = {}
    for name in _default_parts(network):
        if groups and isinstance(network.get_submodule(name), NORMS):
            groups[next(reversed(groups))] += modules_of(name)
        else:
            groups[name] = modules_of(name)
    if rest := [name for name in owners if not any(name in group for group in groups.values())]:
        groups.setdefault(next(iter(groups), rest[0]), []).extend(rest)
    return {name: groups[name] for name in reversed(groups)}


def _default_parts(network: nn.Module) -> list[str]:
    """Paths of the modules that are parts by default, normalisations among them."""
    parts = _children(network, "")
    while len(parts) < MIN_PARTS:
        inner = {name: _children(network, name) for name in parts}
        name = max(parts, key=lambda n: _size(network.get_submodule(n)) if inner[n] else -1, default="")
        if not inner.get(name):
            break
        place = parts.index(name)
        parts[place : place + 1] = inner[name]
    return parts


def _children(network: nn.Module, name: str) -> list[str]:
    inner = network.get_submodule(name).named_children()
    return [f"{name}.{child}" if name else child for child, module in inner if _size(module)]


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _randomise(module: nn.Module) -> None:
    """Reinitialise as PyTorch does; parameters without a rule are drawn with their mean and deviation."""
    if callable(reset := getattr(module, "reset_parameters", None)):
        reset()
        return
    for parameter in module.parameters(recurse=False):
        with torch.no_grad():
            parameter.normal_(float(parameter.mean()), float(parameter.std(correction=0)))


def _copy(network: nn.Module) -> nn.Module:
    """Copy a network, without the hooks that another thread may have on it for a while."""
    with exclusive(network):
        return copy.deepcopy(network)


def _devices(network: nn.Module) -> list[torch.device]:
    return list({p.device for p in network.parameters() if p.device.type == "cuda"})

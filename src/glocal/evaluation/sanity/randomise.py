"""Copies of a network with random weights, from the top down."""

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from glocal.attribution.inputs.wrappers import unwrap
from glocal.errors import UsageError, nearest

FEWEST = 4
"""Steps from the trained network to the random one, if it has as many parts."""
NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.LayerNorm,
)
ORDERS = ("cascading", "independent")


def randomised(
    network: nn.Module, how: str = "cascading", *, parts: Sequence[str] | None = None, seed: int = 0
) -> Iterator[tuple[str, nn.Module]]:
    """The name of each part, from the head to the stem, and a copy of the network in which it is random.

    Adebayo et al. (2018, section 3): `"cascading"`, where all parts above it are random too, so that the last
    copy is a random network; `"independent"`, where it is the only one. A copy holds until the next is asked
    for; the network itself is never changed.

    Args:
        network: any module.
        parts: names of submodules, top first; by default those of `weight_parts`.
        seed: of the weights.

    Raises:
        UsageError: no such order or part.
    """
    if how not in ORDERS:
        raise UsageError(
            f"unknown order '{how}'.{nearest(how, ORDERS)} Weights are randomised {' or '.join(ORDERS)}."
        )
    network = unwrap(network)
    groups = weight_parts(network, parts)
    changed = copy.deepcopy(network)
    for place, (name, modules) in enumerate(groups.items()):
        if how == "independent" and place:
            changed = copy.deepcopy(network)
        with torch.random.fork_rng(devices=_devices(network)):
            torch.manual_seed(seed + place)
            for path in modules:
                _randomise(changed.get_submodule(path))
        yield name, changed


def weight_parts(network: nn.Module, parts: Sequence[str] | None = None) -> dict[str, list[str]]:
    """Part → paths of the modules in it that have weights of their own; the part defined last comes first.

    By default parts are the network's children; while there are fewer than `FEWEST`, the largest gives way to
    its own. A normalisation belongs to what it follows, and weights outside of all parts to the lowest.

    Raises:
        UsageError: one of `parts` is not in the network.
    """
    owners = [name for name, module in network.named_modules() if list(module.parameters(recurse=False))]

    def within(part: str) -> list[str]:
        return [name for name in owners if name == part or name.startswith(f"{part}.")]

    if parts is not None:
        known = [name for name, _ in network.named_modules() if name]
        for part in parts:
            if part not in known:
                raise UsageError(f"the network has no part '{part}'.{nearest(part, known)}")
        return {part: within(part) for part in parts}
    found: dict[str, list[str]] = {}
    for name in _level(network):
        if found and isinstance(network.get_submodule(name), NORMS):
            found[next(reversed(found))] += within(name)
        else:
            found[name] = within(name)
    if rest := [name for name in owners if not any(name in group for group in found.values())]:
        found.setdefault(next(iter(found), rest[0]), []).extend(rest)
    return {name: found[name] for name in reversed(found)}


def _level(network: nn.Module) -> list[str]:
    """Paths of the modules that are taken for parts, norms among them."""
    level = _children(network, "")
    while len(level) < FEWEST:
        inner = {name: _children(network, name) for name in level}
        name = max(level, key=lambda n: _size(network.get_submodule(n)) if inner[n] else -1, default="")
        if not inner.get(name):
            break
        place = level.index(name)
        level[place : place + 1] = inner[name]
    return level


def _children(network: nn.Module, name: str) -> list[str]:
    inner = network.get_submodule(name).named_children()
    return [f"{name}.{child}" if name else child for child, module in inner if _size(module)]


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _randomise(module: nn.Module) -> None:
    """Weights as PyTorch starts them; what it cannot start, normal with the present mean and deviation."""
    if callable(reset := getattr(module, "reset_parameters", None)):
        reset()
        return
    for parameter in module.parameters(recurse=False):
        with torch.no_grad():
            parameter.normal_(float(parameter.mean()), float(parameter.std(correction=0)))


def _devices(network: nn.Module) -> list[torch.device]:
    return list({p.device for p in network.parameters() if p.device.type == "cuda"})

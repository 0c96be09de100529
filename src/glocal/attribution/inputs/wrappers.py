"""Networks inside wrappers: compiled, parallel, scripted, quantised."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

from glocal.errors import UsageError

_stance_lock = threading.RLock()


def unwrap(network: nn.Module) -> nn.Module:
    """Return the network inside `DataParallel`, `DistributedDataParallel` and `torch.compile` wrappers.

    Raises:
        UsageError: a scripted, traced or exported network, which does not run the hooks that read its
            layers; or no network at all.
    """
    while True:
        if not isinstance(network, nn.Module):
            raise UsageError(f"the network is a {type(network).__name__}; give a torch.nn.Module.")
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


def _is_compiled(module: nn.Module) -> bool:
    """Whether a module, its call or its forward is compiled."""
    return (
        module.__dict__.get("_compiled_call_impl") is not None
        or hasattr(module, "_orig_mod")
        or hasattr(module.forward, "_torchdynamo_orig_callable")
    )


@contextlib.contextmanager
def eagerly(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, those modules of a network that are compiled run uncompiled: that code ignores later hooks.

    PyTorch has one such setting for the whole process, so threads with compiled networks follow each other.
    """
    if not any(map(_is_compiled, modules)):
        yield
        return
    with _stance_lock, torch.compiler.set_stance("force_eager"):
        yield


def check_readable(network: nn.Module, layers: Mapping[str, nn.Module]) -> None:
    """Refuse layers whose activations cannot be read, and networks without gradients.

    Raises:
        UsageError: a layer is scripted or traced, or a part of the network is quantised.
    """
    for name, layer in layers.items():
        if isinstance(layer, torch.jit.ScriptModule):
            raise UsageError(
                f"layer '{name}' is scripted or traced, and does not show what it returns; use the module "
                "that it was made from, or name another layer."
            )
    for name, module in network.named_modules():
        kind = type(module)
        if kind.__module__.startswith(("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")):
            raise UsageError(
                f"'{name}' is a quantised {kind.__name__}, which has no gradient; explain the network as it "
                "was before quantisation, or use a method that needs none, such as rise."
            )

"""Run a network in eval mode, without gradients of its parameters, and leave it as it was."""

import contextlib
from collections.abc import Iterator

from torch import nn

from glocal.attribution.inputs.plain_passes import recurrent_gradients, without_checkpointing
from glocal.attribution.inputs.wrappers import eagerly
from glocal.attribution.locking import exclusive


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside, the network is in eval mode, needs no gradients of parameters and runs no compiled code.

    Activation checkpointing is off, and recurrent layers do without cuDNN where gradients are needed.

    Other threads wait meanwhile, see `exclusive`. Afterwards, also after an error, everything is as it was.
    """
    with exclusive(network):
        modules = list(network.modules())
        training = [module.training for module in modules]
        parameters = [p for module in modules for p in module._parameters.values() if p is not None]
        trainable = [p for p in parameters if p.requires_grad and not p.is_inference()]
        try:
            for module in modules:
                module.training = False
            for parameter in trainable:
                parameter.requires_grad_(False)
            with eagerly(modules), without_checkpointing(), recurrent_gradients(modules):
                yield
        finally:
            for module, was_training in zip(modules, training, strict=True):
                module.training = was_training
            for parameter in trainable:
                parameter.requires_grad_(True)

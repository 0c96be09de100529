"""Convolutions that a processor gets wrong in bfloat16 stay in float32.

oneDNN, which computes PyTorch's convolutions on processors, leaves parts of a weight's gradient unwritten for
some shapes: on those with AVX-512 and no AMX where a clip has few frames left, as in the last layers of most
3D networks. Each convolution of a network is therefore tried by itself before a run.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
TOLERANCE = 0.05
"""Of the norm of what float32 gives; rounding to bfloat16 takes 0.003."""


def wrong_in_bfloat16(network: nn.Module, clips: Tensor) -> list[str]:
    """Names of the convolutions whose output or gradients on this processor, in bfloat16, are not float32's.

    Args:
        clips: `(B, C, T, H, W)` or `(B, C, H, W)`, of the size and the order in memory that will be used.
    """
    wrong: list[str] = []
    alike: dict[Any, bool] = {}  # layers of the same form are tried once
    trial = copy.deepcopy(network).eval()

    def hook(name: str, module: nn.Conv2d | nn.Conv3d, inputs: tuple[Tensor, ...], output: Any) -> None:
        form = (repr(module), inputs[0].shape, inputs[0].stride())
        if form not in alike:
            alike[form] = _alike(module, inputs[0])
        if not alike[form] and name not in wrong:
            wrong.append(name)

    for name, module in trial.named_modules():
        if isinstance(module, CONVOLUTIONS):
            module.register_forward_hook(partial(hook, name))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        trial(clips)
    return wrong


@contextmanager
def in_float32(network: nn.Module, names: list[str]) -> Iterator[None]:
    """Inside, these modules of the network compute in float32, whatever autocast says."""
    modules = [network.get_submodule(name) for name in names]
    for module in modules:
        module.forward = partial(_without_autocast, module.forward)
    try:
        yield
    finally:
        for module in modules:
            del module.forward


def _without_autocast(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return forward(x.float())


def _alike(convolution: nn.Conv2d | nn.Conv3d, x: Tensor) -> bool:
    """Whether output and gradients in bfloat16 are close to those in float32."""
    forward, inputs = convolution.forward, (torch.randn_like(x).requires_grad_(), convolution.weight)
    with torch.enable_grad():
        exact = forward(inputs[0])
        grad = torch.randn_like(exact)
        wanted = (exact, *torch.autograd.grad(exact, inputs, grad))
        _stain_memory()
        with torch.autocast(x.device.type, torch.bfloat16):
            rounded = forward(inputs[0])
        _stain_memory()
        found = (rounded, *torch.autograd.grad(rounded, inputs, grad.to(rounded.dtype)))
    return all(
        bool((a.float() - b).norm() <= TOLERANCE * b.norm()) for a, b in zip(found, wanted, strict=True)
    )


def _stain_memory() -> None:
    """Fill memory that is about to be free with NaN, so that what is then never written can be told."""
    for power in range(8, 21, 2):
        [torch.full((1 << power,), torch.nan) for _ in range(4)]

"""Convolutions that a processor computes wrongly in bfloat16, to be run in float32.

oneDNN, which computes PyTorch's convolutions on processors, leaves parts of the weight gradient unwritten for
some shapes: on processors with AVX-512 but without AMX, if a clip has few frames left, as in the last layers
of most 3D networks. Therefore each convolution of a network is tested separately before a run.
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
"""Largest difference, relative to the norm in float32; rounding to bfloat16 causes 0.003."""


def find_bfloat16_errors(network: nn.Module, clips: Tensor) -> list[str]:
    """Return the names of the convolutions whose output or gradients in bfloat16 are wrong on this processor.

    Args:
        network: is left unchanged.
        clips: `(B, C, T, H, W)` or `(B, C, H, W)`, in the size and memory layout of the training batches.
    """
    names: list[str] = []
    results: dict[Any, bool] = {}  # layers of the same kind and input are tested once
    test_network = copy.deepcopy(network).eval().requires_grad_(True)

    def hook(name: str, module: nn.Conv2d | nn.Conv3d, inputs: tuple[Tensor, ...], output: Any) -> None:
        kind = (repr(module), inputs[0].shape, inputs[0].stride())
        if kind not in results:
            results[kind] = _is_correct_in_bfloat16(module, inputs[0])
        if not results[kind] and name not in names:
            names.append(name)

    for name, module in test_network.named_modules():
        if isinstance(module, CONVOLUTIONS):
            module.register_forward_hook(partial(hook, name))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        test_network(clips)
    return names


@contextmanager
def in_float32(network: nn.Module, names: list[str]) -> Iterator[None]:
    """Run some modules of a network in float32 despite autocast, within the context."""
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


def _is_correct_in_bfloat16(convolution: nn.Conv2d | nn.Conv3d, x: Tensor) -> bool:
    """Compare output and gradients in bfloat16 with those in float32."""
    forward, inputs = convolution.forward, (torch.randn_like(x).requires_grad_(), convolution.weight)
    with torch.enable_grad():
        output = forward(inputs[0])
        grad = torch.randn_like(output)
        expected = (output, *torch.autograd.grad(output, inputs, grad))
        _fill_free_memory_with_nan()
        with torch.autocast(x.device.type, torch.bfloat16):
            rounded = forward(inputs[0])
        _fill_free_memory_with_nan()
        actual = (rounded, *torch.autograd.grad(rounded, inputs, grad.to(rounded.dtype)))
    return all(
        bool((a.float() - b).norm() <= TOLERANCE * b.norm()) for a, b in zip(actual, expected, strict=True)
    )


def _fill_free_memory_with_nan() -> None:
    """Allocate and free tensors of NaN, so that results that are never written are NaN."""
    for power in range(8, 21, 2):
        [torch.full((1 << power,), torch.nan) for _ in range(4)]

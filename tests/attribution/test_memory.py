"""Explanations in a loop leave nothing behind: no tensor, no hook, no memory."""

import gc

import psutil
import pytest
import torch

import glocal
from helpers.networks import Small3d, seeded

CLIPS = torch.randn(1, 3, 4, 12, 10, generator=torch.Generator().manual_seed(1))
LAYERS = ["layer1", "layer2"]
CASES = {  # method: (options, explanations)
    "3dcam": ({}, 500),
    "cam": ({}, 40),
    "c-mwp": ({}, 40),
    "scorecam": ({}, 40),
    "ablationcam": ({}, 40),
    "rise": ({"samples": 2}, 40),
    "guided-backprop": ({}, 40),
    "integrated-gradients": ({"steps": 2}, 40),
}
EACH = 20 * CLIPS.numel() * CLIPS.element_size()  # bytes: a clip, activations and gradients


def tensors() -> int:
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


def hooks(network: Small3d) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in network.modules() for kind in kinds)


@pytest.mark.parametrize("method", CASES)
def test_explanations_in_a_loop_leave_nothing_behind(method: str) -> None:
    network = seeded(Small3d())
    options, total = CASES[method]
    process = psutil.Process()

    def explain(times: int) -> tuple[int, int]:
        for index in range(times):
            glocal.attribute(network, CLIPS, LAYERS, method=method, target=index % 5, options=options)
        return tensors(), process.memory_info().rss

    gc.collect()
    gc.disable()  # what only the collector of cycles would free counts as left behind
    try:
        count, memory = explain(total // 10)
        later_count, later_memory = explain(total - total // 10)
    finally:
        gc.enable()
    assert later_count == count
    assert hooks(network) == 0
    assert later_memory - memory < 0.1 * total * EACH + 2**21

"""Several threads: calls on one network follow each other, those on networks apart run side by side."""

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glocal.attribution import attribute, exclusive, explainable_layers
from glocal.attribution.locking import _locks
from glocal.evaluation.sanity import randomised
from helpers.networks import Small3d, seeded

CLIPS = [torch.rand(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(i)) for i in range(4)]


def network_in_train_mode() -> Small3d:
    """A network whose modes and gradients are not those of an explanation."""
    network = seeded(Small3d()).train()
    for index, parameter in enumerate(network.parameters()):
        parameter.requires_grad_(index % 2 == 0)
    return network


def state(network: nn.Module) -> Any:
    """Modes, hooks, gradients and weights."""
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in network.modules()]
    weights = {key: value.tolist() for key, value in network.state_dict().items()}
    gradients = [parameter.requires_grad for parameter in network.parameters()]
    return [m.training for m in network.modules()], hooks, gradients, weights


def in_threads(work: Callable[[int], Tensor], calls: int = 16, threads: int = 4) -> list[Tensor]:
    """What `work` returns for each number below `calls`, from several threads."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, range(calls)))


class Wrapper(nn.Module):
    """Another network around the same modules, as an ST-ABN gets for each window."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        return self.network(clips)


@pytest.mark.parametrize("method", ["3dcam", "rise", "smoothgrad", "ablationcam"])
def test_threads_on_one_network_compute_what_one_thread_does(method: str) -> None:
    options = {"rise": {"samples": 4}, "smoothgrad": {"samples": 2}}.get(method)
    network = network_in_train_mode()
    before = state(network)

    def explained(index: int) -> Tensor:
        return attribute(network, CLIPS[index % 4], method=method, options=options).raw

    alone = [explained(index) for index in range(4)]
    for index, raw in enumerate(in_threads(explained)):
        torch.testing.assert_close(raw, alone[index % 4])
    assert state(network) == before


def test_threads_on_networks_that_share_modules_compute_what_one_thread_does() -> None:
    network = network_in_train_mode()
    before = state(network)
    alone = [attribute(network, clip).raw for clip in CLIPS]

    def explained(index: int) -> Tensor:
        return attribute(Wrapper(network) if index % 2 else network, CLIPS[index % 4]).raw

    for index, raw in enumerate(in_threads(explained)):
        torch.testing.assert_close(raw, alone[index % 4])
    assert state(network) == before


def test_layers_are_listed_and_weights_are_copied_beside_another_thread() -> None:
    network = network_in_train_mode()
    layers = explainable_layers(network, CLIPS[0])

    def work(index: int) -> Tensor:
        if index % 3 == 0:
            assert explainable_layers(network, CLIPS[0]) == layers
        if index % 3 == 1:
            copy = next(randomised(network))[1]
            assert not any(module._forward_hooks for module in copy.modules())
        return attribute(network, CLIPS[0]).raw

    first, *others = in_threads(work)
    assert all(torch.equal(first, raw) for raw in others)


def test_forward_passes_inside_exclusive_keep_out_of_explanations() -> None:
    network = seeded(Small3d()).eval()
    alone = attribute(network, CLIPS[0]).raw

    def work(index: int) -> Tensor:
        with exclusive(network):
            network(CLIPS[1])
            return attribute(network, CLIPS[0]).raw

    assert all(torch.equal(alone, raw) for raw in in_threads(work))


def test_threads_with_networks_of_their_own_run_side_by_side() -> None:
    """Each waits inside its forward pass until the other is there too."""
    meeting = threading.Barrier(2, timeout=30)

    class Meeting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            meeting.wait()
            return x

    networks = [nn.Sequential(Meeting(), seeded(Small3d())).eval() for _ in range(2)]
    layers = ["1.layer1", "1.layer2"]
    maps = in_threads(lambda index: attribute(networks[index], CLIPS[0], layers).raw, calls=2, threads=2)
    assert torch.equal(maps[0], maps[1])


def test_one_thread_may_explain_inside_an_explanation() -> None:
    network = seeded(Small3d()).eval()
    inner: list[Tensor] = []

    def output(logits: Tensor) -> Tensor:
        if not inner:
            inner.append(attribute(network, CLIPS[1]).raw)
        return logits

    outer = attribute(network, CLIPS[0], ["layer1"], output=output).raw
    assert torch.equal(inner[0], attribute(network, CLIPS[1]).raw)
    assert torch.equal(outer, attribute(network, CLIPS[0], ["layer1"]).raw)


def test_an_error_frees_the_network() -> None:
    network = seeded(Small3d()).eval()
    with pytest.raises(RuntimeError):
        attribute(network, CLIPS[0][:, :2])
    (raw,) = in_threads(lambda _: attribute(network, CLIPS[0]).raw, calls=1, threads=1)
    assert raw.shape == (1, 8, 32, 32)


def test_locks_are_freed_with_their_network() -> None:
    network = seeded(Small3d())
    attribute(network, CLIPS[0])
    reference, modules = weakref.ref(network), set(map(id, network.modules()))
    del network
    gc.collect()
    assert reference() is None
    assert not modules & {id(module) for module in _locks}

"""Compiled, parallel, scripted, traced, symbolically traced, exported and quantised networks."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import glocal
from glocal.errors import UsageError
from helpers.networks import Small3d, seeded

CLIPS = torch.randn(2, 3, 6, 20, 14, generator=torch.Generator().manual_seed(1))
LAYERS = ["relu1", "layer1", "layer2"]


@pytest.fixture
def network() -> Any:
    return seeded(Small3d()).eval()


@pytest.fixture
def expected(network: Any) -> Any:
    return glocal.attribute(copy.deepcopy(network), CLIPS, LAYERS).attention


@pytest.fixture
def counted() -> Any:
    """A backend that counts how often compiled code runs, and compiles nothing."""
    runs = []

    def backend(graph: Any, inputs: Any) -> Any:
        def run(*args: Any) -> Any:
            runs.append(1)
            return graph.forward(*args)

        return run

    backend.runs = runs
    return backend


def test_a_compiled_network_is_explained_also_after_it_has_run(
    network: Any, expected: Any, counted: Any
) -> None:
    compiled = torch.compile(network, backend=counted)
    compiled(CLIPS)
    ran = len(counted.runs)
    assert ran > 0
    assert torch.equal(glocal.attribute(compiled, CLIPS, LAYERS).attention, expected)
    compiled(CLIPS)
    assert len(counted.runs) > ran


def test_a_network_compiled_in_place_is_explained_and_stays_compiled(
    network: Any, expected: Any, counted: Any
) -> None:
    network.compile(backend=counted)
    network(CLIPS)
    ran = len(counted.runs)
    assert torch.equal(glocal.attribute(network, CLIPS, LAYERS).attention, expected)
    assert len(counted.runs) == ran
    network(CLIPS)
    assert len(counted.runs) > ran


def test_a_compiled_part_is_explained_inside(network: Any, expected: Any, counted: Any) -> None:
    network.layer1 = torch.compile(network.layer1, backend=counted)
    network(CLIPS)
    layers = {"relu1": network.relu1, "layer1": network.layer1._orig_mod[2], "layer2": network.layer2}
    assert torch.equal(glocal.attribute(network, CLIPS, layers).attention, expected)


def test_parallel_networks_are_explained(network: Any, expected: Any, tmp_path: Path) -> None:
    assert torch.equal(glocal.attribute(nn.DataParallel(network), CLIPS, LAYERS).attention, expected)
    store = f"file://{tmp_path}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        parallel = nn.parallel.DistributedDataParallel(network)
        assert torch.equal(glocal.attribute(parallel, CLIPS, LAYERS).attention, expected)
        nested = nn.DataParallel(torch.compile(network, backend="eager"))
        assert torch.equal(glocal.attribute(nested, CLIPS, LAYERS).attention, expected)
    finally:
        torch.distributed.destroy_process_group()


def test_a_symbolically_traced_network_is_explained(network: Any) -> None:
    traced = torch.fx.symbolic_trace(network)
    layers = ["relu1", "layer1.2", "layer2.1"]
    expected = glocal.attribute(network, CLIPS, layers).attention
    assert torch.equal(glocal.attribute(traced, CLIPS, layers).attention, expected)
    assert [row.name for row in glocal.layers(traced, CLIPS) if row.default] == layers


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [lambda n: torch.jit.trace(n, CLIPS), torch.jit.script])
def test_scripted_and_traced_networks_are_refused_also_as_a_part(network: Any, make: Any) -> None:
    with pytest.raises(UsageError, match="does not show its layers; pass the module it was made from"):
        glocal.attribute(make(network), CLIPS)

    class Around(nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner, self.head = inner, nn.Linear(5, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.inner(x))

    with pytest.raises(UsageError, match=r"'inner.layer1' is scripted or traced"):
        glocal.attribute(Around(make(network)), CLIPS, ["inner.layer1"])


def test_exported_programs_are_refused(network: Any) -> None:
    program = torch.export.export(network, (CLIPS,))
    with pytest.raises(UsageError, match=r"ExportedProgram.*give a torch\.nn\.Module"):
        glocal.attribute(program, CLIPS)
    with pytest.raises(UsageError, match="no layer to explain"):
        glocal.attribute(program.module(), CLIPS)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantised_networks_are_refused_where_gradients_are_needed(network: Any) -> None:
    quantised = torch.ao.quantization.quantize_dynamic(network, {nn.Linear})
    with pytest.raises(UsageError, match="'fc' is a quantised Linear, which has no gradient"):
        glocal.attribute(quantised, CLIPS, LAYERS)
    found = glocal.attribute(quantised, CLIPS, method="rise", options={"samples": 8})
    assert found.attention.shape == (2, 6, 20, 14)


@pytest.mark.parametrize("method", ["3dcam", "scorecam", "rise"])
def test_a_compiled_forward_is_explained_and_stays_compiled(network: Any, counted: Any, method: str) -> None:
    options = {"samples": 4} if method == "rise" else None
    expected = glocal.attribute(network, CLIPS, LAYERS, method=method, options=options).raw
    network.forward = torch.compile(network.forward, backend=counted)
    with torch.no_grad():
        network(CLIPS)
    ran = len(counted.runs)
    assert torch.equal(glocal.attribute(network, CLIPS, LAYERS, method=method, options=options).raw, expected)
    assert len(counted.runs) == ran
    with torch.no_grad():
        network(CLIPS)
    assert len(counted.runs) > ran

"""Networks that are built for their structure alone."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from glocal.models import load_model
from glocal.models.backbone import Backbone, shape_probe
from glocal.models.initialization import WeightsNotDrawn, structure_only
from glocal.models.registry import find_entry


@pytest.mark.parametrize("name", ["resnext3d-small", "c3d", "i3d-rgb", "slow-50"])
def test_a_shape_probe_has_the_shapes_of_the_real_activations(name: str) -> None:
    build = find_entry(name).build
    network = build(1).eval()
    assert isinstance(network, Backbone)
    with shape_probe(build, 16) as (probe, clip):  # type: ignore[arg-type]
        shapes = {layer: activation.shape for layer, activation in probe.activations(clip)}
    with torch.no_grad():
        assert shapes == {layer: activation.shape for layer, activation in network.activations(clip)}


def test_a_structure_has_the_shapes_of_the_network_and_draws_nothing() -> None:
    before = torch.get_rng_state()
    entry = find_entry("st-abn/resnext3d-small")
    with structure_only():
        shapes = {key: tensor.shape for key, tensor in entry.build(3).state_dict().items()}
    assert torch.equal(torch.get_rng_state(), before)
    network = load_model("st-abn/resnext3d-small", num_classes=3).network
    assert shapes == {key: tensor.shape for key, tensor in network.state_dict().items()}


@pytest.mark.parametrize(
    "draw",
    [
        nn.init.normal_,
        nn.init.uniform_,
        nn.init.trunc_normal_,
        nn.init.xavier_uniform_,
        nn.init.kaiming_normal_,
        nn.init.kaiming_uniform_,
    ],
)
def test_no_initialisation_draws(draw: object) -> None:
    weight = torch.zeros(4, 4)
    before = torch.get_rng_state()
    with WeightsNotDrawn():
        assert draw(weight) is weight  # type: ignore[operator]
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_a_packaged_model_imports_neither_the_compiler_nor_sympy() -> None:
    """On the meta device, PyTorch does so for batch normalisation, convolutions and pooling."""
    program = (
        "import sys, glocal; [glocal.load_model(name) for name in ('puppets/gated', 'puppets/st-abn')];"
        "print(*{'sympy', 'torch._dynamo'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not done.stdout.split()

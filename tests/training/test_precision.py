"""Convolutions that bfloat16 gets wrong on a processor are found, and run in float32."""

import copy
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glocal.attribution.inputs.network_inputs import channels_last
from glocal.models import load_model
from glocal.training.module import to_channels_last
from glocal.training.precision import find_bfloat16_errors, in_float32


class Unwritten(torch.autograd.Function):
    """Passes its input on; its gradient is lost where it is in bfloat16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, lost: bool) -> Tensor:
        ctx.lost = lost
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return (torch.full_like(grad, torch.nan) if ctx.lost else grad), None


class Faulty(nn.Conv3d):
    """A convolution whose weight gets no gradient in bfloat16."""

    def forward(self, x: Tensor) -> Tensor:
        weight = Unwritten.apply(self.weight, torch.is_autocast_enabled("cpu"))
        return self._conv_forward(x, weight, self.bias)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.right, self.wrong = nn.Conv3d(3, 8, 1), Faulty(8, 4, 3, padding=1)
        self.drop = nn.Dropout(0.5)

    def forward(self, clips: Tensor) -> Tensor:
        return self.drop(self.wrong(self.right(clips))).mean((2, 3, 4))


def gradients(network: nn.Module, clips: Tensor) -> list[Tensor]:
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        network(clips).float().square().sum().backward()
    return [parameter.grad.clone() for parameter in network.parameters()]


def test_a_wrong_gradient_is_found_and_float32_rights_it() -> None:
    network, clips = Small(), torch.randn(2, 3, 4, 8, 8)
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    assert find_bfloat16_errors(network, clips) == ["wrong"]
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())

    assert not all(grad.isfinite().all() for grad in gradients(network, clips))
    with in_float32(network, ["wrong"]):
        assert all(grad.isfinite().all() for grad in gradients(network, clips))
        assert network(clips).dtype == torch.float32
    assert not all(grad.isfinite().all() for grad in gradients(network, clips)), "as it was"


def _check_small_resnext() -> None:
    """In a process whose oneDNN takes the kernels of an older processor."""
    torch.set_num_threads(1)
    network = to_channels_last(load_model("resnext3d-small", None, labels=["a", "b"]).network.train())
    clips = channels_last(torch.randn(4, 3, 8, 32, 32))
    wrong = find_bfloat16_errors(network, clips)
    with in_float32(network, wrong):
        assert find_bfloat16_errors(network, clips) == [], "in_float32 rights all that is wrong"
    print("wrong:", *wrong)


@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE", "DEFAULT"])
def test_whatever_the_processor_the_gradients_are_right(instructions: str) -> None:
    code = "import test_precision as tests; tests._check_small_resnext()"
    paths = os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "ONEDNN_MAX_CPU_ISA": instructions, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    print(instructions, done.stdout)

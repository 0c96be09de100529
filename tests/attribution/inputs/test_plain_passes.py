"""Networks with activation checkpointing and with recurrent layers are explained as without them."""

import threading
from typing import Any

import pytest
import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

import glocal
from glocal.attribution import METHODS
from glocal.attribution.inputs.plain_passes import without_checkpointing

CLIPS = torch.randn(2, 3, 4, 16, 16, generator=torch.Generator().manual_seed(1))
UNUSABLE_INSIDE = ("cam", "saliency-tubes", "excitation-backprop", "c-mwp")
"""Methods that refuse a layer in front of a ReLU in place, or one that the head does not read."""


class Checkpointed(nn.Module):
    """Two stages; `how` is None, or `use_reentrant`, or `"sequential"`."""

    def __init__(self, how: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.how = how
        self.a = nn.Sequential(nn.Conv3d(3, 8, 3, 2, 1), nn.ReLU())
        self.b = nn.Sequential(nn.Conv3d(8, 8, 3, 2, 1), nn.ReLU(inplace=True))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "sequential":
            x = checkpoint_sequential([self.a, self.b], 2, x, use_reentrant=False)
        else:
            for stage in (self.a, self.b):
                x = stage(x) if self.how is None else checkpoint(stage, x, use_reentrant=self.how)
        logits: Tensor = self.head(x.mean((2, 3, 4)))
        return logits


def is_tried(method: str) -> bool:
    return not METHODS[method].needs.startswith(("attention", "an ST-ABN"))


@pytest.mark.parametrize("how", [True, False, "sequential"])
@pytest.mark.parametrize("method", [method for method in METHODS if is_tried(method)])
def test_checkpointing_changes_no_map(method: str, how: Any) -> None:
    options = {name: 4 for name in METHODS[method].options if name in ("samples", "steps")}
    expected, result = (
        glocal.attribute(Checkpointed(h), CLIPS, method=method, target=1, options=options)
        for h in (None, how)
    )
    assert torch.equal(result.raw, expected.raw)
    inner = [
        glocal.attribute(Checkpointed(h), CLIPS, ["b.0"], method=method, target=1, options=options).raw
        for h in (None, how)
        if method not in UNUSABLE_INSIDE
    ]
    assert not inner or torch.equal(*inner)


def test_checkpointing_is_back_afterwards_and_in_other_threads() -> None:
    before = torch.utils.checkpoint.CheckpointFunction
    calls: list[int] = []

    def function(x: Tensor) -> Tensor:
        calls.append(1)
        return x.exp()

    def train() -> None:
        for reentrant in (True, False):
            x = torch.ones(2, requires_grad=True)
            checkpoint(function, x, use_reentrant=reentrant).sum().backward()

    def run_and_count(run: Any) -> int:
        calls.clear()
        run()
        return len(calls)

    assert run_and_count(train) == 4
    with without_checkpointing(), without_checkpointing():
        assert run_and_count(train) == 2
        thread = threading.Thread(target=train)
        calls.clear()
        thread.start()
        thread.join()
        assert len(calls) == 4
    assert run_and_count(train) == 4
    assert torch.utils.checkpoint.CheckpointFunction is before


class Recurrent(nn.Module):
    """A CNN for frames and a recurrent layer behind; notes whether cuDNN is on in each recurrent pass."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cnn = nn.Sequential(nn.Conv3d(3, 8, (1, 3, 3), 2, (0, 1, 1)), nn.ReLU())
        flags: list[tuple[bool, bool]] = []

        class Noting(kind):  # type: ignore[misc, valid-type]
            def forward(self, *args: Any) -> Any:
                flags.append((torch.is_grad_enabled(), torch.backends.cudnn.enabled))
                return super().forward(*args)

        self.flags, self.rnn, self.head = flags, Noting(8, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        features = self.cnn(x).mean((3, 4)).mT
        logits: Tensor = self.head(self.rnn(features)[0][:, -1])
        return logits


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("method", ["3dcam", "saliency", "guided-backprop"])
def test_recurrent_layers_run_without_cudnn_where_gradients_are_needed(method: str, kind: Any) -> None:
    network, before = Recurrent(kind), torch.backends.cudnn.enabled
    flags = network.flags
    glocal.attribute(network, CLIPS, method=method)
    del network.flags
    assert (True, False) in flags
    assert not [cudnn for gradients, cudnn in flags if gradients and cudnn]
    assert all(cudnn == before for gradients, cudnn in flags if not gradients)
    assert torch.backends.cudnn.enabled == before
    assert not network.rnn._forward_hooks
    assert not network.rnn._forward_pre_hooks


def test_cudnn_is_back_after_a_recurrent_layer_that_fails() -> None:
    class Failing(nn.LSTM):
        def forward(self, *args: Any) -> Any:
            raise RuntimeError("half-way")

    network, before = Recurrent(nn.LSTM), torch.backends.cudnn.enabled
    network.rnn = Failing(8, 8, batch_first=True)
    with pytest.raises(RuntimeError, match="half-way"):
        glocal.attribute(network, CLIPS)
    assert torch.backends.cudnn.enabled == before
    assert not network.rnn._forward_hooks

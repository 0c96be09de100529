"""Inputs and buffers are as before, every pass sees the same, and what is beside the clip is passed on."""

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import glocal
from glocal.attribution import METHODS
from glocal.attribution.inputs.network_inputs import to_network
from glocal.errors import UsageError

CLIPS = torch.randn(2, 3, 8, 24, 32, generator=torch.Generator().manual_seed(1))
SMALL: dict[str, Any] = {"samples": 6, "steps": 4, "pixels": 12}
PER_CLIP = ("cam", "saliency-tubes", "rollout", "gradient-rollout", "st-abn")
"""Methods that need a network of another kind."""
CLIP_METHODS = sorted(set(METHODS) - set(PER_CLIP))


def attribute(network: nn.Module, clips: Any, method: str = "3dcam", **arguments: Any) -> Any:
    options = {name: SMALL[name] for name in METHODS[method].options if name in SMALL}
    return glocal.attribute(network, clips, method=method, options=options, **arguments)


class Plain(nn.Module):
    def __init__(self, features: int = 8) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Sequential(nn.Conv3d(3, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(features, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.conv((x - 0.5) / 0.25).mean((2, 3, 4)))
        return logits


class InPlace(Plain):
    def forward(self, x: Tensor) -> Tensor:
        x -= 0.5
        x /= 0.25
        logits: Tensor = self.head(self.conv(x).mean((2, 3, 4)))
        return logits


@pytest.mark.parametrize("method", CLIP_METHODS)
def test_a_network_that_changes_its_input_gets_the_map_of_one_that_copies_it(method: str) -> None:
    clips = CLIPS.clone()
    expected = attribute(Plain(), CLIPS, method, target=1)
    result = attribute(InPlace(), clips, method, target=1)
    assert torch.equal(clips, CLIPS)
    assert torch.equal(result.logits, expected.logits)
    assert torch.equal(result.raw, expected.raw)


class Streaming(Plain):
    """Adds what it keeps from the clips before, in a buffer, in place or by a new tensor."""

    def __init__(self, in_place: bool, buffer: bool) -> None:
        super().__init__()
        self.in_place = in_place
        if buffer:
            self.register_buffer("state", torch.zeros(8))
        else:
            self.state = torch.zeros(8)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv((x - 0.5) / 0.25).mean((2, 3, 4))
        logits: Tensor = self.head(features * (1 + self.state))
        if self.in_place:
            self.state += features.mean(0).detach()
        else:
            self.state = self.state + features.mean(0)
        return logits


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("buffer", [False, True])
@pytest.mark.parametrize(
    "method", ["3dcam", "saliency", "rise", "scorecam", "ablationcam", "guided-backprop"]
)
def test_a_network_with_state_is_explained_in_the_state_it_has(
    method: str, buffer: bool, in_place: bool
) -> None:
    network = Streaming(in_place, buffer)
    state = network.state
    expected = attribute(Plain(), CLIPS, method, target=1)
    result = attribute(network, CLIPS, method, target=1)
    assert network.state is state
    assert not state.any()
    assert torch.allclose(result.logits, expected.logits)
    assert torch.allclose(result.raw, expected.raw, atol=1e-6)


def test_two_modules_that_share_a_buffer_still_share_it_inside() -> None:
    class Part(nn.Module):
        count: Tensor

        def __init__(self, count: Tensor) -> None:
            super().__init__()
            self.register_buffer("count", count)

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            return x * self.count

    count = torch.zeros(())
    network = nn.Sequential(
        Part(count), Part(count), nn.Conv3d(3, 2, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten()
    )
    with torch.no_grad():
        expected = network[2:](2 * CLIPS)
    assert torch.allclose(attribute(network, CLIPS, layers=["2"]).logits, expected, atol=1e-6)
    assert count == 0


class WithSpeed(Plain):
    """A clip and a vector for each sample."""

    def __init__(self) -> None:
        super().__init__(9)

    def forward(self, clip: Tensor, speed: Tensor, scale: Tensor | None = None) -> Tensor:  # type: ignore[override]
        features = self.conv((clip - 0.5) / 0.25).mean((2, 3, 4))
        logits: Tensor = self.head(torch.cat([features, speed], 1))
        return logits if scale is None else logits * scale


@pytest.mark.parametrize("method", CLIP_METHODS)
def test_other_inputs_are_copied_with_the_clip(method: str) -> None:
    network = WithSpeed()
    speeds = torch.tensor([[0.5], [20.0]])
    together = attribute(network, (CLIPS, speeds), method, target=1, score="probability")
    for i in range(2):
        alone = attribute(
            network,
            {"clip": CLIPS[i : i + 1], "speed": speeds[i : i + 1]},
            method,
            target=1,
            score="probability",
        )
        assert torch.allclose(together.logits[i], alone.logits[0], atol=1e-6)
        if method != "smoothgrad":  # its noise has the range of the whole batch
            assert torch.allclose(together.attention[i], alone.attention[0], atol=1e-3)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("method", ["rise", "integrated-gradients", "ablationcam"])
def test_an_input_that_all_samples_share_is_not_copied_even_if_it_is_as_long_as_the_batch(
    method: str, batch: int
) -> None:
    class Shared(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, 2)

        def forward(self, clip: Tensor, bias: Tensor | None = None) -> Tensor:
            logits = super().forward(clip)
            return logits if bias is None else logits + bias

    clips = CLIPS[:batch]
    expected = attribute(Shared(), clips, method, target=1)
    result = attribute(Shared(), (clips, torch.ones(batch)), method, target=1)
    assert torch.allclose(result.attention, expected.attention, atol=2e-3)


def test_a_network_that_mixes_the_samples_is_refused_where_copies_are_needed() -> None:
    class Mixing(WithSpeed):
        def forward(self, clip: Tensor, speed: Tensor, scale: Tensor | None = None) -> Tensor:  # type: ignore[override]
            return super().forward(clip, speed * len(speed), scale)

    with pytest.raises(UsageError, match="other logits for two copies"):
        attribute(Mixing(), (CLIPS, torch.rand(2, 1)), "rise")


class Flags(Plain):
    """Options beside the clip, as detectors and networks of `transformers` have them."""

    def forward(
        self, clip: Tensor, mask: Tensor | None = None, return_features: bool = False, mode: Any = "eval"
    ) -> Tensor:
        assert (mask, return_features) == (None, False)
        assert mode in ("eval", "test", 3)
        return super().forward(clip)


@pytest.mark.parametrize("method", ["3dcam", "saliency", "rise", "ablationcam", "occlusion"])
@pytest.mark.parametrize(
    "inputs",
    [
        (CLIPS, None),
        (CLIPS, None, False, 3),
        {"clip": CLIPS, "return_features": False},
        {"clip": CLIPS, "mask": None, "mode": "test"},
    ],
)
def test_what_is_no_tensor_is_passed_on(inputs: Any, method: str) -> None:
    expected = attribute(Plain(), CLIPS, method, target=1)
    assert torch.equal(attribute(Flags(), inputs, method, target=1).raw, expected.raw)
    assert "conv.1" in [layer.name for layer in glocal.layers(Flags(), inputs) if layer.default]


def test_a_list_inside_the_arguments() -> None:
    class Pathways(Plain):
        def forward(self, pathways: Any, scale: float) -> Tensor:  # type: ignore[override]
            return super().forward(pathways[0]) * scale

    expected = attribute(Plain(), CLIPS, target=1)
    assert torch.equal(attribute(Pathways(), ([CLIPS], 1.0), target=1).raw, expected.raw)


class Memory(Plain):
    """Keeps features of the clips before in attributes of every kind, and new ones."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.last = 0, None
        self.memory: list[Tensor] = []
        self.queue: deque[Tensor] = deque(maxlen=2)
        self.by_name: dict[str, Any] = {"sums": [torch.zeros(8)], "calls": 0}

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv((x - 0.5) / 0.25).mean((2, 3, 4))
        kept = [*self.memory, *self.queue, self.by_name["sums"][0], torch.tensor(float(self.count))]
        logits: Tensor = self.head(features * (1 + sum(part.mean() for part in kept)))
        self.count += 1
        self.memory.append(features)
        self.queue.append(features)
        self.by_name["sums"][0] += features.detach().mean(0)
        self.by_name["calls"] += 1
        self.last, self.new = features, features
        return logits


@pytest.mark.parametrize("method", ["3dcam", "saliency", "rise", "scorecam", "ablationcam"])
def test_what_a_network_remembers_in_attributes_is_as_before(method: str) -> None:
    network = Memory()
    before = network.memory, network.queue, network.by_name
    expected = attribute(Plain(), CLIPS, method, target=1)
    result = attribute(network, CLIPS, method, target=1)
    assert torch.allclose(result.logits, expected.logits, atol=1e-6)
    assert torch.allclose(result.raw, expected.raw, atol=1e-6)
    assert (network.count, network.last, network.memory, len(network.queue)) == (0, None, [], 0)
    assert (network.memory, network.queue, network.by_name) == before
    assert not network.by_name["sums"][0].any()
    assert network.by_name["calls"] == 0
    assert not hasattr(network, "new")


def test_a_streaming_network_in_a_loop_over_frames_is_explained_in_the_state_it_has() -> None:
    class Streamed(nn.Module):
        state: Tensor

        def __init__(self, streams: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.cnn = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
            self.head, self.streams = nn.Linear(8, 2), streams
            self.register_buffer("state", torch.zeros(8))

        def forward(self, x: Tensor) -> Tensor:
            state = self.state.expand(len(x), -1)
            for frame in x.unbind(2):
                state = 0.5 * state + self.cnn(frame).mean((2, 3))
            if self.streams:
                self.state.copy_(state.detach().mean(0))
            logits: Tensor = self.head(state)
            return logits

    for method in ("3dcam", "layercam", "ablationcam", "saliency"):
        network = Streamed(True)
        expected, result = (attribute(n, CLIPS, method, target=1) for n in (Streamed(False), network))
        assert torch.equal(result.logits, expected.logits)
        assert torch.equal(result.raw, expected.raw)
        assert not network.state.any()


def test_a_forward_that_fails_half_way_leaves_nothing_behind() -> None:
    class Failing(Memory):
        def forward(self, x: Tensor) -> Tensor:
            super().forward(x)
            raise RuntimeError("half-way")

    for method in ("3dcam", "saliency", "rise", "ablationcam"):
        network = Failing()
        with pytest.raises(RuntimeError, match="half-way"):
            attribute(network, CLIPS, method)
        assert (network.count, network.last, network.memory) == (0, None, [])
        assert all(module.training and not module._forward_hooks for module in network.modules())
        assert all(parameter.requires_grad for parameter in network.parameters())


class OnGpu(Plain):
    """Says that it is on a GPU, which no test has."""

    def parameters(self, recurse: bool = True) -> Any:
        facts = {"device": torch.device("cuda"), "dtype": torch.float16, "is_floating_point": lambda: True}
        return iter([SimpleNamespace(**facts)])


@pytest.mark.parametrize("needs_gradient", [False, True])
def test_inputs_are_copied_to_a_gpu_from_pinned_memory(
    needs_gradient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What carries a graph is not: pinning would cut it off."""
    calls: list[Any] = []

    def pin(tensor: Tensor) -> Tensor:
        calls.append("pinned")
        return tensor

    def to(tensor: Tensor, *args: Any, **facts: Any) -> Tensor:
        calls.append((*args, *facts.items()))
        return tensor

    clips = CLIPS.clone().requires_grad_(needs_gradient)
    monkeypatch.setattr(Tensor, "pin_memory", pin)
    monkeypatch.setattr(Tensor, "to", to)
    to_network(clips, OnGpu())
    gpu = torch.device("cuda")
    moved = ["pinned", (gpu, ("non_blocking", True))]
    assert calls == [*([] if needs_gradient else moved), (gpu, torch.float16)]


def test_inputs_on_the_same_device_are_not_copied() -> None:
    assert to_network(CLIPS, Plain()) is CLIPS

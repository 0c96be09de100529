"""Random networks are explained as hooks and autograd by hand explain them, or refused in one sentence."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import glocal
from glocal.errors import GlocalError

FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gradcam": lambda a, g: (g.flatten(2).mean(2).view(*g.shape[:2], 1, 1, 1) * a).sum(1),
    "layercam": lambda a, g: (g.clamp(min=0) * a).sum(1),
    "hirescam": lambda a, g: (g * a).sum(1),
}
KINDS = ("3d", "batch-major", "time-major", "loop", "backward loop", "sample loop", "tokens", "tokens first")
HEADS = ("mean", "lstm", "gru", "max")
WRAPPINGS = ("tensor", "tuple", "dict", "namespace", "dataclass", "list")
INPUTS = ("clip", "clip in a list", "clip and vector", "keywords", "two rates", "clip and none")


class Plan(NamedTuple):
    """What a random network is like."""

    kind: str
    head: str
    wrapping: str
    inputs: str
    batch: int
    frames: int
    width: int
    depth: int
    functional: bool
    in_place: bool
    changes_input: bool
    skip: bool
    norm: bool
    side: int
    classes: int
    seed: int


PLANS = st.builds(
    Plan,
    kind=st.sampled_from(KINDS),
    head=st.sampled_from(HEADS),
    wrapping=st.sampled_from(WRAPPINGS),
    inputs=st.sampled_from(INPUTS),
    batch=st.integers(1, 4),
    frames=st.sampled_from([2, 3, 4, 6, 8]),
    width=st.sampled_from([2, 3, 4, 6, 8]),
    depth=st.integers(1, 3),
    functional=st.booleans(),
    in_place=st.booleans(),
    changes_input=st.booleans(),
    skip=st.booleans(),
    norm=st.booleans(),
    side=st.sampled_from([8, 12, 16]),
    classes=st.integers(1, 4),
    seed=st.integers(0, 99),
)


@dataclass
class Result:
    """What some networks return."""

    logits: Tensor
    features: Tensor


class Layer(nn.Module):
    """A convolution or linear layer with an activation, and perhaps a norm and a skip connection."""

    def __init__(self, plan: Plan, width: int, first: bool) -> None:
        super().__init__()
        self.plan = plan
        self.skips = plan.skip and not first
        stride = 2 if first else 1
        self.norm: nn.Module = nn.Identity()
        if plan.kind.startswith("tokens"):
            self.main: nn.Module = nn.Linear(width, plan.width)
            self.norm = nn.LayerNorm(plan.width) if plan.norm else self.norm
        elif plan.kind == "3d":
            self.main = nn.Conv3d(width, plan.width, 3, (1, stride, stride), 1)
            self.norm = nn.BatchNorm3d(plan.width) if plan.norm else self.norm
        else:
            self.main = nn.Conv2d(width, plan.width, 3, stride, 1)
            self.norm = nn.BatchNorm2d(plan.width) if plan.norm else self.norm
        self.relu = nn.ReLU(inplace=plan.in_place)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.main(x))
        function = F.relu_ if self.plan.in_place else F.gelu
        y = function(y) if self.plan.functional else self.relu(y)
        return x + y if self.skips else y


class Random(nn.Module):
    """A network after a plan; `features` are its layers, the last of which is explained."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        torch.manual_seed(plan.seed)
        self.plan = plan
        width = 3
        if plan.kind.startswith("tokens"):
            self.patch, width = nn.Conv3d(3, plan.width, (1, 4, 4), (1, 4, 4)), plan.width
        layers = []
        for index in range(plan.depth):
            layers.append(Layer(plan, width, index == 0 and not plan.kind.startswith("tokens")))
            width = plan.width
        self.features = nn.Sequential(*layers)
        if plan.head in ("lstm", "gru"):
            self.rnn = (nn.LSTM if plan.head == "lstm" else nn.GRU)(width, 5, batch_first=True)
            width = 5
        extra = 2 if plan.inputs in ("clip and vector", "keywords") else 0
        self.classifier = nn.Linear(width + extra, plan.classes)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.7 / max(1, parameter[0].numel()) ** 0.5)

    def forward(self, clip: Any, other: Any = None, flag: bool = False) -> Any:
        plan = self.plan
        x: Tensor = clip[-1] if isinstance(clip, list) else clip
        if plan.changes_input:
            x -= 0.1
            x *= 2.0
        frames = self.over_frames(x)  # (B, T, C)
        logits = self.head(frames, other if isinstance(other, Tensor) else None)
        if isinstance(clip, list) and len(clip) == 2:
            logits = logits + clip[0].mean((1, 2, 3, 4))[:, None]
        return wrapped(logits, frames, plan.wrapping)

    def over_frames(self, x: Tensor) -> Tensor:
        """Features of each frame `(B, T, C)`."""
        kind, frames = self.plan.kind, x.transpose(1, 2)
        batch, length = frames.shape[:2]
        if kind == "3d":
            return self.features(x).mean((3, 4)).mT
        if kind.startswith("tokens"):
            grid = self.patch(x)
            tokens = grid.flatten(2).mT
            if kind == "tokens":
                tokens = self.features(tokens)
            else:
                tokens = self.features(tokens.transpose(0, 1).contiguous()).transpose(0, 1)
            return tokens.unflatten(1, (grid.shape[2], -1)).mean(2)
        if kind == "batch-major":
            maps = self.features(frames.flatten(0, 1)).unflatten(0, (batch, length))
        elif kind == "time-major":
            folded = frames.transpose(0, 1).flatten(0, 1)
            maps = self.features(folded).unflatten(0, (length, batch)).transpose(0, 1)
        elif kind == "sample loop":
            maps = torch.stack([self.features(sample) for sample in frames])
        else:
            order = range(length) if kind == "loop" else range(length - 1, -1, -1)
            by_frame = {t: self.features(frames[:, t]) for t in order}
            maps = torch.stack([by_frame[t] for t in range(length)], 1)
        return maps.mean((3, 4))

    def head(self, frames: Tensor, other: Tensor | None) -> Tensor:
        """Logits from features `(B, T, C)` of the frames."""
        if self.plan.head in ("lstm", "gru"):
            pooled = self.rnn(frames)[0][:, -1]
        else:
            pooled = frames.mean(1) if self.plan.head == "mean" else frames.amax(1)
        logits: Tensor = self.classifier(pooled if other is None else torch.cat([pooled, other], 1))
        return logits


def wrapped(logits: Tensor, features: Tensor, wrapping: str) -> Any:
    """The logits in what networks return."""
    return {
        "tensor": logits,
        "tuple": (logits, features),
        "list": [logits, features],
        "dict": {"features": features, "logits": logits},
        "namespace": SimpleNamespace(logits=logits, features=features),
        "dataclass": Result(logits, features),
    }[wrapping]


def inputs_of(plan: Plan, clips: Tensor) -> Any:
    """Arguments as the network of a plan takes them."""
    vector = torch.linspace(-1, 1, 2 * len(clips)).view(-1, 2)
    return {
        "clip": clips,
        "clip in a list": [clips],
        "clip and vector": (clips, vector),
        "keywords": {"clip": clips, "other": vector, "flag": True},
        "two rates": [clips[:, :, ::2].contiguous(), clips],
        "clip and none": (clips, None, False),
    }[plan.inputs]


def reference(network: Random, plan: Plan, clips: Tensor, method: str, target: int) -> Tensor:
    """The map of the last layer for one clip, by a hook, autograd and the method's formula."""
    seen: list[Tensor] = []
    network = copy.deepcopy(network).eval()
    last = network.features[-1]
    last.register_forward_hook(lambda module, args, result: seen.append(result))
    last.register_forward_hook(lambda module, args, result: result.clone())
    inputs = copy.deepcopy(inputs_of(plan, clips))
    if isinstance(inputs, dict):
        result = network(**inputs)
    else:
        result = network(*inputs) if isinstance(inputs, tuple) else network(inputs)
    logits = (
        result[0]
        if isinstance(result, tuple | list)
        else (result["logits"] if isinstance(result, dict) else getattr(result, "logits", result))
    )
    gradients = torch.autograd.grad(logits[0, target], seen)
    activation, gradient = (canonical(plan, parts, clips) for parts in (seen, gradients))
    cells = FORMULAS[method](activation, gradient).clamp(min=0).detach()[0]
    cells = cells / cells.max() if cells.max() > 0 else cells
    size = tuple(clips.shape[2:])
    full: Tensor = F.interpolate(cells[None, None], size, mode="trilinear", align_corners=False)[0, 0]
    return full


def canonical(plan: Plan, parts: Any, clips: Tensor) -> Tensor:
    """Outputs of the layer for one clip as `(1, C, T, H, W)`."""
    if plan.kind == "3d":
        return parts[0]
    if plan.kind.startswith("tokens"):
        tokens = parts[0] if plan.kind == "tokens" else parts[0].transpose(0, 1)
        rows, columns = clips.shape[3] // 4, clips.shape[4] // 4
        return tokens.mT.unflatten(2, (clips.shape[2], rows, columns))
    if plan.kind in ("loop", "backward loop"):
        maps = torch.stack([part[0] for part in parts], 1)
        return (maps if plan.kind == "loop" else maps.flip(1))[None]
    return parts[0].transpose(0, 1)[None]


def check(plan: Plan, method: str) -> str:
    """Compare the maps of a random network with the reference: `"explained"`, or the sentence that refuses."""
    network = Random(plan).train(plan.seed % 2 == 0)
    torch.manual_seed(plan.seed)
    clips = torch.randn(plan.batch, 3, plan.frames, plan.side, plan.side + 4)
    inputs, target = inputs_of(plan, clips), plan.seed % plan.classes
    inputs_before, before = copy.deepcopy(inputs), state_of(network)
    try:
        found = glocal.attribute(network, inputs, [network.features[-1]], method=method, target=target)
    except GlocalError as problem:
        return str(problem)
    finally:
        assert_same(inputs, inputs_before)
        assert_same(state_of(network), before)
    for index in range(plan.batch):
        if plan.inputs in ("clip and vector", "keywords"):
            expected = with_vector(network, plan, clips, index, method, target)
        else:
            expected = reference(network, plan, clips[index : index + 1], method, target)
        assert torch.allclose(found.attention[index], normalised(expected), atol=2e-3), (plan, method)
    return "explained"


def state_of(network: nn.Module) -> list[Any]:
    """Weights, modes, hooks and names of the attributes of a network."""
    modules = list(network.modules())
    return [
        dict(network.state_dict()),
        [module.training for module in modules],
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules],
        [sorted(module.__dict__) for module in modules],
        [parameter.requires_grad for parameter in network.parameters()],
    ]


def with_vector(network: Random, plan: Plan, clips: Tensor, index: int, method: str, target: int) -> Tensor:
    """`reference` of a sample with the part of the second input that is its own."""
    vector = inputs_of(plan, clips)
    vector = vector["other"] if isinstance(vector, dict) else vector[1]
    fixed = copy.deepcopy(network)
    original = fixed.head
    fixed.head = lambda frames, other: original(frames, vector[index : index + 1])  # type: ignore[method-assign]
    return reference(fixed, plan, clips[index : index + 1], method, target)


def normalised(x: Tensor) -> Tensor:
    return x / x.max() if x.max() > 0 else x


def assert_same(a: Any, b: Any) -> None:
    """Equal values in equal structures."""
    if isinstance(a, Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert_same(list(a.items()), list(b.items()))
    elif isinstance(a, list | tuple):
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=QUIET)
@given(plan=PLANS, method=st.sampled_from(sorted(FORMULAS)))
def test_random_networks_are_explained_as_by_hand(plan: Plan, method: str) -> None:
    assert "\n" not in check(plan, method)


def test_tokens_of_which_few_are_active_lie_where_they_are() -> None:
    plan = Plan(
        kind="tokens",
        head="gru",
        wrapping="namespace",
        inputs="clip in a list",
        batch=1,
        frames=2,
        width=2,
        depth=1,
        functional=False,
        in_place=True,
        changes_input=False,
        skip=False,
        norm=False,
        side=12,
        classes=1,
        seed=60,
    )
    assert check(plan, "hirescam") == "explained"


@pytest.mark.heavy
def test_of_four_hundred_random_networks_nearly_all_are_explained() -> None:
    outcomes: list[str] = []

    @settings(
        max_examples=400,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=QUIET,
    )
    @given(plan=PLANS, method=st.sampled_from(sorted(FORMULAS)))
    def run(plan: Plan, method: str) -> None:
        outcomes.append(check(plan, method))

    run()
    assert len(outcomes) >= 300
    assert not [outcome for outcome in outcomes if "\n" in outcome]
    assert outcomes.count("explained") / len(outcomes) > 0.95

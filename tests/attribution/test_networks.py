"""`attribute` on networks as people have them; whatever happens, the network comes back as it was."""

import copy
import gc
import weakref
from typing import Any

import pytest
import torch
from torch import dtype, nn

import glocal
from glocal.errors import InputError, UsageError
from helpers.networks import Small2d, Small3d, seeded

CLIPS = torch.randn(2, 3, 6, 20, 14, generator=torch.Generator().manual_seed(1))
LAYERS = ["relu1", "layer1", "layer2"]


def state_of(network: Small3d) -> tuple[dict[str, torch.Tensor] | list[Any], ...]:
    return (
        [m.training for m in network.modules()],
        [p.requires_grad for p in network.parameters()],
        [None if p.grad is None else p.grad.clone() for p in network.parameters()],
        [dict(m._forward_hooks) for m in network.modules()],
        {k: v.clone() for k, v in network.state_dict().items()},
    )


def assert_same_state(
    before: tuple[dict[str, torch.Tensor] | list[Any], ...],
    after: tuple[dict[str, torch.Tensor] | list[Any], ...],
) -> None:
    assert before[:2] == after[:2]
    for a, b in zip(before[2], after[2], strict=True):
        assert (a is None and b is None) or torch.equal(a, b)
    assert before[3] == after[3]
    assert all(torch.equal(before[4][k], after[4][k]) for k in before[4])


def mixed_state(network: Small3d) -> Small3d:
    """Train mode in parts, some frozen parameters, gradients and a hook of its owner's."""
    network.train()
    network.layer1.eval()
    network.fc.bias.requires_grad_(False)
    network(CLIPS).sum().backward()
    network.layer2.register_forward_hook(lambda m, a, r: None)
    return network


def test_in_place_and_plain_relus_give_the_same_attention() -> None:
    plain, inplace = seeded(Small3d(inplace=False)).eval(), seeded(Small3d(inplace=True)).eval()
    for layers in (LAYERS, ["bn1", "layer1.1", "layer2.0"]):
        a = glocal.attribute(plain, CLIPS, layers=layers)
        b = glocal.attribute(inplace, CLIPS, layers=layers)
        assert torch.equal(a.attention, b.attention)
        assert torch.equal(a.logits, b.logits)


def test_a_layer_before_an_in_place_relu_is_explained_as_it_was_before_it() -> None:
    network = seeded(Small3d()).eval()
    seen = {}
    network.layer1[1].register_forward_hook(lambda m, a, r: seen.__setitem__("out", r.clone()))
    with glocal.attribution.tape.record(network, CLIPS, {"n": network.layer1[1]}) as tape:
        assert torch.equal(tape.activations["n"], seen["out"])
        assert (seen["out"] < 0).any()


@pytest.mark.parametrize(("layers", "forwards"), [(LAYERS, 1), (["bn1", "layer1"], 2)])
def test_a_second_forward_pass_only_where_a_layer_is_overwritten(layers: list[str], forwards: int) -> None:
    network = seeded(Small3d()).eval()
    calls = []
    network.fc.register_forward_hook(lambda m, a, r: calls.append(1))
    glocal.attribute(network, CLIPS, layers=layers)
    assert len(calls) == forwards


@pytest.mark.parametrize("fail", [False, True])
def test_the_network_comes_back_untouched(fail: bool) -> None:
    network = mixed_state(seeded(Small3d()))
    before = state_of(network)
    if fail:
        network.fc.forward = lambda x: (_ for _ in ()).throw(RuntimeError("half-way"))
        with pytest.raises(RuntimeError, match="half-way"):
            glocal.attribute(network, CLIPS, layers=LAYERS)
        del network.fc.forward
    else:
        glocal.attribute(network, CLIPS, layers=LAYERS)
    assert_same_state(before, state_of(network))


def test_the_network_comes_back_untouched_when_the_target_is_wrong() -> None:
    network = mixed_state(seeded(Small3d()))
    before = state_of(network)
    with pytest.raises(UsageError, match=r"class index 9 is out of range.*0 to 4"):
        glocal.attribute(network, CLIPS, target=9)
    assert_same_state(before, state_of(network))


def test_a_network_in_train_mode_is_explained_in_eval_mode() -> None:
    network = seeded(Small3d())
    expected = glocal.attribute(network.eval(), CLIPS, layers=LAYERS).attention
    assert torch.equal(glocal.attribute(network.train(), CLIPS, layers=LAYERS).attention, expected)
    assert network.training


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_gradients_are_found_inside_the_callers_no_grad(context: type[Any]) -> None:
    network = seeded(Small3d())
    expected = glocal.attribute(network, CLIPS, layers=LAYERS).attention
    with context():
        assert torch.equal(glocal.attribute(network, CLIPS.clone(), layers=LAYERS).attention, expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_clips_follow_the_networks_dtype(dtype: dtype) -> None:
    expected = glocal.attribute(seeded(Small3d()), CLIPS, layers=LAYERS, target=2).attention
    got = glocal.attribute(seeded(Small3d()).to(dtype), CLIPS, layers=LAYERS, target=2).attention
    assert got.dtype == torch.float32
    r = torch.corrcoef(torch.stack([got.flatten(), expected.flatten()]))[0, 1]
    assert r > (0.9999 if dtype == torch.float64 else 0.95)


def test_bfloat16_autocast_stays_close_to_float32() -> None:
    network = seeded(Small3d())
    expected = glocal.attribute(network, CLIPS, layers=LAYERS, target=2).attention
    with torch.autocast("cpu", torch.bfloat16):
        got = glocal.attribute(network, CLIPS, layers=LAYERS, target=2).attention
    assert torch.corrcoef(torch.stack([got.flatten(), expected.flatten()]))[0, 1] > 0.95


def test_another_device_is_followed() -> None:
    network = seeded(Small3d()).to("meta")
    moved = glocal.attribution.tape.to_network(CLIPS, network)
    assert moved.device.type == "meta"


def test_a_relu_shared_between_layers_is_refused_and_the_blocks_around_it_work() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv3d(3, 4, 3), nn.Conv3d(4, 4, 3)
            self.relu = nn.ReLU(inplace=True)
            self.fc = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.relu(self.b(self.relu(self.a(x)))).mean((2, 3, 4)))

    network = seeded(Shared())
    with pytest.raises(UsageError, match="'relu' is called more than once"):
        glocal.attribute(network, CLIPS, layers=["relu"])
    assert glocal.attribute(network, CLIPS, layers=["a", "b"]).attention.shape == (2, 6, 20, 14)
    assert "relu" not in [layer.name for layer in glocal.layers(network, CLIPS)]


class TwoPathways(nn.Module):
    """SlowFast-like: one list argument, the slow pathway at a quarter of the frames."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, 8, 3, padding=1), nn.Conv3d(3, 4, 3, padding=1)
        self.fc = nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = [m(p).relu().mean((2, 3, 4)) for m, p in zip((self.slow, self.fast), x, strict=True)]
        return {"logits": self.fc(torch.cat(pooled, 1))}


def test_several_inputs_and_a_dict_of_outputs() -> None:
    network = seeded(TwoPathways())
    inputs = [torch.randn(2, 3, 2, 16, 16), torch.randn(2, 3, 8, 16, 16)]
    got = glocal.attribute(network, inputs, layers=["slow", "fast"])
    assert got.attention.shape == (2, 8, 16, 16)
    assert {k: v.shape for k, v in got.layers.items()} == dict.fromkeys(("slow", "fast"), (2, 8, 16, 16))


def test_arguments_and_keyword_arguments() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv3d(3, 4, 3), nn.Linear(4, 3)

        def forward(self, pixels: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
            return self.fc(self.conv(pixels).mean((2, 3, 4))) + bias

    network, bias = seeded(Net()), torch.ones(3)
    a = glocal.attribute(network, (CLIPS, bias), layers=["conv"])
    b = glocal.attribute(network, {"pixels": CLIPS, "bias": bias}, layers=["conv"])
    assert torch.equal(a.attention, b.attention)


def test_an_output_that_holds_no_logits_is_refused_and_output_finds_them() -> None:
    class Boxed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = seeded(Small3d())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return {"features": x, "scores": self.inner(x)}

    network = Boxed()
    with pytest.raises(InputError, match=r"'features', 'scores'.*output="):
        glocal.attribute(network, CLIPS, layers=["inner.layer1"])
    got = glocal.attribute(network, CLIPS, layers=["inner.layer1"], output=lambda r: r["scores"])
    assert torch.equal(got.attention, glocal.attribute(network.inner, CLIPS, layers=["layer1"]).attention)


def test_nan_logits_are_reported() -> None:
    network = seeded(Small3d())
    network.fc.bias.data.fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        glocal.attribute(network, CLIPS, layers=LAYERS)


def test_layers_by_name_by_module_and_by_default_are_the_same() -> None:
    network = seeded(Small3d())
    named = glocal.attribute(network, CLIPS, layers=LAYERS)
    modules = glocal.attribute(network, CLIPS, layers=[network.relu1, network.layer1, network.layer2])
    default = glocal.attribute(network, CLIPS)
    assert list(named.layers) == list(modules.layers) == list(default.layers) == LAYERS
    assert torch.equal(named.attention, modules.attention)
    assert torch.equal(named.attention, default.attention)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["layer7"], r"no layer 'layer7'\. Did you mean 'layer[12]'.*conv1, bn1"),
        ([nn.ReLU()], "ReLU is not a part of the network"),
        (["fc"], r"layer 'fc' returns a tensor of shape \(2, 5\)"),
        ([], "no layer to explain"),
    ],
)
def test_a_wrong_layer_is_named_with_what_there_is(layers: list[str | nn.ReLU], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        glocal.attribute(seeded(Small3d()), CLIPS, layers=layers)


def test_an_unused_layer_and_one_without_influence_are_refused() -> None:
    class Aux(Small3d):
        def __init__(self) -> None:
            super().__init__()
            self.unused, self.aside = nn.Conv3d(3, 2, 1), nn.Conv3d(3, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.aside(x)
            return super().forward(x)

    network = seeded(Aux())
    with pytest.raises(UsageError, match="'unused' is not used"):
        glocal.attribute(network, CLIPS, layers=["unused"])
    with pytest.raises(UsageError, match="'aside' has no influence"):
        glocal.attribute(network, CLIPS, layers=["aside", "layer1"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "3dcm"}, "unknown method '3dcm'. Did you mean '3dcam'"),
        ({"aggregate": "summ"}, "unknown aggregate 'summ'. Did you mean 'sum'"),
        ({"target": "top9"}, "top1 to top5"),
        ({"target": "walk"}, "neither a class index nor 'topK'"),
        ({"target": [1, 2, 3]}, "one for each of the 2 samples"),
        ({"target": -1}, "class index -1 is out of range"),
        ({"score": "loss"}, "unknown score 'loss'. Scores: logit, centred, probability."),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        glocal.attribute(seeded(Small3d()), CLIPS, layers=["layer1"], **arguments)


def test_top_k_is_one_forward_and_k_backward_passes() -> None:
    network = seeded(Small3d()).eval()
    forwards, backwards = [], []
    network.layer1.register_forward_hook(lambda m, a, r: forwards.append(1))
    network.fc.register_full_backward_hook(lambda m, i, o: backwards.append(1))
    got = glocal.attribute(network, CLIPS, layers=["layer1"], target="top3")
    assert (len(forwards), len(backwards)) == (1, 3)
    best = got.logits.topk(3).indices
    assert [c.target.tolist() for c in got.per_class] == best.T.tolist()
    for explained in got.per_class:
        alone = glocal.attribute(network, CLIPS, layers=["layer1"], target=explained.target)
        assert torch.equal(explained.attention, alone.attention)


def test_one_target_for_each_sample_and_batches_equal_single_clips() -> None:
    network = seeded(Small3d())
    together = glocal.attribute(network, CLIPS, layers=LAYERS, target=[3, 1])
    for i, target in enumerate([3, 1]):
        alone = glocal.attribute(network, CLIPS[i : i + 1], layers=LAYERS, target=target)
        assert torch.allclose(together.attention[i], alone.attention[0], atol=1e-5)


def test_the_probability_differs_from_the_logit_by_what_the_rivals_say() -> None:
    network = seeded(Small3d())
    logit = glocal.attribute(network, CLIPS, layers=LAYERS, target=1)
    probability = glocal.attribute(network, CLIPS, layers=LAYERS, target=1, score="probability")
    assert not torch.allclose(logit.attention, probability.attention, atol=1e-3)


def test_images() -> None:
    got = glocal.attribute(seeded(Small2d()), torch.randn(2, 3, 18, 26))
    assert got.attention.shape == (2, 18, 26)
    assert len(got.layers) >= 2


def test_wrapped_networks_are_unwrapped_and_scripted_ones_refused() -> None:
    network = seeded(Small3d()).eval()
    expected = glocal.attribute(network, CLIPS, layers=LAYERS).attention
    assert torch.equal(glocal.attribute(nn.DataParallel(network), CLIPS, layers=LAYERS).attention, expected)
    assert torch.equal(glocal.attribute(torch.compile(network), CLIPS, layers=LAYERS).attention, expected)
    with pytest.raises(UsageError, match="scripted"):
        glocal.attribute(torch.jit.trace(network, CLIPS), CLIPS, layers=LAYERS)


def test_nothing_is_kept_alive_after_an_explanation() -> None:
    network = seeded(Small3d())
    clips = CLIPS.clone()
    attribution = glocal.attribute(network, clips, layers=LAYERS, target="top2")
    references = [weakref.ref(clips), weakref.ref(attribution.attention)]
    copy.deepcopy(network)
    del clips, attribution
    gc.collect()
    assert all(r() is None for r in references)


def test_layers_lists_shapes_and_marks_the_defaults() -> None:
    rows = {layer.name: layer for layer in glocal.layers(seeded(Small3d()), CLIPS)}
    assert rows["layer1"].shape == (8, 3, 5, 3)
    assert [name for name, row in rows.items() if row.default] == LAYERS
    assert "fc" not in rows
    assert not rows["pool"].default

"""The library against paper A's equations in NumPy, and its gradients against finite differences."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import glocal
from glocal.attribution.targets import class_scores
from helpers import reference
from helpers.networks import Small2d, Small3d, seeded

CASES = {
    "3d": (Small3d(), (2, 3, 6, 20, 14), ["relu1", "layer1", "layer2"]),
    "2d": (Small2d(), (2, 3, 18, 26), ["features.1", "features.4", "features.6"]),
}
METHODS = {
    "3dcam": reference.cam_3d,
    "gradcam": reference.grad_cam,
    "gradcam++": reference.grad_cam_plus_plus,
    "xgradcam": reference.xgrad_cam,
    "hirescam": reference.hires_cam,
    "layercam": reference.layer_cam,
    "gradcam-elementwise": reference.grad_cam_elementwise,
}


def activations_and_gradients(network: Any, clips: Any, layers: Any, target: Any) -> Any:
    """By the plainest means: float64, full graph, one backward pass a sample."""
    kept = {}
    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda module, args, result, name=name: kept.__setitem__(name, result) or result.clone()
        )
        for name in layers
    ]
    logits = network(clips.requires_grad_())
    for hook in hooks:
        hook.remove()
    chosen = logits.argmax(1) if target is None else torch.full((len(clips),), target)
    grads = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), list(kept.values()))
    arrays = {n: (a.detach().numpy(), g.numpy()) for (n, a), g in zip(kept.items(), grads, strict=True)}
    return arrays, logits.detach().numpy(), chosen.numpy()


@pytest.mark.parametrize("counterfactual", [False, True])
@pytest.mark.parametrize("aggregate", ["sum", "mean", "max"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", CASES)
def test_attribute_equals_the_equations_in_numpy(
    case: Any, method: Any, aggregate: Any, counterfactual: Any
) -> None:
    network, shape, layers = CASES[case]
    network = seeded(network).eval()
    clips = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for target in (None, 2):
        got = glocal.attribute(
            network.float(),
            clips,
            layers=layers,
            method=method,
            aggregate=aggregate,
            target=target,
            counterfactual=counterfactual,
        )
        arrays, logits, chosen = activations_and_gradients(network.double(), clips.double(), layers, target)
        np.testing.assert_allclose(got.logits.numpy(), logits, atol=1e-5)
        assert got.target.tolist() == chosen.tolist()
        sign = -1 if counterfactual else 1
        for b in range(shape[0]):
            maps = [METHODS[method](a[b], sign * g[b], shape[2:]) for a, g in arrays.values()]
            for name, expected in zip(layers, maps, strict=True):
                assert np.abs(got.layers[name][b].numpy() - expected).max() <= 1e-5
            raw = reference.aggregate(maps, aggregate)
            assert np.abs(got.raw[b].numpy() - raw).max() <= 1e-5
            assert np.abs(got.attention[b].numpy() - reference.normalised(raw)).max() <= 1e-5
        assert got.attention.dtype == torch.float32
        assert float(got.attention.max()) > 0.99, "the case must have something to show"
    network.float()


@pytest.mark.parametrize("case", CASES)
def test_the_channel_sum_commutes_with_upsampling(case: Any) -> None:
    _, shape, _ = CASES[case]
    channels = torch.randn(1, 5, *[max(1, n // 3) for n in shape[2:]], dtype=torch.float64)
    of_sum = reference.upsample(channels.sum(1)[0].numpy(), shape[2:])
    sum_of = sum(reference.upsample(c.numpy(), shape[2:]) for c in channels[0])
    assert np.abs(of_sum - sum_of).max() < 1e-12


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_gradients_agree_with_central_finite_differences(score: Any) -> None:
    """A nudge added to a layer's output changes the score as the recorded gradient says."""
    from glocal.attribution.tape import record
    from glocal.attribution.targets import class_scores

    network = seeded(Small3d(inplace=False)).double().eval()
    clips = torch.randn(1, 3, 6, 20, 14, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    layers = {name: network.get_submodule(name) for name in ("relu1", "layer1", "layer2")}
    with record(network, clips, layers) as tape:
        gradients = tape.gradients(class_scores(tape.logits, score)[0, 2])

    def score_with(name: Any, nudge: Any) -> Any:
        hook = layers[name].register_forward_hook(lambda module, args, result: result + nudge)
        with torch.no_grad():
            value = class_scores(network(clips), score)[0, 2].item()
        hook.remove()
        return value

    generator = torch.Generator().manual_seed(3)
    for name, gradient in gradients.items():
        for index in torch.randint(gradient.numel(), (12,), generator=generator).tolist():
            nudge = torch.zeros_like(gradient)
            nudge.view(-1)[index] = 1e-6
            slope = (score_with(name, nudge) - score_with(name, -nudge)) / 2e-6
            assert slope == pytest.approx(gradient.reshape(-1)[index].item(), rel=1e-4, abs=1e-8)


def test_a_layer_without_positive_evidence_has_a_zero_map() -> None:
    """Dividing by a negative maximum would turn negative evidence into positive."""
    network = seeded(Small3d()).eval()
    with torch.no_grad():
        network.fc.weight[1].fill_(-1.0)
    clips = torch.randn(1, 3, 6, 20, 14)
    got = glocal.attribute(network, clips, layers=["layer2"], target=1)
    assert got.layers["layer2"].abs().max() == 0
    assert got.attention.abs().max() == 0
    against = glocal.attribute(network, clips, layers=["layer2"], target=1, counterfactual=True)
    assert against.attention.max() == 1


def test_the_channelwise_form_multiplies_before_the_sum() -> None:
    network = seeded(Small3d()).eval()
    clips = torch.randn(1, 3, 6, 20, 14, generator=torch.Generator().manual_seed(1))
    arrays, _, _ = activations_and_gradients(network.double(), clips.double(), ["layer1"], 2)
    activation, gradient = (x[0] for x in arrays["layer1"])
    product = (np.maximum(activation, 0) * np.maximum(gradient, 0)).sum(0)
    expected = reference.normalised(reference.upsample(product, clips.shape[2:]))
    got = glocal.attribute(network.float(), clips, ["layer1"], method="3dcam-channelwise", target=2)
    assert np.abs(got.layers["layer1"][0].numpy() - expected).max() <= 1e-5


def test_the_active_form_takes_the_gradient_at_the_input_of_the_relu() -> None:
    network = seeded(Small3d(inplace=False)).double().eval()
    clips = torch.randn(1, 3, 6, 20, 14, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    kept = {}
    hook = network.layer1[2].register_forward_pre_hook(
        lambda m, args: kept.update(input=args[0].requires_grad_())
    )
    logits = network(clips)
    hook.remove()
    gradient = torch.autograd.grad(logits[0, 2], kept["input"])[0][0].numpy()
    activation = kept["input"].relu()[0].detach().numpy()
    expected = reference.cam_3d(activation, gradient, clips.shape[2:])
    got = glocal.attribute(network, clips, ["layer1"], method="3dcam-active", target=2).layers["layer1"][0]
    assert expected.max() > 0
    assert np.abs(got.numpy() - expected).max() < 1e-6
    published = glocal.attribute(network, clips, ["layer1"], method="3dcam", target=2).layers["layer1"][0]
    assert np.abs(got.numpy() - published.numpy()).max() > 1e-2


def test_below_a_mean_and_a_linear_head_3dcam_is_blind_to_the_class_and_its_active_form_is_not() -> None:
    """`y_k = Σ_c w_kc mean(α_c) + b_k`, so that `β = Σ_c w_kc / THW` is one number for all places."""
    network = seeded(Small3d()).eval()
    clips = torch.randn(1, 3, 6, 20, 14, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.fc.weight[:2].abs_()
        network.fc.weight[0, ::2] = 0
        network.fc.weight[1, 1::2] = 0
        network.fc.weight[2] = -1
    last = {}
    for method in ("3dcam", "3dcam-active"):
        maps = [
            glocal.attribute(network, clips, ["layer2"], method=method, target=k).layers["layer2"]
            for k in range(5)
        ]
        last[method] = [m for m in maps if m.max() > 0]
    assert 1 < len(last["3dcam"]) < 5, "some classes have a positive sum of weights, others an empty map"
    assert all(torch.allclose(m, last["3dcam"][0], atol=1e-5) for m in last["3dcam"])
    first, second, *_ = last["3dcam-active"]
    assert not torch.allclose(first, second, atol=0.1)


@pytest.mark.parametrize("method", ["3dcam", "gradcam", "occlusion", "rise", "integrated-gradients"])
def test_a_centred_score_does_not_see_what_is_added_to_all_logits(method: str) -> None:
    class Shifted(Small3d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + 30 * x[:, :1, :3, :4, :5].mean((1, 2, 3, 4))[:, None]

    clips = torch.randn(1, 3, 6, 20, 14, generator=torch.Generator().manual_seed(1))
    small = {"samples": 6, "steps": 3, "pixels": 8, "frames": 3}
    given = {name: value for name, value in small.items() if name in glocal.METHODS[method].options}
    plain, shifted = seeded(Small3d()).eval(), seeded(Shifted()).eval()

    def explain(network: Small3d, score: str) -> torch.Tensor:
        return glocal.attribute(
            network, clips, ["relu1"], method=method, target=2, score=score, options=given
        ).raw

    assert torch.allclose(explain(shifted, "centred"), explain(plain, "centred"), atol=1e-4)
    assert not torch.allclose(explain(plain, "logit"), explain(plain, "centred"), atol=1e-3)


def test_the_centred_score_of_a_single_logit_is_the_logit() -> None:
    logits = torch.tensor([[2.0], [-1.0]])
    assert class_scores(logits, "centred").tolist() == logits.tolist()
    assert class_scores(torch.tensor([[3.0, 1.0, 2.0]]), "centred").tolist() == [[1.0, -1.0, 0.0]]


class Normalised(nn.Module):
    """A convolution, a layer norm over its channels where asked for, and a head."""

    def __init__(self, *, is_normalised: bool) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 32, 3, padding=1)
        self.norm = nn.LayerNorm(32) if is_normalised else nn.Identity()
        self.head = nn.Linear(32, 4)

    def forward(self, clips: Tensor) -> Tensor:
        features: Tensor = self.norm(self.conv(clips).movedim(1, -1))
        logits: Tensor = self.head(torch.tanh(features).mean((1, 2, 3)))
        return logits


@pytest.mark.parametrize("is_normalised", [True, False])
def test_3dcam_in_front_of_a_layer_norm_is_said_to_be_rounding_error(is_normalised: bool) -> None:
    torch.manual_seed(0)
    network, clips = Normalised(is_normalised=is_normalised).eval(), torch.randn(2, 3, 4, 8, 8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        glocal.attribute(network, clips, ["conv"], method="3dcam", target=1)
        assert bool(caught) == is_normalised
        assert all("in front of a layer norm is rounding error" in str(warning.message) for warning in caught)
        caught.clear()
        glocal.attribute(network, clips, ["conv"], method="layercam", target=1)
        assert not caught

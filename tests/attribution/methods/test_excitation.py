"""Excitation backprop against the paper's rule on dense matrices, one layer after the other, in float64."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import glocal
from glocal.errors import UsageError
from helpers import reference
from helpers.networks import seeded


def dense(function: Any, shape: Any) -> Any:
    """The matrix of a linear function of one clip `(C, T, H, W)`, by what it does to each unit clip."""
    units = torch.eye(int(np.prod(shape)), dtype=torch.float64).view(-1, *shape)
    with torch.no_grad():
        return function(units).flatten(1).T.numpy()


def without_bias(module: Any) -> Any:
    module = copy.deepcopy(module)
    module.bias = None
    return module


def stages(network: Any, clip: Any) -> Any:
    """`[(matrix of a linear stage, its input's values)]` from the first stage to the logits, for one clip."""
    found = []
    x = clip[None]
    for module in network:
        with torch.no_grad():
            y = module(x)
        if isinstance(module, nn.Conv3d | nn.Conv2d | nn.Linear):
            found.append((dense(without_bias(module), x.shape[1:]), x.flatten().numpy()))
        elif isinstance(module, nn.AdaptiveAvgPool3d | nn.AvgPool3d | nn.AdaptiveAvgPool2d | nn.AvgPool2d):
            found.append((dense(module, x.shape[1:]), x.flatten().numpy()))
        elif isinstance(module, nn.MaxPool3d | nn.MaxPool2d):
            found.append((largest(module, x), x.flatten().numpy()))
        x = y
    return found


def largest(module: Any, x: Any) -> Any:
    """The matrix that picks the largest of each window, found by comparing values."""
    values, picked = x.flatten().numpy(), module(x).flatten().numpy()
    matrix = np.zeros((len(picked), len(values)))
    for row, value in enumerate(picked):
        matrix[row, np.flatnonzero(values == value)[0]] = 1
    return matrix


def winning(found: Any, top: Any, down_to: Any) -> Any:
    """The winning probability before stage `down_to`, when `top` of the logits win."""
    probability = top
    for index in range(len(found) - 1, down_to - 1, -1):
        matrix, responses = found[index]
        probability = reference.winners(matrix, responses, probability)
    return probability


def plain(axes: Any) -> Any:
    three = axes == 3
    conv = nn.Conv3d if three else nn.Conv2d
    size = (3, 4, 8, 6)[: axes + 1] if three else (3, 8, 6)
    network = nn.Sequential(
        conv(3, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool3d(2) if three else nn.MaxPool2d(2),
        conv(4, 6, 3, stride=2, padding=1, groups=2),
        nn.ReLU(),
        nn.AvgPool3d((1, 2, 1)) if three else nn.AvgPool2d((2, 1)),
        nn.AdaptiveAvgPool3d(1) if three else nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(6, 5),
    )
    network = seeded(network, seed=4).double().eval()
    return network, torch.randn((2, *size), generator=torch.Generator().manual_seed(2)).double()


@pytest.mark.parametrize("counterfactual", [False, True])
@pytest.mark.parametrize("axes", [3, 2])
def test_winning_probabilities_are_those_of_the_papers_rule(axes: Any, counterfactual: Any) -> None:
    network, clips = plain(axes)
    places = {"1": 1, "4": 3}  # a ReLU → the stage that reads it
    for method in ("excitation-backprop", "c-mwp"):
        got = glocal.attribute(
            network, clips, list(places), method=method, target=2, counterfactual=counterfactual
        )
        for b, clip in enumerate(clips):
            found = stages(network, clip)
            opposite = [*found[:-1], (-found[-1][0], found[-1][1])]
            if counterfactual:
                found, opposite = opposite, found
            for layer, stage in places.items():
                probability = winning(found, np.eye(5)[2], stage)
                assert probability.sum() == pytest.approx(1), "nothing is lost on the way"
                if method == "c-mwp":
                    probability = probability - winning(opposite, np.eye(5)[2], stage)
                with torch.no_grad():
                    shape = network[: int(layer) + 1](clip[None]).shape[1:]
                cam = probability.reshape(shape).sum(0)
                expected = reference.upsample(reference.normalised(cam), clips.shape[2:])
                assert np.abs(got.layers[layer][b].numpy() - expected).max() <= 1e-5


class Normed(nn.Module):
    """Two convolutions with batch norms, some of their scales negative, and a residual sum."""

    def __init__(self, norm: Any = True) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.ReLU())
        self.conv1, self.conv2 = nn.Conv3d(4, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1)
        self.bn1, self.bn2 = (nn.BatchNorm3d(4) if norm else nn.Identity() for _ in range(2))
        self.relu, self.dropout = nn.ReLU(inplace=True), nn.Dropout3d(inplace=True)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.dropout(self.relu(self.bn1(self.conv1(x))))
        y = self.bn2(self.conv2(y))
        y += x
        return self.fc(self.relu(y).mean((2, 3, 4)))


def normed() -> Any:
    network = seeded(Normed()).double().eval()
    with torch.no_grad():
        network.bn1.weight.copy_(torch.tensor([1.0, -0.7, 0.5, -1.2]))
        network.bn2.weight.copy_(torch.tensor([-0.4, 0.9, -1.1, 0.8]))
    return network, torch.randn(1, 3, 3, 5, 4, generator=torch.Generator().manual_seed(2)).double()


def folded(network: Any) -> Any:
    """The same network with its batch norms multiplied into the convolutions."""
    plain = Normed(norm=False).double().eval()
    plain.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("bn")})
    with torch.no_grad():
        for conv, bn in ((plain.conv1, network.bn1), (plain.conv2, network.bn2)):
            scale = bn.weight / (bn.running_var + bn.eps).sqrt()
            conv.weight.mul_(scale.view(-1, 1, 1, 1, 1))
            conv.bias.copy_((conv.bias - bn.running_mean) * scale + bn.bias)
    return plain


@pytest.mark.parametrize("method", ["excitation-backprop", "c-mwp"])
def test_a_batch_norm_is_as_if_folded_into_the_convolution(method: Any) -> None:
    network, clips = normed()
    plain = folded(network)
    assert torch.allclose(network(clips), plain(clips))
    for target in range(3):
        got = glocal.attribute(network, clips, ["stem"], method=method, target=target).attention
        assert torch.allclose(
            got, glocal.attribute(plain, clips, ["stem"], method=method, target=target).attention, atol=1e-5
        )


def test_a_residual_sum_shares_by_what_each_side_adds() -> None:
    network, clips = normed()
    plain = folded(network)
    with torch.no_grad():
        x = plain.stem(clips)
        y = plain.relu(plain.conv1(x))
        z = plain.conv2(y)
        out = (z + x).relu()
    sizes = x[0].numel()
    pool = np.kron(np.eye(4), np.ones((1, sizes // 4)))
    pooled = pool @ out.flatten().numpy()
    top = reference.winners(plain.fc.weight.detach().numpy(), pooled, np.eye(3)[1])
    summed = reference.winners(pool, out.flatten().numpy(), top)
    both = np.concatenate([z.flatten().numpy(), x.flatten().numpy()])
    split = reference.winners(np.hstack([np.eye(sizes)] * 2), both, summed)
    branch = reference.winners(
        dense(without_bias(plain.conv2), y.shape[1:]), y.flatten().numpy(), split[:sizes]
    )
    branch = reference.winners(dense(without_bias(plain.conv1), x.shape[1:]), x.flatten().numpy(), branch)
    cam = (branch + split[sizes:]).reshape(x.shape[1:]).sum(0)
    got = glocal.attribute(network, clips, ["stem"], method="excitation-backprop", target=1).attention[0]
    assert np.abs(got.numpy() - reference.normalised(cam)).max() <= 1e-5


class Branches(nn.Module):
    """An inception block, and a head of one convolution whose scores are averaged over time."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.ReLU())
        self.a, self.b = nn.Conv3d(4, 3, 1), nn.Conv3d(4, 2, 3, padding=1)
        self.head = nn.Conv3d(5, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = torch.cat([F.relu(self.a(x)), self.b(x).relu()], 1)
        x = F.avg_pool3d(x, (1, *x.shape[3:]))
        return self.head(x).squeeze(-1).squeeze(-1).mean(2) / 3


def test_concatenation_and_a_mean_over_scores() -> None:
    network = seeded(Branches()).double().eval()
    clips = torch.randn(1, 3, 2, 4, 4, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        x = network.stem(clips)
        joined = torch.cat([network.a(x).relu(), network.b(x).relu()], 1)
        pooled = joined.mean((3, 4))
    values = x.flatten().numpy()
    top = np.zeros((5, 2))
    for t in range(2):  # each moment's score is half of the mean
        top[:, t] = reference.winners(
            network.head.weight[:, :, 0, 0, 0].detach().numpy(), pooled[0, :, t].numpy(), np.eye(3)[1] / 2
        )
    spread = reference.winners(np.kron(np.eye(10), np.ones((1, 16))), joined.flatten().numpy(), top.flatten())
    matrix = np.vstack([dense(without_bias(m), x.shape[1:]) for m in (network.a, network.b)])
    cam = reference.winners(matrix, values, spread).reshape(x.shape[1:]).sum(0)
    got = glocal.attribute(network, clips, ["stem"], method="excitation-backprop", target=1).attention[0]
    assert np.abs(got.numpy() - reference.normalised(cam)).max() <= 1e-5


class Strange(Normed):
    def __init__(self, strangeness: Any) -> None:
        super().__init__()
        self.strangeness = strangeness

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.strangeness(self.conv1(self.stem(x))).mean((2, 3, 4)))


def in_place(x: Any) -> Any:
    x.relu_()
    return x


@pytest.mark.parametrize(
    ("strangeness", "named"),
    [
        (torch.sigmoid, "'sigmoid'"),
        (lambda x: x * x, "'mul'"),
        (in_place, "a tensor after it was changed in place"),
    ],
)
def test_a_function_without_a_rule_is_refused_and_layers_above_it_are_not(
    strangeness: Any, named: Any
) -> None:
    network, clips = seeded(Strange(strangeness)).double(), normed()[1]
    with pytest.raises(UsageError, match=f"method 'c-mwp' has no rule for {named}, .* name layers above it"):
        glocal.attribute(network, clips, ["stem"], method="c-mwp")
    assert not any(m._forward_hooks for m in network.modules())
    assert torch.isfinite(network(clips)).all(), "the rules are gone with the call"
    assert glocal.attribute(network, clips, ["stem"], method="gradcam").attention.shape == (1, 3, 5, 4)


def test_what_lies_below_the_lowest_layer_needs_no_rule() -> None:
    class Below(Normed):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(torch.tanh(x) * x)

    network = seeded(Below()).double()
    assert glocal.attribute(network, normed()[1], ["stem"], method="c-mwp", target=1).attention.max() == 1


def test_the_order_of_layers_and_their_number_change_nothing() -> None:
    network, clips = normed()
    both = glocal.attribute(network, clips, ["stem", "conv2"], method="c-mwp", target=1)
    for layer in ("stem", "conv2"):
        alone = glocal.attribute(network, clips, [layer], method="c-mwp", target=1)
        assert torch.allclose(both.layers[layer], alone.layers[layer])


@pytest.mark.parametrize("name", ["resnext3d-small", "gated/resnext3d-small", "i3d-rgb"])
def test_networks_of_the_zoo_have_a_rule_for_all_they_do(name: Any) -> None:
    torch.manual_seed(0)
    model = glocal.load_model(name)
    clip = torch.rand(1, 3, 8, 32, 32)
    got = glocal.attribute(model.network, clip, model.layers, method="excitation-backprop")
    assert list(got.layers) == list(model.layers)
    assert all(layer.max() > 0.1 for layer in got.layers.values())
    other = glocal.attribute(
        model.network, clip, model.layers, method="c-mwp", target=int(got.logits.argmin())
    )
    assert not torch.allclose(got.attention, other.attention, atol=0.05)

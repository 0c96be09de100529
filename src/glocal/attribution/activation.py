"""Attribution methods without a backward pass: the activations, alone or with the weights of the head."""

import math

import torch
from torch import Tensor, nn

from glocal.attribution.call import Call
from glocal.attribution.registry import input_method
from glocal.errors import UsageError

LINEAR_HEAD = "a linear head on the mean of a layer"


@input_method("cam", title="CAM", paper="Zhou et al., CVPR 2016, eq. 2", cost="2 forward", needs=LINEAR_HEAD)
def cam(call: Call) -> dict[str, Tensor]:
    """`ReLU(Σ_c w_c · α_c)`, with `w` the weights of the class in the linear layer behind the mean over α."""
    return {name: maps.clamp(min=0) for name, maps in _weighted_by_head(call).items()}


@input_method(
    "saliency-tubes",
    title="Saliency Tubes",
    paper="Stergiou et al., ICIP 2019",
    cost="2 forward",
    needs=LINEAR_HEAD,
)
def saliency_tubes(call: Call) -> dict[str, Tensor]:
    """`Σ_c w_c · α_c` as in CAM, but from its minimum on where CAM drops what is negative."""
    return {
        n: x - x.flatten(1).amin(1).view(-1, *[1] * (x.dim() - 1)) for n, x in _weighted_by_head(call).items()
    }


@input_method(
    "eigencam",
    title="Eigen-CAM (the same for every class)",
    paper="Muhammad and Yeasin, IJCNN 2020",
    cost="2 forward",
    needs="layers",
)
def eigen_cam(call: Call) -> dict[str, Tensor]:
    """`Σ_c v_c · α_c`, with `v` the first right singular vector of α as a matrix `(THW, C)`.

    A singular vector has no sign; it is the one that makes the map's largest value positive.
    """
    if call.question.counterfactual:
        raise UsageError("Eigen-CAM looks at no class, so it has no counterfactual; choose another method.")
    return {name: _first_component(activation) for name, activation in call.activations().items()}


def _first_component(activation: Tensor) -> Tensor:
    matrix = activation.flatten(2).double()
    vectors = torch.linalg.eigh(matrix @ matrix.mT).eigenvectors[:, :, -1:]
    maps = (vectors.mT @ matrix)[:, 0]
    upside_down = -maps.amin(1) > maps.amax(1)
    return torch.where(upside_down[:, None], -maps, maps).view(len(maps), *activation.shape[2:])


def _weighted_by_head(call: Call) -> dict[str, Tensor]:
    """The layer that the linear head reads → `Σ_c w_c · α_c` `(B, T, H, W)`.

    Raises:
        UsageError: the logits are not a linear layer on the mean of one of the layers.
    """
    activations = call.activations()
    for name, activation in reversed(activations.items()):
        mean = activation.flatten(2).mean(2)
        for weight, bias in _linear_layers(call.network, call.logits.shape[1], mean.shape[1]):
            logits = nn.functional.linear(mean, weight, bias)
            if torch.allclose(logits.float(), call.logits.float(), rtol=1e-2, atol=1e-3 * _spread(logits)):
                chosen = weight[call.classes] * (-1 if call.question.counterfactual else 1)
                return {name: torch.einsum("bc,bc...->b...", chosen.to(activation), activation)}
    raise UsageError(
        f"method '{call.name}' needs {LINEAR_HEAD}: of {', '.join(activations)} there is none whose mean "
        "over T, H, W one linear layer takes to the logits; use gradcam, which equals CAM where there is one."
    )


def _spread(logits: Tensor) -> float:
    return float(logits.float().abs().max())


def _linear_layers(network: nn.Module, classes: int, channels: int) -> list[tuple[Tensor, Tensor | None]]:
    """Weights `(classes, channels)` and bias of the linear layers, and of convolutions that are such."""
    kinds = (nn.Linear, nn.Conv2d, nn.Conv3d)
    return [
        (module.weight.view(classes, channels), module.bias)
        for module in network.modules()
        if isinstance(module, kinds)
        and module.weight.shape[:2] == (classes, channels)
        and math.prod(module.weight.shape[2:]) == 1
    ]

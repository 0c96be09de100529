"""Class activation maps: methods over the activation and the gradient of a layer.

A formula gets the activation α and the gradient ∂y/∂α of the class score y at one layer, both
`(B, C, T_k, H_k, W_k)`, or `(B, C, H_k, W_k)` for images, and a function that upsamples maps to the size of
the clip. It returns a map `(B, T, H, W)`, or `(B, H, W)` for images, that is not negative.
"""

import math
import warnings

import torch
from torch import Tensor, nn

from glocal.attribution.aggregation import positive
from glocal.attribution.method import Upsample, input_method, method
from glocal.attribution.request import AttributionRequest
from glocal.errors import UsageError


@method("3dcam", title="3DCAM (2DCAM on images)", paper="Yudistira et al., eq. 1 and 2")
def cam_3d(activation: Tensor, gradient: Tensor, upsample: Upsample) -> Tensor:
    """`ReLU(↑β / max ↑β) · ReLU(↑α / max ↑α)`, with β and α summed over the channels.

    Linear interpolation commutes with the sum, so one channel is upsampled in place of C.

    A layer norm ignores what all channels share, so β is zero in front of it, up to rounding; a warning says
    so.
    """
    if _is_rounding_error(gradient):
        warnings.warn(
            "3DCAM of a layer in front of a layer norm is rounding error, as the gradient's channels cancel "
            "out there; take another method, such as layercam",
            stacklevel=2,
        )
    gradients, activations = positive(upsample(torch.cat([gradient.sum(1), activation.sum(1)]))).chunk(2)
    return gradients * activations


def _is_rounding_error(gradient: Tensor) -> bool:
    """Whether sums over channels are not zero, yet no larger than what rounding leaves, at some 64 places."""
    places = gradient[0].flatten(1)
    places = places[:, :: max(1, places.shape[1] // 64)]
    sums, sizes = places.sum(0).abs().amax(), places.abs().sum(0).amax()
    return bool((sums > 0) & (sums < 8 * torch.finfo(torch.float32).eps * sizes))


@method(
    "3dcam-channelwise", title="3DCAM, product per channel", paper="Yudistira et al., eq. 2 read per channel"
)
def cam_3d_channelwise(activation: Tensor, gradient: Tensor, upsample: Upsample) -> Tensor:
    """`Σ_c ReLU(∂y/∂α_c) · ReLU(α_c)`, normalised by its maximum after upsampling."""
    return positive(upsample((gradient.clamp(min=0) * activation.clamp(min=0)).sum(1)))


@method(
    "3dcam-active",
    title="3DCAM, active channels",
    paper="Yudistira et al., eq. 1 at the input of the layer's ReLU, and eq. 2",
)
def cam_3d_active(activation: Tensor, gradient: Tensor, upsample: Upsample) -> Tensor:
    """3DCAM with `β = Σ_c ∂y/∂α_c · 1[α_c > 0]`: the gradient at the input of the ReLU that returned α."""
    return cam_3d(activation, gradient * (activation > 0), upsample)


@method("gradcam", title="Grad-CAM", paper="Selvaraju et al., ICCV 2017, eq. 1 and 2")
def grad_cam(activation: Tensor, gradient: Tensor, upsample: Upsample) -> Tensor:
    """`ReLU(Σ_c mean_THW(∂y/∂α_c) · α_c)`, normalised by its maximum, then upsampled."""
    return upsample(positive((gradient.flatten(2).mean(2)[_per_channel(gradient)] * activation).sum(1)))


@method("gradcam++", title="Grad-CAM++", paper="Chattopadhay et al., WACV 2018, eq. 19")
def grad_cam_plus_plus(activation: Tensor, gradient: Tensor, upsample: Upsample) -> Tensor:
    """Channel weights `Σ_THW g² / (2g² + g³ Σ_THW α) · ReLU(g)`, with g = ∂y/∂α; a term is 0 where g is."""
    total = activation.flatten(2).sum(2)[_per_channel(activation)]
    terms = _divided(gradient.clamp(min=0), 2 + gradient * total)
    return upsample(positive((terms.flatten(2).sum(2)[_per_channel(terms)] * activation).sum(1)))


@method("xgradcam", title="XGrad-CAM", paper="Fu et al., BMVC 2020")
def xgrad_cam(activation: Tensor, gradient: Tensor, upsample: Upsample) -> Tensor:
    """Channel weights `Σ_THW (α_c / Σ_THW α_c) ∂y/∂α_c`: the gradient's mean where the channel is active."""
    weights = _divided((gradient * activation).flatten(2).sum(2), activation.flatten(2).sum(2))
    return upsample(positive((weights[_per_channel(activation)] * activation).sum(1)))


@method("hirescam", title="HiResCAM", paper="Draelos and Carin, 2020, arXiv 2011.08891")
def hires_cam(activation: Tensor, gradient: Tensor, upsample: Upsample) -> Tensor:
    """`ReLU(Σ_c ∂y/∂α_c · α_c)`: the gradient is not averaged over space and time."""
    return upsample(positive((gradient * activation).sum(1)))


@method("layercam", title="LayerCAM", paper="Jiang et al., TIP 2021", aggregate="auto")
def layer_cam(activation: Tensor, gradient: Tensor, upsample: Upsample) -> Tensor:
    """`ReLU(Σ_c ReLU(∂y/∂α_c) · α_c)`."""
    return upsample(positive((gradient.clamp(min=0) * activation).sum(1)))


@method("gradcam-elementwise", title="Grad-CAM, element-wise", paper="pytorch-grad-cam; no paper")
def grad_cam_elementwise(activation: Tensor, gradient: Tensor, upsample: Upsample) -> Tensor:
    """`Σ_c ReLU(∂y/∂α_c · α_c)`."""
    return upsample(positive((gradient * activation).clamp(min=0).sum(1)))


def _per_channel(maps: Tensor) -> tuple[slice | None, ...]:
    """Index that brings `(B, C)` to the dimensions of `maps`."""
    return (slice(None), slice(None), *[None] * (maps.dim() - 2))


def _divided(x: Tensor, by: Tensor) -> Tensor:
    """`x / by`, and 0 where `by` is 0."""
    return (x / by).where(by != 0, 0.0)


LINEAR_HEAD = "a linear head on the mean of a layer"


@input_method("cam", title="CAM", paper="Zhou et al., CVPR 2016, eq. 2", cost="2 forward", needs=LINEAR_HEAD)
def cam(request: AttributionRequest) -> dict[str, Tensor]:
    """`ReLU(Σ_c w_c · α_c)`, with `w` the weights of the class in the linear layer behind the mean over α."""
    return {name: maps.clamp(min=0) for name, maps in _weighted_by_head(request).items()}


@input_method(
    "saliency-tubes",
    title="Saliency Tubes",
    paper="Stergiou et al., ICIP 2019",
    cost="2 forward",
    needs=LINEAR_HEAD,
)
def saliency_tubes(request: AttributionRequest) -> dict[str, Tensor]:
    """`Σ_c w_c · α_c` as in CAM, but less its minimum, where CAM sets negative values to zero."""
    return {
        name: maps - maps.flatten(1).amin(1).view(-1, *[1] * (maps.dim() - 1))
        for name, maps in _weighted_by_head(request).items()
    }


@input_method(
    "eigencam",
    title="Eigen-CAM (the same for every class)",
    paper="Muhammad and Yeasin, IJCNN 2020",
    cost="2 forward",
    needs="layers",
)
def eigen_cam(request: AttributionRequest) -> dict[str, Tensor]:
    """`Σ_c v_c · α_c`, with `v` the first right singular vector of α as a matrix `(THW, C)`.

    The sign of a singular vector is arbitrary; here the map's largest absolute value is positive.
    """
    if request.counterfactual:
        raise UsageError(
            "Eigen-CAM is the same for every class, so it has no counterfactual; choose another method."
        )
    return {name: _first_component(activation) for name, activation in request.activations().items()}


def _first_component(activation: Tensor) -> Tensor:
    """Activation `(B, C, T, H, W)` projected on its first right singular vector, `(B, T, H, W)`."""
    matrix = activation.flatten(2).double()
    vectors = torch.linalg.eigh(matrix @ matrix.mT).eigenvectors[:, :, -1:]
    maps = (vectors.mT @ matrix)[:, 0]
    upside_down = -maps.amin(1) > maps.amax(1)
    return torch.where(upside_down[:, None], -maps, maps).view(len(maps), *activation.shape[2:])


def _weighted_by_head(request: AttributionRequest) -> dict[str, Tensor]:
    """`Σ_c w_c · α_c` `(B, T, H, W)`, under the name of the layer whose mean the linear head reads.

    Raises:
        UsageError: the logits are not a linear layer on the mean of one of the layers.
    """
    activations = request.activations()
    for name, activation in reversed(activations.items()):
        mean = activation.flatten(2).mean(2)
        for weight, bias in _linear_layers(request.network, request.logits.shape[1], mean.shape[1]):
            logits = nn.functional.linear(mean, weight, bias)
            if torch.allclose(logits.float(), request.logits.float(), rtol=1e-2, atol=1e-3 * _spread(logits)):
                weights = weight[request.targets] * (-1 if request.counterfactual else 1)
                return {name: torch.einsum("bc,bc...->b...", weights.to(activation), activation)}
    raise UsageError(
        f"method '{request.method}' needs {LINEAR_HEAD}: for none of {', '.join(activations)} does one "
        "linear layer map its mean over T, H, W to the logits; use gradcam, which equals CAM where one does."
    )


def _spread(logits: Tensor) -> float:
    """Largest absolute logit."""
    return float(logits.float().abs().max())


def _linear_layers(network: nn.Module, num_classes: int, channels: int) -> list[tuple[Tensor, Tensor | None]]:
    """Weight `(num_classes, channels)` and bias of linear layers and of convolutions of kernel size 1."""
    kinds = (nn.Linear, nn.Conv2d, nn.Conv3d)
    return [
        (module.weight.view(num_classes, channels), module.bias)
        for module in network.modules()
        if isinstance(module, kinds)
        and module.weight.shape[:2] == (num_classes, channels)
        and math.prod(module.weight.shape[2:]) == 1
    ]

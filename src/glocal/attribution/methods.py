"""Attribution methods that need one layer's activation and gradient, and nothing else.

A layer method is a pure function of

- `activation` α and `gradient` ∂y/∂α, both `(B, C, T, H, W)`, or `(B, C, H, W)` for images, and
- `upsample`, which brings a `(B, T, H, W)` map to the size of the clip by linear interpolation,

and returns a map at the size of the clip, not negative. Write one, put `@method(...)` above it, and it is
available everywhere by its name. Methods that need more are input methods, see `input_method`.
"""

from torch import Tensor

from glocal.attribution.aggregate import positive
from glocal.attribution.registry import METHODS, LayerMethod, Method, Upsample, find_method, method

__all__ = ["METHODS", "LayerMethod", "Method", "find_method", "method", "positive"]


@method("3dcam", title="3DCAM (2DCAM on images)", paper="Yudistira et al., eq. 1 and 2")
def cam_3d(activation: Tensor, gradient: Tensor, upsample: Upsample) -> Tensor:
    """`ReLU(↑β / max ↑β) · ReLU(↑α / max ↑α)`, with β and α summed over the channels.

    Linear interpolation commutes with the sum, so one channel is upsampled in place of C.
    """
    return positive(upsample(gradient.sum(1))) * positive(upsample(activation.sum(1)))


@method(
    "3dcam-channelwise", title="3DCAM, product per channel", paper="Yudistira et al., eq. 2 read per channel"
)
def cam_3d_channelwise(activation: Tensor, gradient: Tensor, upsample: Upsample) -> Tensor:
    """`Σ_c ReLU(∂y/∂α_c) · ReLU(α_c)`, normalised by its maximum after upsampling."""
    return positive(upsample((gradient.clamp(min=0) * activation.clamp(min=0)).sum(1)))


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
    """`ReLU(Σ_c ∂y/∂α_c · α_c)`: the gradient is not averaged, so each place keeps its own."""
    return upsample(positive((gradient * activation).sum(1)))


@method("layercam", title="LayerCAM", paper="Jiang et al., TIP 2021")
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

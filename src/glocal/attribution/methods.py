"""The attribution methods: each turns one layer's activation and gradient into a map over the input.

A method is a pure function of

- `activation` α and `gradient` ∂y/∂α, both `(B, C, T, H, W)`, or `(B, C, H, W)` for images, and
- `upsample`, which brings a `(B, T, H, W)` map to the size of the clip by linear interpolation,

and returns a map at the size of the clip, not negative. Write one, put `@method(...)` above it, and it is
available everywhere by its name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from glocal.errors import UsageError, nearest

Upsample: TypeAlias = Callable[[Tensor], Tensor]
Formula: TypeAlias = Callable[[Tensor, Tensor, Upsample], Tensor]


@dataclass(frozen=True)
class Method:
    """A formula with the facts that `glocal methods` lists."""

    name: str
    title: str
    paper: str
    cost: str
    formula: Formula


METHODS: dict[str, Method] = {}


def method(
    name: str, *, title: str, paper: str, cost: str = "1 forward, 1 partial backward"
) -> Callable[[Formula], Formula]:
    """Register the formula below under `name`."""

    def register(formula: Formula) -> Formula:
        METHODS[name] = Method(name, title, paper, cost, formula)
        return formula

    return register


def find_method(name: str) -> Method:
    """The method registered under `name`.

    Raises:
        UsageError: there is none.
    """
    if name not in METHODS:
        known = ", ".join(METHODS)
        raise UsageError(f"unknown method '{name}'.{nearest(name, list(METHODS))} Methods: {known}.")
    return METHODS[name]


def positive(x: Tensor) -> Tensor:
    """`ReLU(x / max x)` per sample; zero where the maximum is not positive: no positive evidence."""
    maximum = x.flatten(1).amax(1).clamp(min=0).view(-1, *[1] * (x.dim() - 1))
    return (x.clamp(min=0) / maximum).where(maximum > 0, 0.0)


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
    weights = gradient.flatten(2).mean(2).view(*gradient.shape[:2], *[1] * (gradient.dim() - 2))
    return upsample(positive((weights * activation).sum(1)))

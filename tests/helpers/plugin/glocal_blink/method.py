"""A method that registers itself."""

from torch import Tensor

from glocal.attribution import method
from glocal.attribution.method import Upsample


@method("blink", title="Blink", paper="none")
def blink(activation: Tensor, gradient: Tensor, upsample: Upsample) -> Tensor:
    """Positive part of the activation, summed over the channels."""
    return upsample(activation.clamp(min=0).sum(1))

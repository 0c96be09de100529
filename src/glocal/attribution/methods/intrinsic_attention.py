"""A network's own attention as a method: ST-ABN."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from glocal.attribution.inputs.network_inputs import Inputs, copied
from glocal.attribution.inputs.state import unchanged_state
from glocal.attribution.method import input_method
from glocal.attribution.request import AttributionRequest
from glocal.errors import UsageError


class IntrinsicAttention(Protocol):
    """What a network with attention of its own returns for clips."""

    @property
    def logits(self) -> Tensor:
        """`(B, num_classes)`."""

    @property
    def spatial(self) -> Tensor:
        """Spatial attention `(B, 1, T, H, W)` in [0, 1]."""

    @property
    def temporal(self) -> Tensor:
        """Temporal attention `(B, 1, T, 1, 1)` in [0, 1]."""


@runtime_checkable
class IntrinsicAttentionNetwork(Protocol):
    """A network with spatial and temporal attention of its own."""

    def attend(self, clips: Inputs) -> IntrinsicAttention:
        """Return logits and attention of clips `(B, C, T, H, W)`."""


@input_method(
    "st-abn",
    title="The network's own attention",
    paper="Mitsuhara et al., section 3.1",
    cost="1 forward",
    needs="an ST-ABN",
)
def intrinsic_attention(request: AttributionRequest) -> Tensor:
    """`M_t · M_s` on the grid of the network's features: the same for every class."""
    network = request.network
    if not isinstance(network, IntrinsicAttentionNetwork):
        raise UsageError(
            "method 'st-abn' shows the attention that a network has by itself, and this one has none; "
            "use a network named st-abn/…, or another method."
        )
    if request.counterfactual:
        raise UsageError(
            "method 'st-abn' shows the same attention for every class, so nothing in it speaks against one; "
            "leave out counterfactual, or use another method."
        )
    with torch.no_grad(), unchanged_state(request.network):
        attention = network.attend(copied(request.clips))
    return (attention.temporal * attention.spatial)[:, 0]

"""The attention that a network has by itself, as a method."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from glocal.attribution.inputs.network_inputs import Inputs
from glocal.attribution.method import input_method
from glocal.attribution.request import Call
from glocal.errors import UsageError


class Attended(Protocol):
    """What an attending network says of clips: `logits` `(B, classes)`, `spatial` attention `(B, 1, T, H, W)`
    and `temporal` attention `(B, 1, T, 1, 1)`, both in [0, 1]."""

    @property
    def logits(self) -> Tensor: ...
    @property
    def spatial(self) -> Tensor: ...
    @property
    def temporal(self) -> Tensor: ...


@runtime_checkable
class Attending(Protocol):
    """A network that weighs space and time by itself, and tells how."""

    def attend(self, clips: Inputs) -> Attended:
        """Logits and attention of clips `(B, C, T, H, W)`."""


@input_method(
    "st-abn",
    title="The network's own attention",
    paper="Mitsuhara et al., section 3.1",
    cost="1 forward",
    needs="an ST-ABN",
)
def own_attention(call: Call) -> Tensor:
    """`M_t · M_s` on the grid of the network's features: the same for every class."""
    network = call.network
    if not isinstance(network, Attending):
        raise UsageError(
            "method 'st-abn' shows the attention that a network has by itself, and this one has none; "
            "use a network named st-abn/…, or another method."
        )
    if call.question.counterfactual:
        raise UsageError(
            "method 'st-abn' shows the same attention for every class, so nothing in it speaks against one; "
            "leave out counterfactual, or use another method."
        )
    with torch.no_grad():
        attended = network.attend(call.clips)
    return (attended.temporal * attended.spatial)[:, 0]

"""`attribute`: the methods driven over the layers of a network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution.aggregate import aggregate as combine
from glocal.attribution.aggregate import check_aggregate, upsampler
from glocal.attribution.layers import LayerNames, find_layers, unwrap
from glocal.attribution.methods import find_method, positive
from glocal.attribution.tape import Inputs, describe, record, tensors
from glocal.attribution.targets import Target, class_scores, target_classes
from glocal.errors import InputError, UsageError


@dataclass(frozen=True)
class Attribution:
    """Why a network gave a class its score, over the space and time of its input.

    Attributes:
        attention: float32 `(B, T, H, W)` in [0, 1], or `(B, H, W)` for images: `raw` divided by its
            maximum per sample, zero where there is no positive evidence.
        raw: the aggregate over the layers before that division.
        layers: layer name → that layer's map, same shape.
        logits: `(B, classes)`.
        target: `(B,)`, the class explained for each sample.
        others: with `target="topK"`, the explanations of the second to the K-th class.
    """

    attention: Tensor
    raw: Tensor
    layers: dict[str, Tensor]
    logits: Tensor
    target: Tensor
    others: tuple["Attribution", ...] = ()

    @property
    def classes(self) -> tuple["Attribution", ...]:
        """One explanation a class, best class first; the first is this one."""
        return (self, *self.others)


def attribute(
    network: nn.Module,
    clips: Inputs,
    layers: LayerNames | None = None,
    method: str = "3dcam",
    aggregate: str = "sum",
    target: Target = None,
    counterfactual: bool = False,
    *,
    score: str = "logit",
    output: Callable[[Any], Tensor] | None = None,
    size: tuple[int, ...] | None = None,
) -> Attribution:
    """Attention of `network` on `clips`, from several layers at once (paper A, eq. 1 to 7).

    One forward pass serves all layers and classes, one partial backward pass all layers of a class.
    The network may be in train mode; it comes back as it was.

    Args:
        network: returns logits `(B, classes)`; see `output` for others.
        clips: `(B, C, T, H, W)`, or `(B, C, H, W)` for images. A list is passed on as one argument, a
            tuple as several, a mapping as keyword arguments.
        layers: names or submodules; by default the output of every stage before pooling.
        method: a name in `glocal.attribution.METHODS`.
        aggregate: how the layers' maps are combined: `"sum"`, `"mean"` or `"max"`.
        target: class index, one index a sample, `"topK"`, or None for the arg-max class.
        counterfactual: negate the gradient (eq. 7): what speaks against the class.
        score: what is differentiated, `"logit"` or `"probability"`.
        output: takes the logits out of what the network returns.
        size: `(T, H, W)` or `(H, W)` of the attention; by default that of the largest input.

    Raises:
        UsageError: an argument is not among what is allowed; the message lists what is.
        InputError: the network's output cannot be used.
    """
    formula = find_method(method).formula
    check_aggregate(aggregate)
    network = unwrap(network)
    upsample = upsampler(size or _size(clips))

    def explain(
        activations: dict[str, Tensor], gradients: dict[str, Tensor], logits: Tensor, classes: Tensor
    ) -> Attribution:
        sign = -1 if counterfactual else 1
        maps = {n: formula(activations[n], sign * gradients[n], upsample).float() for n in activations}
        raw = combine(list(maps.values()), aggregate)
        if not raw.isfinite().all():
            raise InputError("the attention is not finite (NaN or infinity); run the network in float32.")
        return Attribution(positive(raw), raw, maps, logits, classes)

    with record(network, clips, find_layers(network, layers, clips), output) as tape:
        scores = class_scores(tape.logits.float(), score)
        columns = target_classes(tape.logits, target).unbind(1)
        results: list[Attribution] = []
        activations = {name: _float(a.detach()) for name, a in tape.activations.items()}
        for classes in columns:
            picked = scores.gather(1, classes[:, None]).sum()
            gradients = tape.gradients(picked, keep=classes is not columns[-1])
            with torch.no_grad(), torch.autocast(tape.logits.device.type, enabled=False):
                floats = {name: _float(g) for name, g in gradients.items()}
                results.append(explain(activations, floats, tape.logits.detach(), classes))
    first, *others = results
    return Attribution(first.attention, first.raw, first.layers, first.logits, first.target, tuple(others))


def _float(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _size(clips: Inputs) -> tuple[int, ...]:
    shapes = [tuple(t.shape) for t in tensors(clips) if isinstance(t, Tensor) and t.dim() in (4, 5)]
    if not shapes:
        raise UsageError(f"clips is {describe(clips)}; give (B, C, T, H, W), or (B, C, H, W) for images.")
    return max(shape[2:] for shape in shapes)

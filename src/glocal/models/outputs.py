"""Find out what a network's outputs are: logits, or probabilities after a softmax or sigmoid."""

import torch
from torch import Tensor, nn

from glocal.attribution.frozen_network import frozen
from glocal.attribution.inputs.network_inputs import call, to_network
from glocal.attribution.tape import find_logits
from glocal.errors import GlocalError, UsageError
from glocal.models.model import Outputs
from glocal.utils.resources import raise_if_lacking

OUTPUTS = ("logits", "softmax", "sigmoid")
SCALES = (0.0, 1.0, 100.0)
"""Factors of the noise on which a network is tried; logits leave [0, 1] for some, probabilities do not."""

RESHAPES = ("View", "Squeeze", "Unsqueeze", "Clone", "ToCopy", "Unsafe", "Alias", "Reshape", "Transpose")
"""Beginnings of the names of autograd's nodes that change no value."""


def find_outputs(
    network: nn.Module, example: Tensor | list[Tensor], num_classes: int, outputs: Outputs | None
) -> tuple[Outputs, bool]:
    """Return what makes probabilities of a network's outputs, and whether the network does so itself.

    Args:
        network: takes such clips as `example`.
        example: zeros in the shape of its input.
        num_classes: number of its outputs.
        outputs: as `as_model` takes it; None to find out.

    Raises:
        UsageError: `outputs` is unknown.
    """
    check_outputs(outputs)
    if callable(outputs):
        return outputs, False
    if outputs == "logits":
        return "logits", False
    tried, last = _try(network, example, num_classes)
    sums_to_one = tried.shape[1] > 1 and bool(
        (tried >= 0).all() and torch.allclose(tried.sum(1), torch.ones(()), atol=1e-3)
    )
    if outputs == "softmax" or (outputs is None and sums_to_one):
        return "softmax", sums_to_one
    if outputs == "sigmoid":
        return "sigmoid", last == "Sigmoid" or bool(((tried >= 0) & (tried <= 1)).all())
    if last == "Sigmoid" or tried.shape[1] == 1:
        return "sigmoid", last == "Sigmoid"
    return "logits", False


def check_outputs(outputs: Outputs | None) -> None:
    """Raise UsageError if `outputs` is unknown."""
    if outputs is not None and not callable(outputs) and outputs not in OUTPUTS:
        raise UsageError(f"outputs must be one of {', '.join(OUTPUTS)}, or a function, not {outputs!r}.")


def _try(network: nn.Module, example: Tensor | list[Tensor], num_classes: int) -> tuple[Tensor, str]:
    """Outputs `(N, num_classes)` of noise, and the name of the last function that the network applies."""
    clips = example if isinstance(example, list) else [example]
    generator = torch.Generator().manual_seed(0)
    rows: list[Tensor] = []
    last = ""
    for scale in SCALES:
        noise = [scale * torch.randn(clip.shape, generator=generator) for clip in clips]
        is_first = not rows
        try:
            with torch.set_grad_enabled(is_first), frozen(network):
                # Clones are no leaves, which a network could not change in place.
                noise = [clip.requires_grad_(is_first).clone() for clip in noise]
                inputs = noise if isinstance(example, list) else noise[0]
                row = find_logits(call(network, to_network(inputs, network)))
        except (GlocalError, RuntimeError, ValueError) as problem:
            raise_if_lacking(problem)
            continue
        last = last or _last_function(row)
        rows.append(row.detach().float().cpu())
    return torch.cat(rows or [torch.full((1, num_classes), -1.0)]), last


def _last_function(result: Tensor) -> str:
    """Name of the last differentiable function that is not a change of shape or type, such as `Sigmoid`."""
    node = result.grad_fn
    while node is not None and node.name().startswith(RESHAPES) and node.next_functions:
        node = node.next_functions[0][0]
    return node.name().partition("Backward")[0] if node is not None else ""

"""Scores of a class for changed clips."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from glocal.attribution.frozen_network import frozen
from glocal.attribution.inputs.network_inputs import call, copies_at_once, to_network
from glocal.attribution.tape import find_logits
from glocal.attribution.targets import Score, class_scores
from glocal.errors import UsageError

Output: TypeAlias = Callable[[Any], Tensor] | None
Item = TypeVar("Item")


def class_score(
    network: nn.Module, clips: Tensor, targets: Tensor, *, score: Score = "probability", output: Output = None
) -> Tensor:
    """`(B,)` float32 scores of the class indices `targets` `(B,)`; the network is not changed.

    Args:
        network: any module that returns logits.
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        targets: `(B,)`.
        score: `"probability"`, `"logit"`, or a function from outputs `(B, num_classes)` to scores.
        output: takes the logits out of what the network returns.
    """
    with torch.inference_mode(), frozen(network):
        logits = find_logits(call(network, to_network(clips, network)), output).float()
        target_scores = class_scores(logits, score).gather(1, targets.to(logits.device)[:, None])[:, 0]
    return target_scores.to(clips.device)


def batch_limit(network: nn.Module, clips: Tensor, batch: int) -> int:
    """How many clips run through the network at once: `batch`, or on a processor fewer if they are large.

    Args:
        network: whose device counts.
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        batch: at most.
    """
    device = next((parameter.device for parameter in network.parameters()), clips.device)
    return copies_at_once(clips[:1], batch, device)


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Split `items` into parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def check_maps(clips: Tensor, attributions: Tensor) -> None:
    """Raise UsageError unless `attributions` are `(B, T, H, W)` for `(B, C, T, H, W)`, or both without T."""
    if clips.dim() not in (4, 5) or attributions.shape != (len(clips), *clips.shape[2:]):
        raise UsageError(
            f"clips {tuple(clips.shape)} and attributions {tuple(attributions.shape)} do not fit; give "
            "(B, C, T, H, W) with (B, T, H, W), or (B, C, H, W) with (B, H, W)."
        )


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Reshape `(B,)` to `(B, 1, 1, …)`, with as many axes as `like`."""
    return values.view(-1, *[1] * (like.dim() - 1))

"""The score of a class, for many changed copies of clips."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from glocal.attribution.tape import call, find_logits, frozen, to_network
from glocal.attribution.targets import class_scores
from glocal.errors import UsageError

Output: TypeAlias = Callable[[Any], Tensor] | None
T = TypeVar("T")


def class_score(
    network: nn.Module, clips: Tensor, classes: Tensor, score: str = "probability", output: Output = None
) -> Tensor:
    """`(B,)` float32: the score of `classes` `(B,)`; the network stays as it is.

    Args:
        score: `"probability"` or `"logit"`.
        output: takes the logits out of what the network returns.
    """
    with torch.inference_mode(), frozen(network):
        logits = find_logits(call(network, to_network(clips, network)), output).float()
        picked = class_scores(logits, score).gather(1, classes.to(logits.device)[:, None])[:, 0]
    return picked.to(clips.device)


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def check_maps(clips: Tensor, attention: Tensor) -> None:
    """Raise UsageError unless `attention` is `(B, T, H, W)` for `(B, C, T, H, W)`, or the same without T."""
    if clips.dim() not in (4, 5) or attention.shape != (len(clips), *clips.shape[2:]):
        raise UsageError(
            f"clips {tuple(clips.shape)} and attention {tuple(attention.shape)} do not belong together; give "
            "(B, C, T, H, W) with (B, T, H, W), or (B, C, H, W) with (B, H, W)."
        )


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """`(B,)` as `(B, 1, 1, …)`, to be combined with `like`."""
    return values.view(-1, *[1] * (like.dim() - 1))

"""The score of a class for changed copies of clips, and what replaces removed evidence."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from glocal.attribution.inputs.network_inputs import call, to_network
from glocal.attribution.tape import find_logits, frozen
from glocal.attribution.targets import class_scores
from glocal.errors import UsageError, nearest

BLUR = 1 / 8
"""Standard deviation of the blur, as a share of each axis: 14 pixels of 112, 2 frames of 16."""


def mean_clip(clips: Tensor) -> Tensor:
    """Each channel's mean over the clip: no detail, no motion, the right brightness."""
    return clips.mean(tuple(range(2, clips.dim())), keepdim=True).expand_as(clips)


def blurred_clip(clips: Tensor) -> Tensor:
    """The clip after a Gaussian blur over space and time, without a border: colours stay where they are.

    A blurred input stays closer to what the network was trained on than a grey one (RISE, Petsiuk et al.,
    2018, section 4.2).
    """
    for axis in range(2, clips.dim()):
        place = torch.arange(clips.shape[axis], dtype=clips.dtype, device=clips.device)
        distance = (place[:, None] - place) / max(BLUR * len(place), 1e-6)
        weights = (-0.5 * distance**2).exp()
        weights = weights / weights.sum(1, keepdim=True)
        clips = (clips.transpose(axis, -1) @ weights.T).transpose(axis, -1)
    return clips.contiguous()


BASELINES: dict[str, Callable[[Tensor], Tensor]] = {"blur": blurred_clip, "mean": mean_clip}


def find_baseline(name: str) -> Callable[[Tensor], Tensor]:
    """From clips `(B, C, T, H, W)` or images `(B, C, H, W)` to as many without evidence.

    Raises:
        UsageError: there is no such baseline.
    """
    if name not in BASELINES:
        known = list(BASELINES)
        raise UsageError(f"unknown baseline '{name}'.{nearest(name, known)} Baselines: {', '.join(known)}.")
    return BASELINES[name]


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

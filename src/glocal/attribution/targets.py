"""Which classes to explain."""

import re
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from glocal.errors import UsageError

Target: TypeAlias = int | str | Sequence[int] | Tensor | None
"""None or `"top1"`: the arg-max class; `"topK"`: the K best; an index for all samples, one for each, or K for
each `(B, K)`."""


def target_classes(logits: Tensor, target: Target) -> Tensor:
    """Class indices `(B, k)` to explain, best first, of `logits` `(B, classes)`.

    Raises:
        UsageError: an index out of range, a wrong number of them, or a word other than `topK`.
    """
    batch, classes = logits.shape
    if target is None:
        target = "top1"
    if isinstance(target, str):
        return logits.topk(top_count(target, classes), dim=1).indices
    indices = torch.as_tensor(target, dtype=torch.long, device=logits.device)
    if indices.dim() == 0:
        indices = indices.expand(batch)
    if indices.dim() == 1:
        indices = indices[:, None]
    if indices.dim() != 2 or len(indices) != batch or indices.shape[1] == 0:
        raise UsageError(
            f"target has shape {tuple(torch.as_tensor(target).shape)}; give one class index, or one for each "
            f"of the {batch} samples."
        )
    for index in indices.flatten().tolist():
        check_index(index, classes)
    return indices


def top_count(target: str, classes: int) -> int:
    """K of `"topK"`."""
    match = re.fullmatch(r"top(\d+)", target)
    if not match:
        raise UsageError(f"target '{target}' is neither a class index nor 'topK' (top1, top3, …).")
    count = int(match[1])
    if not 1 <= count <= classes:
        raise UsageError(
            f"target '{target}' is out of range: the network has {classes} classes (top1 to top{classes})."
        )
    return count


def check_index(index: int, classes: int) -> int:
    """`index`, if it is a class."""
    if not 0 <= index < classes:
        raise UsageError(
            f"class index {index} is out of range: the network has {classes} classes (0 to {classes - 1})."
        )
    return index


def class_scores(logits: Tensor, score: str) -> Tensor:
    """What is differentiated: the logits themselves, or their softmax probabilities.

    Raises:
        UsageError: `score` is neither `"logit"` nor `"probability"`.
    """
    if score == "logit":
        return logits
    if score == "probability":
        return logits.softmax(1)
    raise UsageError(f"score '{score}' is neither 'logit' nor 'probability'.")

"""Find the classes to explain, and their scores."""

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from glocal.attribution.inputs.network_inputs import describe
from glocal.errors import UsageError, unknown

Target: TypeAlias = int | str | Sequence[int] | Tensor | None
"""None or `"top1"`: the arg-max class; `"topK"`: the K best; an index for all samples, one for each, or K for
each `(B, K)`."""

Score: TypeAlias = str | Callable[[Tensor], Tensor]
"""A name in `SCORES`, or a function from logits `(B, num_classes)` to scores of that shape."""

SCORES = ("logit", "centred", "probability")
"""Scores by name, see `class_scores`."""


def find_targets(logits: Tensor, target: Target) -> Tensor:
    """Class indices `(B, K)` to explain, best first, for `logits` `(B, num_classes)`.

    Raises:
        UsageError: an index out of range, a wrong number of them, or a word other than `topK`.
    """
    batch, num_classes = logits.shape
    if target is None:
        target = "top1"
    if isinstance(target, str):
        return logits.topk(top_count(target, num_classes), dim=1).indices
    indices = torch.as_tensor(target, device=logits.device)
    if indices.dtype == torch.bool or indices.is_floating_point() or indices.is_complex():
        raise UsageError(
            f"target has values of {str(indices.dtype).removeprefix('torch.')}; give class indices, which "
            "are whole numbers (for one-hot rows, rows.argmax(1))."
        )
    indices = indices.long()
    if indices.dim() == 0:
        indices = indices.expand(batch)
    if indices.dim() == 1:
        indices = indices[:, None]
    if indices.dim() != 2 or len(indices) != batch or indices.shape[1] == 0:
        raise UsageError(
            f"target has shape {tuple(torch.as_tensor(target).shape)}; give one class index, or one for each "
            f"of the {batch} samples."
        )
    ordered = indices.sort(dim=1).values
    one_hot = indices.shape[1] == num_classes and bool(
        (ordered[:, :-1] == 0).all() & (ordered[:, -1] == 1).all()
    )
    if one_hot and num_classes > 2:  # of two classes, (0, 1) and (1, 0) are both of them by index
        raise UsageError("target has one-hot rows; give class indices, rows.argmax(1).")
    for index in indices.flatten().tolist():
        check_index(index, num_classes)
    return indices


def top_count(target: str, num_classes: int) -> int:
    """K of `"topK"`.

    Raises:
        UsageError: another word, or K is not between 1 and `num_classes`.
    """
    match = re.fullmatch(r"top(\d+)", target)
    if not match:
        raise UsageError(f"target '{target}' is neither a class index nor 'topK' (top1, top3, …).")
    count = int(match[1])
    if not 1 <= count <= num_classes:
        raise UsageError(
            f"target '{target}' is out of range: the network has {num_classes} classes "
            f"(top1 to top{num_classes})."
        )
    return count


def check_index(index: int, num_classes: int) -> int:
    """Return `index`, if it is that of a class.

    Raises:
        UsageError: it is not.
    """
    if not 0 <= index < num_classes:
        raise UsageError(
            f"class index {index} is out of range: the network has {num_classes} classes "
            f"(0 to {num_classes - 1})."
        )
    return index


def class_scores(logits: Tensor, score: Score) -> Tensor:
    """The scores that are explained, of the same shape as the logits `(B, num_classes)`.

    Args:
        logits: of a network.
        score: `"logit"`; `"centred"`, the logit less the mean of all logits, which does not change where the
            same number is added to all of them; `"probability"`, the softmax; or a function of the logits.
            A single logit is compared with 0: its centred score is the logit, its probability the sigmoid.

    Raises:
        UsageError: `score` is another word, or returns something of another shape.
    """
    if callable(score):
        scores = score(logits)
        if not isinstance(scores, Tensor) or scores.shape != logits.shape:
            raise UsageError(
                f"the function score returns {describe(scores)}; it must return the scores of all classes, "
                f"{tuple(logits.shape)} as the logits."
            )
        return scores
    if score == "logit":
        return logits
    if score == "centred":
        return logits - logits.mean(1, keepdim=True) if logits.shape[1] > 1 else logits
    if score == "probability":
        return logits.softmax(1) if logits.shape[1] > 1 else logits.sigmoid()
    raise unknown("score", score, SCORES)

"""One method on one clip: what is measured, drawn and checked, each kept from before or computed."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from glocal.benchmark.cache import fingerprint
from glocal.benchmark.measures import Question, measure
from glocal.benchmark.samples import Subject
from glocal.evaluation.sanity import ExplainFunction, label_check, randomisation_check


class Keep(Protocol):
    """`get` of `glocal.papers.Cells`: the value of a key, kept from before or computed."""

    def __call__(self, key: Any, compute: Callable[[], Any]) -> Any: ...


Picture = Callable[[Subject, npt.NDArray[np.float32]], list[str]]
"""A clip and attention `(T, H, W)` → pictures of some frames, as addresses for a page."""


class One:
    """One method on one clip; its attention is computed only if something is not kept from before."""

    def __init__(self, question: Question, explain: ExplainFunction, key: dict[str, Any], keep: Keep) -> None:
        self.question, self.explain, self.key, self.keep = question, explain, key, keep
        self._attention: Tensor | None = None

    @property
    def attention(self) -> Tensor:
        if self._attention is None:
            q = self.question
            self._attention = self.explain(q.network, q.clip, q.classes).detach().to(q.clip.device)
        return self._attention

    def measures(self) -> dict[str, Any]:
        def compute() -> dict[str, Any]:
            return measure(self.question, self.explain, self.attention)

        value: dict[str, Any] = self.keep(self.key, compute)
        return {**value, "cells": np.asarray(value["cells"], np.uint16)}

    def pictures(self, draw: Picture) -> list[str]:
        value: list[str] = self.keep(
            {**self.key, "of": "pictures"}, lambda: draw(self.question.subject, frames_of(self.attention))
        )
        return value

    def sanity(self, draw: Picture) -> dict[str, Any]:
        def compute() -> dict[str, Any]:
            q = self.question
            alike, pictures = {}, {}
            for step in randomisation_check(q.network, q.clip, q.classes, self.explain):
                alike[step.part] = {name: float(values[0]) for name, values in step.similarities.items()}
                maps = frames_of(torch.from_numpy(step.attributions))
                pictures[step.part] = draw(q.subject, maps)[len(maps) > 1 and 2]
            return {"alike": alike, "pictures": pictures}

        value: dict[str, Any] = self.keep({**self.key, "of": "sanity"}, compute)
        return value

    def labels(self, other: nn.Module) -> dict[str, float]:
        def compute() -> dict[str, float]:
            q = self.question
            alike = label_check(q.network, other, q.clip, q.classes, self.explain)
            return {name: float(values[0]) for name, values in alike.items()}

        value: dict[str, float] = self.keep({**self.key, "of": f"labels {fingerprint(other)}"}, compute)
        return value


def frames_of(attention: Tensor) -> npt.NDArray[np.float32]:
    """`(1, T, H, W)` or `(1, H, W)` → `(T, H, W)`."""
    maps = attention[0].float().cpu().numpy()
    return maps if maps.ndim == 3 else maps[None]

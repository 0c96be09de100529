"""Windows that go through the network together, and its precision."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from glocal.attribution import METHODS, Attribution
from glocal.attribution.inputs.network_inputs import Inputs
from glocal.attribution.method import LayerMethod
from glocal.explanation.config import ExplainConfig
from glocal.explanation.intrinsic_attention import AttentionEditor
from glocal.video import Window

T = TypeVar("T")

MAX_BATCH = 32
"""Largest number of windows that are chosen to go through a network at once."""

MEMORY_SHARE = 0.6
"""Share of a GPU's free memory that a batch of windows may take."""


class BatchSize:
    """How many windows go through the network at once.

    With the default it is what fits into a GPU's memory, by what the first window takes, and 1 on a
    processor, which a single clip keeps busy. It is 1 for a network whose own attention is edited or recorded
    window by window, and for methods that make batches themselves.

    Args:
        configs: of the explanations of one video.
        editor: of its windows.
        device: of the network.
    """

    def __init__(
        self, configs: Sequence[ExplainConfig], editor: AttentionEditor, device: torch.device
    ) -> None:
        can_share = not editor.is_per_window and all(
            isinstance(METHODS[config.method], LayerMethod) for config in configs
        )
        self._size = configs[0].batch_size if can_share else 1
        self._device = device

    def __call__(self) -> int:
        """Return the number of windows of the next batch."""
        return self._size or 1

    def measured(self, run: Callable[[], T]) -> T:
        """Run one window, and choose the size by the memory that it takes if it is to be chosen."""
        if self._size is not None:
            return run()
        if self._device.type != "cuda":
            self._size = 1
            return run()
        before = torch.cuda.memory_allocated(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        result = run()
        taken = max(1, torch.cuda.max_memory_allocated(self._device) - before)
        free, _ = torch.cuda.mem_get_info(self._device)
        self._size = max(1, min(MAX_BATCH, int(MEMORY_SHARE * free / taken)))
        return result


def grouped(items: Iterable[T], size: Callable[[], int]) -> Iterator[list[T]]:
    """Yield lists of consecutive items, the next as long as `size()` says when it begins."""
    group: list[T] = []
    length = size()
    for item in items:
        group.append(item)
        if len(group) >= length:
            yield group
            group, length = [], size()
    if group:
        yield group


def stack_clips(windows: Sequence[Window]) -> Inputs:
    """Return the clips of windows as one batch `(B, C, T, H, W)`, or a list of one for each stream."""
    clips = [window.clip for window in windows]
    if len(clips) == 1:
        return clips[0]
    if isinstance(clips[0], Tensor):
        return torch.cat([clip for clip in clips if isinstance(clip, Tensor)])
    return [torch.cat(list(streams)) for streams in zip(*clips, strict=True)]


def sample_of(attribution: Attribution, index: int) -> Attribution:
    """Return the attribution of one sample of a batch, as a batch of one."""
    part = slice(index, index + 1)
    return replace(
        attribution,
        attention=attribution.attention[part],
        raw=attribution.raw[part],
        layers={name: maps[part] for name, maps in attribution.layers.items()},
        logits=attribution.logits[part],
        target=attribution.target[part],
        lower_ranked=tuple(sample_of(lower, index) for lower in attribution.lower_ranked),
    )


PRECISIONS: dict[str, torch.dtype | None] = {
    "float32": None,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
"""Name → type of the numbers that matrix products and convolutions are computed with."""


def in_precision(name: str, device: torch.device) -> AbstractContextManager[Any]:
    """Inside, networks compute in this precision, and in float32 where it is needed, by autocast."""
    kind = PRECISIONS[name]
    return nullcontext() if kind is None else torch.autocast(device.type, kind)

"""What a comparison will take, as forward passes, before it is made."""

import time
from dataclasses import dataclass

from glocal.benchmark.explained import PreparedSample
from glocal.evaluation.faithfulness.road import SHARES


@dataclass(frozen=True)
class ExpectedCost:
    """Forward passes that measuring one clip takes, without those of the methods themselves.

    Attributes:
        passes: of one clip, for all rows together.
        seconds: that one pass took.
    """

    passes: int
    seconds: float

    def sentence(self, clips: int, rows: int) -> str:
        """Say what `clips` clips will take, and what would take less."""
        clip_seconds = self.passes * self.seconds
        return (
            f"{rows} rows take some {self.passes} forward passes of {self.seconds:.2g} s for each clip, "
            f"{_duration(clip_seconds)}, or {_duration(clip_seconds * clips)} for {clips}, without those of "
            "the methods themselves; what is cached is not measured again. Fewer --clips, --methods or "
            "--steps, or --over space-time, take less"
        )


def expected_cost(prepared: PreparedSample, rows: int) -> ExpectedCost:
    """Count the passes of the measures of faithfulness, and time those that all rows share.

    Args:
        prepared: the first clip.
        rows: methods and controls.
    """
    begin = time.perf_counter()
    ends = prepared.ends
    seconds = (time.perf_counter() - begin) / len(ends)
    config = prepared.config
    units = config.over if prepared.clip.dim() == 5 else ("space",)
    sizes = {
        "space-time": prepared.clip[0, 0].numel(),
        "space": prepared.clip[0, 0].shape[-1] * prepared.clip.shape[-2],
        "time": prepared.clip.shape[2],
    }
    curves = sum(2 * (min(config.steps, sizes[unit]) - 1) for unit in units)
    average_drop, road = 1, 2 * len(SHARES)
    return ExpectedCost(rows * (curves + average_drop + road) + config.blocks + 1 + len(ends), seconds)


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.0f} h"

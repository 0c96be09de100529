"""What a comparison will take, as forward passes, before it is made."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from glocal.attribution.method import METHODS
from glocal.benchmark.explained import PreparedSample
from glocal.benchmark.explainers import Explainer
from glocal.evaluation.faithfulness.road import SHARES
from glocal.evaluation.sanity import ExplainFunction, weight_parts


@dataclass(frozen=True)
class ExpectedCost:
    """Forward passes that measuring one clip takes, without those of the methods themselves.

    Attributes:
        passes: of one clip, for all rows together.
        seconds: that one pass took.
        slow: methods of many passes.
        maps: that each of them makes of a clip, with those of the sanity check.
    """

    passes: int
    seconds: float
    slow: tuple[str, ...] = ()
    maps: int = 1

    def sentence(self, clips: int, rows: int) -> str:
        """Say what `clips` clips will take, and what would take less."""
        clip_seconds = self.passes * self.seconds
        number = f"each of their {self.maps} maps" if self.maps > 1 else "a map"
        slow = f", of which {', '.join(self.slow)} take up to thousands for {number}" if self.slow else ""
        return (
            f"{rows} rows take some {self.passes} forward passes of {self.seconds:.2g} s for each clip, "
            f"{_duration(clip_seconds)}, or {_duration(clip_seconds * clips)} for {clips}, without those of "
            f"the methods themselves{slow}; what is cached is not measured again. Fewer --clips, --methods "
            "or --steps, --sanity 0, or --over space-time, take less"
        )


def expected_cost(
    prepared: PreparedSample, rows: int, methods: Iterable[ExplainFunction], *, sanity: bool
) -> ExpectedCost:
    """Count the passes of the measures of faithfulness, and time those that all rows share.

    Args:
        prepared: the first clip.
        rows: methods and controls.
        methods: what is compared.
        sanity: whether each method explains the clip again for each part of the network that turns random.
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
    passes = rows * (curves + average_drop + road) + config.blocks + 1 + len(ends)
    names = {explainer.method for explainer in methods if isinstance(explainer, Explainer)}
    slow = tuple(sorted(name for name in names if METHODS[name].takes_many_passes))
    return ExpectedCost(passes, seconds, slow, 1 + (len(weight_parts(prepared.network)) if sanity else 0))


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.0f} h"

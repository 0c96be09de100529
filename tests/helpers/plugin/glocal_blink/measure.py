"""A measure that registers itself."""

from glocal.benchmark import ExplainedSample
from glocal.benchmark.measures import measure


@measure("spread", title="spread", section="shape", better="low", text="Share of the clip above a half.")
def spread(explained: ExplainedSample) -> float:
    """Share of the map above half of its maximum."""
    return float((explained.maps > 0.5).mean())

"""What a comparison of methods says, in one sentence that needs no table."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

CONTROL_NAMES = {
    "even": "an even map",
    "random": "noise",
    "centre": "a bump in the middle",
    "change": "the differences of frames",
}
"""Control → what it is, in plain words."""


def verdict(summary: Mapping[str, Any]) -> str:
    """Say whether a method beats the others, and whether any beats the maps that ignore the network.

    A method beats another by a measure if the 95 % interval of its lead, clip by clip, lies above 0.

    Args:
        summary: `clips`, `methods` and `measures` of `glocal.benchmark.summary.summarise`.
    """
    if len(summary["clips"]) < 2:
        return "One clip cannot tell methods apart: compare on five or more."
    clauses = [_between_methods(summary), _against_controls(summary)]
    text = "; ".join(clause for clause in clauses if clause)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _between_methods(summary: Mapping[str, Any]) -> str:
    leads = [measure for measure in summary["measures"].values() if "next" in measure]
    if not leads:
        return ""
    wins = Counter(measure["best"][0] for measure in leads if measure["next"]["low"] > 0)
    first, most = wins.most_common(1)[0] if wins else ("", 0)
    if most > len(leads) / 2:
        return f"{first} is the best method here, by {most} of {len(leads)} measures"
    if most > len(leads) / 4:
        return f"no method is the best throughout: {first} leads by {most} of {len(leads)} measures"
    return "no method beats the others here"


def _against_controls(summary: Mapping[str, Any]) -> str:
    rivals = [measure for measure in summary["measures"].values() if "control" in measure]
    if not rivals:
        return ""
    beaten = sum(measure["control"]["low"] > 0 for measure in rivals)
    if beaten == len(rivals):
        return "the best beats every map that ignores the network"
    if beaten:
        return (
            f"by {beaten} of {len(rivals)} measures only, the best beats every map that ignores the network"
        )
    strongest = Counter(measure["control"]["method"] for measure in rivals).most_common(1)[0][0]
    return f"none beats {CONTROL_NAMES.get(strongest, strongest)}"

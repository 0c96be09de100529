"""The columns of a comparison, and what each of them says."""

from dataclasses import dataclass

from glocal.evaluation.faithfulness import OVER


@dataclass(frozen=True)
class Measure:
    """A column of the comparison.

    Attributes:
        section: `faithfulness`, `localization`, `sanity` or `cost`.
        better: `"high"` or `"low"`.
        text: what it says, in a sentence.
        controls: whether a control is a rival here; what asks no network cannot be moved, for example.
    """

    name: str
    title: str
    section: str
    better: str
    text: str
    controls: bool = True


def _curves() -> list[Measure]:
    texts = {"space-time": "voxels", "space": "pixels in all frames", "time": "whole frames"}
    return [
        Measure(
            f"{kind}/{over}",
            f"{kind}, {over}",
            "faithfulness",
            better,
            f"Area under the class probability while {texts[over]} are {verb}, most attended first.",
        )
        for over in OVER
        for kind, better, verb in (
            ("insertion", "high", "brought back into an emptied clip"),
            ("deletion", "low", "taken out of the clip"),
        )
    ]


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in [
        *_curves(),
        Measure(
            "drop",
            "average drop",
            "faithfulness",
            "low",
            "Share of the probability that is lost when only the attended part is shown.",
        ),
        Measure(
            "increase",
            "increase",
            "faithfulness",
            "high",
            "Share of clips whose probability rises when only the attended part is shown.",
        ),
        Measure(
            "infidelity",
            "infidelity",
            "faithfulness",
            "low",
            "Share of the score changes caused by emptying random blocks that the attention in them does not "
            "foretell: 0 all foretold, 1 none.",
        ),
        Measure(
            "sensitivity",
            "sensitivity",
            "faithfulness",
            "low",
            "How far the attention moves, relative to its size, under noise of 2 % of the clip's range.",
            controls=False,
        ),
        Measure(
            "hit_max",
            "maximum in the box",
            "localization",
            "high",
            "Share of the frames with a true box in which the frame's maximum lies in it.",
        ),
        Measure(
            "iou",
            "IoU",
            "localization",
            "high",
            "Intersection over union of the true box and the box around what gets half of the frame's "
            "maximum or more; 0 without one.",
        ),
        Measure(
            "maxbox",
            "MaxBoxAcc",
            "localization",
            "high",
            "Share of the frames whose box has an IoU of 0.3, 0.5 and 0.7 (their mean), each at the "
            "threshold that is best for all clips together.",
        ),
        Measure(
            "hit_moment",
            "maximum in the moment",
            "localization",
            "high",
            "Share of clips whose most attended frame is one in which the action happens.",
        ),
        Measure(
            "lift_figure",
            "on the figure, ×",
            "localization",
            "high",
            "Attention on the acting figure, in multiples of what even attention puts there.",
        ),
        Measure(
            "lift_limbs", "on the acting limbs, ×", "localization", "high", "The same for the limbs that act."
        ),
        Measure(
            "lift_moment",
            "in the moment, ×",
            "localization",
            "high",
            "The same for the frames of the action.",
        ),
    ]
}
"""Name → measure, in the order of the columns."""

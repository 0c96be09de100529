"""Average drop and increase: the score when the clip shows only what the explanation highlights."""

from typing import NamedTuple

from torch import Tensor, nn

from glocal.evaluation.faithfulness.baselines import find_baseline
from glocal.evaluation.faithfulness.scoring import Output, check_maps, class_score


class Drop(NamedTuple):
    """Per clip; their means over a data set are the published measures.

    Attributes:
        drop: `(B,)` in [0, 1], the share of the score that is lost; low is good.
        increase: `(B,)`, 1 where the score rises, else 0; high is good.
    """

    drop: Tensor
    increase: Tensor


def average_drop(
    network: nn.Module,
    clips: Tensor,
    attention: Tensor,
    classes: Tensor,
    *,
    baseline: str = "blur",
    output: Output = None,
) -> Drop:
    """`max(0, Y − O) / Y`, and whether `O > Y`, for the probabilities Y of the clip and O of what is kept.

    Grad-CAM++ (Chattopadhyay et al., 2018, section 4.1), which multiplies the image by the explanation; here
    the rest is filled with `baseline` in place of black: `attention · clip + (1 − attention) · baseline`.

    Args:
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        attention: `(B, T, H, W)` or `(B, H, W)` in [0, 1].
        classes: `(B,)`.
        baseline: a name in `BASELINES`.
        output: takes the logits out of what the network returns.
    """
    check_maps(clips, attention)
    kept = find_baseline(baseline)(clips).lerp(clips, attention.unsqueeze(1).to(clips.dtype))
    whole = class_score(network, clips, classes, output=output)
    masked = class_score(network, kept, classes, output=output)
    return Drop(((whole - masked) / whole.clamp(min=1e-12)).clamp(min=0), (masked > whole).float())

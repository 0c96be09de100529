"""Export of tubes for MOTChallenge: a text file for each video, a line for each box of a track."""

from collections.abc import Sequence

from glocal.localization.exports import EXPORTS
from glocal.localization.localization import Localization


@EXPORTS.register("mot")
def mot(localizations: Sequence[Localization]) -> dict[str, str]:
    """`<name>.mot.txt` for each video, in the format of MOTChallenge (Leal-Taixé et al., 2015).

    A line is `frame, track, left, top, width, height, confidence, -1, -1, -1`. Frames, tracks and pixels
    count from 1. The format has no classes: the tracks of the best class come first.
    """
    return {f"{localization.name}.mot.txt": mot_text(localization) for localization in localizations}


def mot_text(localization: Localization) -> str:
    """The tubes of one video, in the order of frames."""
    tubes = [tube for part in localization.per_class for tube in part.tubes]
    rows = [
        (tube.start + offset + 1, number, box)
        for number, tube in enumerate(tubes, 1)
        for offset, box in enumerate(tube.boxes)
    ]
    return "".join(
        f"{frame},{number},{x0 + 1},{y0 + 1},{x1 - x0},{y1 - y0},{score:.6f},-1,-1,-1\n"
        for frame, number, (x0, y0, x1, y1, score) in sorted(rows)
    )

"""How attribution maps are drawn over frames: colormap, opacity, boxes."""

from collections.abc import Mapping
from dataclasses import dataclass

from glocal.errors import UsageError, unknown

COLORMAPS: tuple[str, ...] = ("inferno", "magma", "plasma", "viridis", "cividis")
"""Names of perceptually uniform colormaps."""


SCALES: Mapping[str, float] = {"video": 1.0, "soft": 0.25, "frame": 0.0}
"""Scale of the colours → the power of a frame's maximum that its highest colour stands for.

With `video` all frames share one scale, with `frame` each has its own; `soft` lies between: a weak frame is
drawn brighter than it is, and still darker than a strong one.
"""


def check_colormap(name: str) -> None:
    """Raise UsageError unless a colormap is known."""
    if name not in COLORMAPS:
        raise unknown("colormap", name, COLORMAPS)


@dataclass(frozen=True)
class OverlayStyle:
    """How an attribution map is drawn over a frame.

    Attributes:
        strength: opacity in [0, 1] where the attribution is 1.
        colormap: a name in `COLORMAPS`.
        threshold: box threshold (see `glocal.localization.boxes`); None draws no boxes.
        side_by_side: show the plain frame on the left of the overlay.
        scale: of the colours of a frame beside those of the video, a name in `SCALES`.

    Raises:
        UsageError: a value is out of range, or the colormap or the scale is unknown.
    """

    strength: float = 0.75
    colormap: str = "inferno"
    threshold: float | None = 0.5
    side_by_side: bool = False
    scale: str = "soft"

    def __post_init__(self) -> None:
        check_colormap(self.colormap)
        if self.scale not in SCALES:
            raise unknown("scale", self.scale, list(SCALES))
        if not 0 <= self.strength <= 1:
            raise UsageError(f"overlay strength {self.strength} is out of range; choose one in [0, 1].")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise UsageError(f"box threshold {self.threshold} is out of range; choose one in (0, 1].")


DEFAULT_STYLE: OverlayStyle = OverlayStyle()

"""How attribution maps are drawn over frames: colormap, opacity, boxes."""

from dataclasses import dataclass

from glocal.errors import UsageError, unknown

COLORMAPS: tuple[str, ...] = ("inferno", "magma", "plasma", "viridis", "cividis")
"""Names of perceptually uniform colormaps."""


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

    Raises:
        UsageError: a value is out of range, or the colormap is unknown.
    """

    strength: float = 0.75
    colormap: str = "inferno"
    threshold: float | None = 0.5
    side_by_side: bool = False

    def __post_init__(self) -> None:
        check_colormap(self.colormap)
        if not 0 <= self.strength <= 1:
            raise UsageError(f"overlay strength {self.strength} is out of range; choose one in [0, 1].")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise UsageError(f"box threshold {self.threshold} is out of range; choose one in (0, 1].")


DEFAULT_STYLE: OverlayStyle = OverlayStyle()

"""Exports of boxes, tubes and segments to the formats of annotation and evaluation tools."""

from collections.abc import Callable, Sequence

from glocal.localization.localization import Localization
from glocal.registry import Registry

Export = Callable[[Sequence[Localization]], dict[str, str]]
"""Localizations → name and text of each file."""

EXPORTS = Registry[Export]("export", package="glocal.localization.exports", entry_points="glocal.exports")
"""Name → export."""

__all__ = ["EXPORTS", "Export"]

"""Exports of boxes, tubes and segments to the formats of annotation and evaluation tools."""

from collections.abc import Callable, Sequence

from glocal.localization.found import Localized
from glocal.registry import Registry

Export = Callable[[Sequence[Localized]], dict[str, str]]
"""Localized videos → name and text of each file."""

EXPORTS = Registry[Export]("export", package="glocal.localization.exports", entry_points="glocal.exports")
"""Name → export."""

__all__ = ["EXPORTS", "Export"]

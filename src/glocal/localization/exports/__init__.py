"""What was localized, in the forms that annotation and evaluation tools read."""

from collections.abc import Callable, Sequence

from glocal.localization.exports.activitynet import activitynet
from glocal.localization.exports.coco import coco
from glocal.localization.exports.cvat import cvat
from glocal.localization.found import Localized

EXPORTS: dict[str, Callable[[Sequence[Localized]], dict[str, str]]] = {
    "coco": coco,
    "cvat": cvat,
    "activitynet": activitynet,
}
"""Name → function: localized videos in, file name → text out."""

__all__ = ["EXPORTS", "activitynet", "coco", "cvat"]

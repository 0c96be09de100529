"""Localize in space and time: boxes, tubes and segments from attribution maps."""

from glocal.localization.boxes import auto_threshold, boxes, iou, overlaps
from glocal.localization.localization import (
    ClassLocalization,
    Localization,
    explained_video,
    localize,
    refine_explanation,
)
from glocal.localization.refinements import REFINEMENTS, refine
from glocal.localization.segments import segments
from glocal.localization.selection import select
from glocal.localization.tubes import tubes
from glocal.types import ScoredBox, Segment, Threshold, Tube

__all__ = [
    "REFINEMENTS",
    "ClassLocalization",
    "Localization",
    "ScoredBox",
    "Segment",
    "Threshold",
    "Tube",
    "auto_threshold",
    "boxes",
    "explained_video",
    "iou",
    "localize",
    "overlaps",
    "refine",
    "refine_explanation",
    "segments",
    "select",
    "tubes",
]

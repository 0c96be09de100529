"""Localize in space and time: boxes, tubes and segments from attribution maps."""

from glocal.localization.localization import (
    ClassLocalization,
    Localization,
    explained_video,
    localize,
    refine_explanation,
)
from glocal.localization.refinements import REFINEMENTS, refine
from glocal.localization.selection import select
from glocal.regions.boxes import auto_threshold, boxes, iou, overlaps
from glocal.regions.segments import segments
from glocal.regions.tubes import tubes
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

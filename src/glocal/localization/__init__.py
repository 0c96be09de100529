"""Localize in space and time: boxes, tubes and segments from attribution maps."""

from glocal.localization.boxes import ScoredBox, Threshold, auto_threshold, boxes, iou, overlaps
from glocal.localization.refinements import REFINEMENTS, refine
from glocal.localization.segments import Segment, segments
from glocal.localization.tubes import Tube, tubes

__all__ = [
    "REFINEMENTS",
    "ScoredBox",
    "Segment",
    "Threshold",
    "Tube",
    "auto_threshold",
    "boxes",
    "iou",
    "overlaps",
    "refine",
    "segments",
    "tubes",
]

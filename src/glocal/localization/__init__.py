"""Where and when: boxes from attention volumes. Knows arrays, nothing else."""

from glocal.localization.boxes import Box, boxes, iou

__all__ = ["Box", "boxes", "iou"]

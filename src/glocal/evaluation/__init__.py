"""Measures: each is updated item by item, merged over processes, and computed; see `Metric`."""

from glocal.evaluation.accuracy import Accuracy
from glocal.evaluation.box_accuracy import (
    BoxAccuracy,
    BoxAndClassAccuracy,
    MaxBoxAcc,
    MaxBoxAccV2,
    inclusive_boxes,
)
from glocal.evaluation.frame_labels import FrameLabelMAP
from glocal.evaluation.mean_average_precision import FrameMAP, TemporalMAP, VideoMAP
from glocal.evaluation.metric import Metric
from glocal.evaluation.pointing import HitPoint, PointingGame
from glocal.evaluation.statistics import AUROC

__all__ = [
    "AUROC",
    "Accuracy",
    "BoxAccuracy",
    "BoxAndClassAccuracy",
    "FrameLabelMAP",
    "FrameMAP",
    "HitPoint",
    "MaxBoxAcc",
    "MaxBoxAccV2",
    "Metric",
    "PointingGame",
    "TemporalMAP",
    "VideoMAP",
    "inclusive_boxes",
]

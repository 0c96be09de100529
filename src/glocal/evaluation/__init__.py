"""How well a model does: measures that are updated bit by bit, and merged over processes."""

from glocal.evaluation.accuracy import Accuracy
from glocal.evaluation.box_accuracy import Acc, Acc2, HitAny, HitMax
from glocal.evaluation.max_box_accuracy import MaxBoxAcc, MaxBoxAccV2
from glocal.evaluation.mean_average_precision import FrameMAP, TemporalMAP, VideoMAP
from glocal.evaluation.statistics import AUROC

__all__ = [
    "AUROC",
    "Acc",
    "Acc2",
    "Accuracy",
    "FrameMAP",
    "HitAny",
    "HitMax",
    "MaxBoxAcc",
    "MaxBoxAccV2",
    "TemporalMAP",
    "VideoMAP",
]

"""How well a model does: measures that are updated bit by bit, and merged over processes."""

from glocal.evaluation.accuracy import Accuracy
from glocal.evaluation.auroc import AUROC
from glocal.evaluation.boxaccuracy import Acc, Acc2
from glocal.evaluation.hits import HitAny, HitMax
from glocal.evaluation.maxbox import MaxBoxAcc, MaxBoxAccV2
from glocal.evaluation.meanap import FrameMAP, TemporalMAP, VideoMAP

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

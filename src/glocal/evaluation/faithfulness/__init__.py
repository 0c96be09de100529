"""Faithfulness: do attributions reflect what the network computes? For any module, clips and attributions."""

from glocal.attribution.baselines import BASELINES
from glocal.evaluation.faithfulness.infidelity import BlockDrops, block_drops, infidelity, sensitivity_max
from glocal.evaluation.faithfulness.removal import (
    REMOVAL_UNITS,
    AverageDrop,
    EndScores,
    RemovalCurve,
    average_drop,
    deletion,
    end_scores,
    insertion,
)
from glocal.evaluation.faithfulness.road import RoadScores, impute, road
from glocal.evaluation.faithfulness.scoring import class_score

__all__ = [
    "BASELINES",
    "REMOVAL_UNITS",
    "AverageDrop",
    "BlockDrops",
    "EndScores",
    "RemovalCurve",
    "RoadScores",
    "average_drop",
    "block_drops",
    "class_score",
    "deletion",
    "end_scores",
    "impute",
    "infidelity",
    "insertion",
    "road",
    "sensitivity_max",
]

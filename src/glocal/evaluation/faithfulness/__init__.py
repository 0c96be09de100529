"""Faithfulness: do explanations tell what the network does? For any module, clips and attention."""

from glocal.evaluation.faithfulness.baselines import BASELINES
from glocal.evaluation.faithfulness.curves import OVER, Curve, deletion, insertion
from glocal.evaluation.faithfulness.drop import Drop, average_drop
from glocal.evaluation.faithfulness.infidelity import Blocks, block_drops, infidelity
from glocal.evaluation.faithfulness.pointing import energy, hit, lift, point_at
from glocal.evaluation.faithfulness.scoring import class_score
from glocal.evaluation.faithfulness.sensitivity import sensitivity_max

__all__ = [
    "BASELINES",
    "OVER",
    "Blocks",
    "Curve",
    "Drop",
    "average_drop",
    "block_drops",
    "class_score",
    "deletion",
    "energy",
    "hit",
    "infidelity",
    "insertion",
    "lift",
    "point_at",
    "sensitivity_max",
]

"""Faithfulness: do explanations tell what the network does? For any module, clips and attention."""

from glocal.evaluation.faithfulness.infidelity import Blocks, block_drops, infidelity, sensitivity_max
from glocal.evaluation.faithfulness.pointing import energy, hit, lift, point_at
from glocal.evaluation.faithfulness.removal import OVER, Curve, Drop, average_drop, deletion, insertion
from glocal.evaluation.faithfulness.scoring import BASELINES, class_score

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

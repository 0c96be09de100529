"""Claims of the 3DCAM paper, as experiments on puppets and on real clips."""

from glocal.papers.claims import discriminative, early_late, invariance, order, sensitivity, side_by_side

__all__ = ["discriminative", "early_late", "invariance", "order", "sensitivity", "side_by_side"]

"""Claims of the 3DCAM paper, as experiments on puppets."""

from glocal.papers.claims import discriminative, early_late, invariance, order, sensitivity

__all__ = ["discriminative", "early_late", "invariance", "order", "sensitivity"]

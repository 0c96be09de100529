"""Claims that the 3DCAM paper makes in words and pictures, as experiments on puppets."""

from glocal.papers.claims import discriminative, early_late, order, sensitivity

__all__ = ["discriminative", "early_late", "order", "sensitivity"]

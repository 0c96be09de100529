"""Sanity checks for explanations (Adebayo et al., 2018)."""

from glocal.evaluation.sanity.checks import (
    Explain,
    Step,
    label_check,
    likeness,
    randomisation_check,
    survives,
)
from glocal.evaluation.sanity.randomise import randomised, weight_parts
from glocal.evaluation.sanity.similarity import hog_correlation, similarity, ssim

__all__ = [
    "Explain",
    "Step",
    "hog_correlation",
    "label_check",
    "likeness",
    "randomisation_check",
    "randomised",
    "similarity",
    "ssim",
    "survives",
    "weight_parts",
]

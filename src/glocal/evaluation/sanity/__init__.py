"""Sanity checks for explanations (Adebayo et al., 2018)."""

from glocal.evaluation.sanity.checks import (
    ExplainFunction,
    RandomisationStep,
    label_check,
    randomisation_check,
    similarities,
    survives_randomisation,
)
from glocal.evaluation.sanity.randomise import randomised, weight_parts
from glocal.evaluation.sanity.similarity import hog_correlation, similarity, ssim

__all__ = [
    "ExplainFunction",
    "RandomisationStep",
    "hog_correlation",
    "label_check",
    "randomisation_check",
    "randomised",
    "similarities",
    "similarity",
    "ssim",
    "survives_randomisation",
    "weight_parts",
]

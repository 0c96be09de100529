"""Why: from activations and gradients to an attention volume. Knows tensors and modules, nothing else."""

from glocal.attribution.aggregate import AGGREGATES
from glocal.attribution.engine import Attribution, attribute
from glocal.attribution.layers import Layer, explainable_layers
from glocal.attribution.methods import METHODS, Method, method

__all__ = [
    "AGGREGATES",
    "METHODS",
    "Attribution",
    "Layer",
    "Method",
    "attribute",
    "explainable_layers",
    "method",
]

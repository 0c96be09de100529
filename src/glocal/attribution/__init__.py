"""Why: from activations and gradients to an attention volume. Knows tensors and modules, nothing else."""

from .aggregate import AGGREGATES
from .engine import Attribution, attribute
from .layers import Layer, explainable_layers
from .methods import METHODS, Method, method

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

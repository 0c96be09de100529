"""Why: from activations and gradients to an attention volume. Knows tensors and modules, nothing else."""

from glocal.attribution.aggregation import AGGREGATES
from glocal.attribution.core import Attribution, attribute
from glocal.attribution.inputs.token_grid import TokenGrid
from glocal.attribution.layers import Layer, explainable_layers
from glocal.attribution.method import METHODS, Method, input_method, method
from glocal.attribution.methods.intrinsic_attention import Attended, Attending
from glocal.attribution.request import Call

__all__ = [
    "AGGREGATES",
    "METHODS",
    "Attended",
    "Attending",
    "Attribution",
    "Call",
    "Layer",
    "Method",
    "TokenGrid",
    "attribute",
    "explainable_layers",
    "input_method",
    "method",
]

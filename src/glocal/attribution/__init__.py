"""Why: from activations and gradients to an attention volume. Knows tensors and modules, nothing else."""

from glocal.attribution.methods import METHODS, Method, method

# isort: split
from glocal.attribution import activation, excitation, guided, perturbation, pixel, rollout  # noqa: F401 (they register)
from glocal.attribution.aggregate import AGGREGATES
from glocal.attribution.attending import Attended, Attending
from glocal.attribution.call import Call
from glocal.attribution.engine import Attribution, attribute
from glocal.attribution.folding import TokenGrid
from glocal.attribution.layers import Layer, explainable_layers
from glocal.attribution.registry import input_method

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

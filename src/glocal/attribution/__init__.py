"""Attribution: why a network gives a class its score. Knows tensors and modules, nothing else."""

from glocal.attribution.aggregation import AGGREGATES
from glocal.attribution.core import Attribution, attribute
from glocal.attribution.inputs.token_grid import TokenGrid
from glocal.attribution.layers import Layer, explainable_layers
from glocal.attribution.locking import exclusive
from glocal.attribution.method import METHODS, Method, input_method, method
from glocal.attribution.methods.intrinsic_attention import IntrinsicAttention, IntrinsicAttentionNetwork
from glocal.attribution.request import AttributionRequest

__all__ = [
    "AGGREGATES",
    "METHODS",
    "Attribution",
    "AttributionRequest",
    "IntrinsicAttention",
    "IntrinsicAttentionNetwork",
    "Layer",
    "Method",
    "TokenGrid",
    "attribute",
    "exclusive",
    "explainable_layers",
    "input_method",
    "method",
]

"""Claim: attribution depends on the function, not on how it is implemented (paper A, section 3.4.1)."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from glocal.attribution.inputs.network_inputs import to_network
from glocal.benchmark.explainers import parse_explainers
from glocal.benchmark.samples import Footage
from glocal.benchmark.tables import Table
from glocal.evaluation.sanity import ExplainFunction
from glocal.evaluation.statistics import spearman
from glocal.models import Model
from glocal.papers.claims.experiment import (
    DATA,
    DEFAULT_METHODS,
    REAL_DATA,
    MethodsExperiment,
    attribution_map,
    claim_table,
)
from glocal.papers.table import TableContext, paper_table
from glocal.types import AttributionMap

COLUMNS = {
    "rescaled": "rank correlation with the map from the network whose layers' channels are scaled at random, "
    "and scaled back behind the layer; 1 for a method that depends on the function alone",
    "rescaled moved": "share of the attribution that is elsewhere then",
    "shifted": "the same correlation, where all logits are shifted alike, which changes no probability",
    "shifted moved": "share of the attribution that is elsewhere then",
}
SPREAD = 0.5
"""Standard deviation of the logarithm of a channel's scale."""
SEED = 0


@paper_table(
    "claims/invariance",
    "Two implementations of one function: is the attribution the same? (3DCAM, section 3.4.1)",
    DATA | REAL_DATA,
    options={"methods": DEFAULT_METHODS},
)
def table_of_implementations(context: TableContext) -> Table:
    """The best class of every clip is explained in the network and in two that compute the same."""
    experiment = MethodsExperiment(context)
    methods = experiment.explainers()
    others = {"rescaled": rescale_channels(experiment.model), "shifted": shift_logits(experiment.model)}
    explainers = {
        name: parse_explainers(experiment.names, dict(other.layer_paths)) for name, other in others.items()
    }
    results = experiment.measure(
        "invariance",
        "mixed",
        lambda sample, method: compare_implementations(
            experiment.model,
            sample.load(),
            methods[method],
            {name: (other, explainers[name][method].of(other)) for name, other in others.items()},
        ),
    )
    return claim_table(results.values, COLUMNS, "rescaled", notes=results.notes, sources=experiment.sources)


def compare_implementations(
    model: Model, footage: Footage, explain: ExplainFunction, others: dict[str, tuple[Model, ExplainFunction]]
) -> dict[str, float]:
    """`COLUMNS` for a clip, explained for its best class; NaN where a map is empty.

    Args:
        model: the network.
        footage: the clip.
        explain: the method on the network.
        others: "rescaled" and "shifted" → a network of the same function, and the method on it.
    """
    clip = to_network(footage.network_input, model.network)
    assert isinstance(clip, Tensor), "a tensor is moved to a tensor"
    best = int(model.logits(clip)[0].argmax())
    attribution = attribution_map(model.network, clip, explain, best)
    figures: dict[str, float] = {}
    for name, (other, explain_other) in others.items():
        other_map = attribution_map(other.network, clip, explain_other, best)
        figures[name] = spearman(attribution, other_map)
        figures[f"{name} moved"] = moved(attribution, other_map)
    return figures


def moved(before: AttributionMap, after: AttributionMap) -> float:
    """Half the summed differences of two maps, each divided by its sum, in [0, 1]; NaN for an empty one."""
    shares = [np.abs(attribution, dtype=np.float64) for attribution in (before, after)]
    totals = [float(share.sum()) for share in shares]
    if min(totals) <= 0:
        return float("nan")
    return float(np.abs(shares[0] / totals[0] - shares[1] / totals[1]).sum()) / 2


class ChannelScale(nn.Module):
    """Multiply each channel of an activation `(B, C, …)` by a factor.

    Args:
        seed: of the factors, which are positive.
        inverse: divide instead.
    """

    seed: int
    inverse: bool

    def __init__(self, seed: int, *, inverse: bool = False) -> None:
        super().__init__()
        self.seed, self.inverse = seed, inverse

    def forward(self, activation: Tensor) -> Tensor:
        """Scale, or scale back."""
        generator = torch.Generator().manual_seed(self.seed)
        factors = torch.exp(SPREAD * torch.randn(activation.shape[1], generator=generator))
        factors = factors.to(activation)[(None, slice(None)) + (None,) * (activation.dim() - 2)]
        return activation / factors if self.inverse else activation * factors


def rescale_channels(model: Model) -> Model:
    """Return a model of the same function, in whose explained layers the channels have other scales.

    Behind each layer they are scaled back. The channels of a ReLU network have no scale of their own: the
    same can be done to the weights before and behind any of its activations.
    """
    network = deepcopy(model.network)
    for number, path in enumerate(model.layer_paths.values()):
        scale, back = ChannelScale(SEED + number), ChannelScale(SEED + number, inverse=True)
        network.set_submodule(path, nn.Sequential(network.get_submodule(path), scale, back))
    paths = {name: f"{path}.1" for name, path in model.layer_paths.items()}
    return replace(model, network=network.eval(), layer_paths=paths)


class ShiftedLogits(nn.Module):
    """A network whose logits `(B, num_classes)` have a mean of zero, which changes no probability."""

    network: nn.Module

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        """Subtract the mean of a clip's logits from them."""
        logits: Tensor = self.network(clips)
        return logits - logits.mean(1, keepdim=True)


def shift_logits(model: Model) -> Model:
    """Return a model with the same probabilities, whose logits are shifted, see `ShiftedLogits`."""
    paths = {name: f"network.{path}" for name, path in model.layer_paths.items()}
    return replace(model, network=ShiftedLogits(model.network).eval(), layer_paths=paths)

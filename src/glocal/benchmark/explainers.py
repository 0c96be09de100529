"""What is compared: methods on sets of layers, and controls that ignore the network."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution import AGGREGATES, attribute, exclusive
from glocal.attribution.method import METHODS
from glocal.attribution.targets import SCORES, Score
from glocal.errors import unknown
from glocal.evaluation.sanity import ExplainFunction
from glocal.localization import REFINEMENTS
from glocal.models import Model
from glocal.utils.random_state import fixed_seed


@dataclass(frozen=True)
class Explainer:
    """A method on a set of layers, combined by an aggregate, optionally refined with the video.

    It is called with a network, clips `(B, C, T, H, W)` and classes `(B,)`, and returns attribution maps
    `(B, T, H, W)` in [0, 1]; images alike. It works on any copy of the network.

    Attributes:
        method: name of an attribution method.
        layers: name → path of the module, from the stem up.
        aggregate: how the maps of several layers are combined.
        refinements: names, applied in turn by those who have the frames; a call leaves them out.
        options: of the method.
        counterfactual: explain what speaks against the class.
        score: of the class, a name in `SCORES`.
    """

    method: str
    layers: Mapping[str, str] = field(hash=False)
    aggregate: str = "sum"
    refinements: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    counterfactual: bool = False
    score: str = "logit"

    @property
    def method_and_score(self) -> str:
        """The method, with the score where it is not the logit, such as `3dcam:centred`."""
        return self.method if self.score == "logit" else f"{self.method}:{self.score}"

    @property
    def name(self) -> str:
        """All of it as one word, such as `3dcam sum conv+layer1`."""
        how = self.aggregate if len(self.layers) > 1 else "one"
        return " ".join([self.method_and_score, how, "+".join(self.layers), *self.refinements])

    def __call__(
        self, network: nn.Module, clips: Tensor, classes: Tensor, *, probabilities: Score = "probability"
    ) -> Tensor:
        """Attribution maps `(B, T, H, W)`; random numbers are the same in every call.

        Args:
            network: any copy.
            clips: `(B, C, T, H, W)`.
            classes: `(B,)`.
            probabilities: of the network's outputs, which the score `probability` takes; see `of`.
        """
        with exclusive(network), fixed_seed(0, [clips.device]):
            return attribute(
                network,
                clips,
                list(self.layers.values()),
                method=self.method,
                aggregate=self.aggregate,
                target=classes,
                counterfactual=self.counterfactual,
                options=self.options,
                score=probabilities if self.score == "probability" else self.score,
            ).attention

    def of(self, model: Model) -> ExplainFunction:
        """The explainer with the probabilities of a model, whose network may end in a softmax or sigmoid."""
        return partial(self, probabilities=model.probabilities)


OTHER_SCORES = ("3dcam:centred", "3dcam-active:centred")
"""Explainers that are compared with all methods, and explain another score than the logit."""


def parse_explainers(
    names: Sequence[str],
    layers: Mapping[str, str],
    *,
    aggregate: str = "sum",
    options: Mapping[str, Mapping[str, Any]] | None = None,
    counterfactual: bool = False,
) -> dict[str, Explainer]:
    """Name → explainer.

    Args:
        names: of methods, each optionally with its score, as in `3dcam:centred`, with its layers, as in
            `gradcam@layer4` or `3dcam:centred@conv+layer1`, and with its aggregate, as in `layercam/auto`;
            empty for all methods on all layers, and for 3DCAM of the centred score.
        layers: name → path of the module, so that copies of the network can be explained too.
        aggregate: how the maps of several layers are combined, where a name does not say it.
        options: method → its options.
        counterfactual: explain what speaks against the class.

    Raises:
        UsageError: no such method, score, layer, aggregate or option.
    """
    for method in options or {}:
        METHODS.check(method)
    explainers = {}
    for name in names or (*METHODS, *OTHER_SCORES):
        method_and_layers, _, own_aggregate = name.partition("/")
        AGGREGATES.check(own_aggregate or aggregate)
        method_and_score, _, chosen = method_and_layers.partition("@")
        method, _, score = method_and_score.partition(":")
        if score and score not in SCORES:
            raise unknown("score", score, SCORES)
        paths = {layer: _path(layer, layers) for layer in chosen.split("+")} if chosen else dict(layers)
        method_options = (options or {}).get(method, {})
        METHODS[method].resolve_options(method_options)
        explainers[name] = Explainer(
            method, paths, own_aggregate or aggregate, (), method_options, counterfactual, score or "logit"
        )
    return explainers


def with_refinements(explainers: Mapping[str, Explainer], names: Sequence[str]) -> dict[str, Explainer]:
    """Title → explainer, and the same refined.

    Raises:
        UsageError: a refinement is unknown.
    """
    REFINEMENTS.check(*names)
    if not names:
        return dict(explainers)
    rows = {}
    for title, explainer in explainers.items():
        rows[title] = explainer
        rows[" + ".join([title, *names])] = replace(explainer, refinements=tuple(names))
    return rows


def _path(layer: str, layers: Mapping[str, str]) -> str:
    if layer not in layers:
        raise unknown("layer", layer, list(layers))
    return layers[layer]


def _even(network: nn.Module, clips: Tensor, classes: Tensor) -> Tensor:
    return torch.ones(len(clips), *clips.shape[2:])


def _random(network: nn.Module, clips: Tensor, classes: Tensor) -> Tensor:
    seeds = [zlib.crc32(clip.cpu().numpy().tobytes()) for clip in clips]
    shape = tuple(clips.shape[2:])
    return torch.stack([torch.rand(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def _centre(network: nn.Module, clips: Tensor, classes: Tensor) -> Tensor:
    y, x = (torch.linspace(-1, 1, n) for n in clips.shape[-2:])
    bump = torch.exp(-2 * (y[:, None] ** 2 + x**2))
    return bump.expand(len(clips), *clips.shape[2:]).contiguous()


def _change(network: nn.Module, clips: Tensor, classes: Tensor) -> Tensor:
    """Differences of frames; of images, differences of neighbouring pixels."""
    maps = clips.detach().float()
    axis = 2 if maps.dim() == 5 and maps.shape[2] > 1 else maps.dim() - 1
    moved = maps.diff(dim=axis, prepend=maps.narrow(axis, 0, 1)).abs().sum(1)
    return moved / moved.flatten(1).amax(1).clamp(min=1e-12).view(-1, *[1] * (moved.dim() - 1))


CONTROLS: Mapping[str, ExplainFunction] = {
    "even": _even,
    "random": _random,
    "centre": _centre,
    "change": _change,
}
"""Maps that ignore the network, and must be beaten: constant, noise, a bump in the middle, differences.

The boxes of `even` are the whole frame; those of `centre` at best the best box in the middle."""

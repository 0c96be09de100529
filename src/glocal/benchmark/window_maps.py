"""Attribution maps of many explainers for one window: layer methods share a single pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glocal.attribution.aggregation import aggregate, positive, upsampler
from glocal.attribution.inputs.network_inputs import frame_positions
from glocal.attribution.method import METHODS, LayerMethod
from glocal.attribution.tape import record
from glocal.attribution.targets import class_scores
from glocal.benchmark.explainers import Explainer
from glocal.models import Model
from glocal.types import AttributionMap
from glocal.video import Window


@dataclass(frozen=True)
class WindowMaps:
    """What explainers make of a window: a forward and, for each score, a backward pass for all layer methods.

    Attributes:
        layer_maps: layer method with its score → layer → map `(1, T, h, w)`, on the grid of the window.
        volumes: explainer by another method, or with options → maps `(T, h, w)`.
        best: the class that the network prefers.
    """

    layer_maps: Mapping[str, Mapping[str, Tensor]]
    volumes: Mapping[Explainer, AttributionMap]
    best: int

    def volume(self, explainer: Explainer) -> AttributionMap:
        """Attribution `(T, h, w)`, not negative and without refinements."""
        if explainer in self.volumes:
            return self.volumes[explainer]
        maps = self.layer_maps[explainer.method_and_score]
        chosen = [maps[layer] for layer in explainer.layers]
        raw = aggregate(chosen, explainer.aggregate)
        return _frames(positive(raw)[0])


def explain_window(
    model: Model, window: Window, explainers: Sequence[Explainer], target: int | None
) -> WindowMaps:
    """Explain one window by all explainers.

    Args:
        model: whose layers the explainers name.
        window: of a video.
        explainers: their refinements are left out.
        target: the class to explain; None takes the best.
    """
    clip = window.clip
    by_layer = [e for e in explainers if isinstance(METHODS[e.method], LayerMethod) and not e.options]
    layer_maps, best = _from_layers(model, window, by_layer, target)
    classes = torch.tensor([best if target is None else target])
    volumes = {
        explainer: _frames(explainer.of(model)(model.network, clip, classes)[0])  # type: ignore[arg-type]
        for explainer in explainers
        if explainer not in by_layer
    }
    return WindowMaps(layer_maps, volumes, best)


def _from_layers(
    model: Model, window: Window, explainers: Sequence[Explainer], target: int | None
) -> tuple[dict[str, dict[str, Tensor]], int]:
    """Layer method with its score → layer → map, all in one pass; and the class that the network prefers."""
    clip = window.clip
    if not explainers:
        return {}, int(model.logits(clip)[0].argmax())
    size = (clip if isinstance(clip, Tensor) else clip[0]).shape[2:]
    upsample = upsampler(size, frame_positions(clip))
    paths = {name: path for explainer in explainers for name, path in explainer.layers.items()}
    modules = {name: model.network.get_submodule(path) for name, path in paths.items()}
    layer_maps: dict[str, dict[str, Tensor]] = {}
    with record(model.network, clip, modules) as tape:
        best = int(tape.logits[0].argmax())
        for score in dict.fromkeys(explainer.score for explainer in explainers):
            kind = model.probabilities if score == "probability" else score
            scores = class_scores(tape.logits, kind)[0]
            gradients = tape.gradients(scores[best if target is None else target], keep=True)
            for explainer in explainers:
                if explainer.score != score or explainer.method_and_score in layer_maps:
                    continue
                method = METHODS[explainer.method]
                assert isinstance(method, LayerMethod), "all of them are"
                with torch.no_grad():
                    layer_maps[explainer.method_and_score] = {
                        layer: method.formula(a.detach().float(), gradients[layer].float(), upsample)
                        for layer, a in tape.activations.items()
                    }
    return layer_maps, best


def _frames(maps: Tensor) -> AttributionMap:
    """`(T, h, w)` or, of an image, `(h, w)` → `(T, h, w)`."""
    frames: AttributionMap = maps.detach().cpu().numpy().astype(np.float32, copy=False)
    return frames if frames.ndim == 3 else frames[None]

"""The ways to turn one pass of a network into a score map: the rows of the localization tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocal.attribution.aggregation import aggregate, positive, upsampler
from glocal.attribution.inputs.network_inputs import frame_positions
from glocal.attribution.method import METHODS, LayerMethod
from glocal.attribution.tape import record
from glocal.errors import UsageError
from glocal.localization import REFINEMENTS
from glocal.models import Model
from glocal.types import AttributionMap
from glocal.video import Window

TITLES = {
    "3dcam": "3DCAM",
    "gradcam": "Grad-CAM",
    "layercam": "LayerCAM",
    "gradcam++": "Grad-CAM++",
}
OTHERS = ("layercam", "gradcam++")
"""Methods that the paper does not compare with."""
WORDS = {"sum": "Sum ", "mean": "Avg pool ", "max": "Max ", "auto": "Auto "}
SETS = ((0, 1), (0, 1, 2, 3), (2, 3, 4))
"""The sets of layers that paper A takes together, by their place from the stem up."""


@dataclass(frozen=True)
class Way:
    """A method on a set of layers, combined by an aggregate, perhaps refined with the video.

    Attributes:
        method: name of a layer method.
        layers: places from the stem up.
        how: name of an aggregate; empty for a single layer.
        refinements: names, applied in turn.
    """

    method: str
    layers: tuple[int, ...]
    how: str = ""
    refinements: tuple[str, ...] = ()

    def title(self, names: Sequence[str]) -> str:
        """As a row is called; `names` are those of all layers."""
        every = self.layers == tuple(range(len(names)))
        layers = "all layers" if every and self.how else "+".join(names[index] for index in self.layers)
        refined = "".join(f" + {name}" for name in self.refinements)
        return f"{WORDS.get(self.how, '')}{TITLES.get(self.method, self.method)} ({layers}){refined}"


def ways(layers: int, refined: bool) -> list[Way]:
    """All rows for a network with so many layers."""
    every = tuple(range(layers))
    sets = [chosen for chosen in SETS if chosen[-1] < layers and chosen != every]
    found = [Way("gradcam", (layers - 1,)), *(Way("3dcam", (index,)) for index in every)]
    if layers > 1:
        found += [Way("gradcam", chosen, "sum") for chosen in (*sets, every)]
        found += [Way("3dcam", chosen, "sum") for chosen in (*sets, every)]
        found += [Way("3dcam", every, how) for how in ("mean", "max", "auto")]
        found.append(Way("gradcam", every, "auto"))
        found += [Way(method, every, how) for method in OTHERS for how in ("sum", "auto")]
    if refined:
        found += [base] if (base := base_of(layers)) not in found else []
        found += [base_of(layers, (name,)) for name in REFINEMENTS]
        found.append(base_of(layers, tuple(REFINEMENTS)))
    return found


def base_of(layers: int, refinements: tuple[str, ...] = ()) -> Way:
    """The row that refinements start from."""
    return Way("layercam", tuple(range(layers)), "auto" if layers > 1 else "", refinements)


@dataclass(frozen=True)
class Pass:
    """One forward and one partial backward pass over a window.

    Attributes:
        maps: method → one map a layer, `(1, T, h, w)`, on the grid of the window.
        best: the class that the network prefers.
    """

    maps: Mapping[str, Sequence[Tensor]]
    best: int

    def volume(self, way: Way) -> AttributionMap:
        """`(T, h, w)` in [0, 1]: a way's attention, without its refinements."""
        chosen = [self.maps[way.method][index] for index in way.layers]
        raw = aggregate(chosen, way.how) if way.how else chosen[0]
        maps: AttributionMap = positive(raw)[0].cpu().numpy()
        return maps if maps.ndim == 3 else maps[None]


def run_pass(model: Model, window: Window, methods: Sequence[str], target: int | None) -> Pass:
    """The maps of every layer for some layer methods.

    Args:
        target: the class to explain; None takes the best.

    Raises:
        UsageError: a method that is no layer method.
    """
    clip = window.clip
    size = (clip if isinstance(clip, Tensor) else clip[0]).shape[2:]
    upsample = upsampler(size, frame_positions(clip))
    with record(model.network, clip, model.layers) as tape:
        best = int(tape.logits[0].argmax())
        gradients = tape.gradients(tape.logits[0, best if target is None else target])
        maps = {}
        for name in methods:
            method = METHODS[name]
            if not isinstance(method, LayerMethod):
                raise UsageError(f"method '{name}' does not look at layers; the tables need one that does.")
            with torch.no_grad():
                maps[name] = [
                    method.formula(a.detach().float(), gradients[layer].float(), upsample)
                    for layer, a in tape.activations.items()
                ]
    return Pass(maps, best)

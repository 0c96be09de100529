"""A network with what is needed to use and explain it."""

from dataclasses import dataclass

from torch import nn

from glocal.video.clip_spec import ClipSpec


@dataclass
class Model:
    """A network, its explainable layers, its classes and its input.

    Attributes:
        name: of the model.
        network: in eval mode; returns logits `(B, classes)`.
        layers: name → module, from the stem up; each runs once in a forward pass and returns activations.
        labels: class names, in the order of the logits.
        clip: what the network takes.
        weights: where the weights come from, in words.
    """

    name: str
    network: nn.Module
    layers: dict[str, nn.Module]
    labels: tuple[str, ...]
    clip: ClipSpec
    weights: str = "custom"

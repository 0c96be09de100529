"""A network with its layers, class names and clips: `Model`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from glocal.attribution.frozen_network import frozen
from glocal.attribution.inputs.network_inputs import Inputs, call, to_network
from glocal.attribution.tape import find_logits
from glocal.attribution.targets import class_scores
from glocal.errors import UsageError
from glocal.models.labels import describe_classes
from glocal.video.clip_spec import ClipSpec

Outputs: TypeAlias = Literal["logits", "softmax", "sigmoid"] | Callable[[Tensor], Tensor]
"""How a network's outputs become probabilities, see `Model`."""


@dataclass(repr=False)
class Model:
    """A network with its explainable layers, its class names and the clips it takes.

    Attributes:
        name: of the model, as `load_model` takes it.
        network: in eval mode; returns logits `(B, num_classes)`.
        layer_paths: explainable layer → module path in `network`, from the stem up. Each of these modules
            runs once in a forward pass and returns activations.
        labels: class names, in the order of the logits.
        clip: how frames are sampled and normalised.
        weights: source of the weights, for reports.
        fixed_size: whether the network takes frames of `clip.frame_size` only.
        notes: what a reader of an explanation must know of the model.
        outputs: what makes probabilities of the outputs: `"logits"` for the softmax, or the sigmoid of a
            single logit; `"softmax"`; `"sigmoid"` for labels that do not exclude each other; or a function
            from outputs `(B, num_classes)` to scores of that shape.
        classes: what the classes are, such as `400 actions of people (Kinetics-400)`; by default told
            by the labels.
        activated: whether the network applies that softmax or sigmoid itself.
    """

    name: str
    network: nn.Module
    layer_paths: dict[str, str]
    labels: tuple[str, ...]
    clip: ClipSpec
    weights: str = "custom"
    fixed_size: bool = False
    notes: tuple[str, ...] = ()
    outputs: Outputs = "logits"
    activated: bool = False
    classes: str = ""

    def __post_init__(self) -> None:
        self.classes = self.classes or describe_classes(self.labels)

    @property
    def layers(self) -> dict[str, nn.Module]:
        """Explainable layer → module, from the stem up."""
        return {name: self.network.get_submodule(path) for name, path in self.layer_paths.items()}

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return len(self.labels)

    def check_size(self, size: tuple[int, int]) -> None:
        """Check that the network takes frames of a height and width.

        Raises:
            UsageError: it takes those of another size only.
        """
        height, width = self.clip.frame_size
        if self.fixed_size and size != (height, width):
            pixels, crop = f"{width}×{height} pixels", self.clip.crop
            raise UsageError(f"model '{self.name}' takes frames of {pixels} only; use crop='{crop}'.")

    def logits(self, clips: Inputs) -> Tensor:
        """Compute logits `(B, num_classes)` in eval mode and without gradients.

        Args:
            clips: `(B, C, T, H, W)`, or a list of clips for several streams; moved to the network's device.

        Raises:
            InputError: the network does not return finite logits.
        """
        with torch.inference_mode(), frozen(self.network):
            return find_logits(call(self.network, to_network(clips, self.network)))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Compute the probabilities `(B, num_classes)` float32 of the network's outputs, see `outputs`."""
        logits = logits.float()
        if callable(self.outputs):
            return self.outputs(logits)
        if self.activated:
            return logits
        return logits.sigmoid() if self.outputs == "sigmoid" else class_scores(logits, "probability")

    def __repr__(self) -> str:
        clip = self.clip
        shape = f"{clip.size}×{clip.size} image" if clip.image else f"{clip.frames}×{clip.size}×{clip.size}"
        return (
            f"Model({self.name!r}, weights={self.weights!r}, {self.num_classes} classes, "
            f"{clip.modality} {shape}, layers={', '.join(self.layer_paths)})"
        )

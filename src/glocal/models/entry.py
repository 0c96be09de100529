"""The registry of networks, and the entry by which each network describes itself in its own file."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import nn

from glocal.models.download import CheckpointFile
from glocal.models.initialization import structure_only
from glocal.registry import Registry
from glocal.video.clip_spec import ClipSpec

KeyRenames = tuple[tuple[str, str], ...]
"""Regular expression → replacement, applied in turn to each key of a checkpoint."""


@dataclass(frozen=True, eq=False)
class ModelEntry:
    """What the library knows about a network.

    Attributes:
        name: by which `load_model` finds it.
        title: full name.
        paper: authors, title, venue and year.
        build: makes the network, with random weights, for a number of classes.
        layers: explainable layer → module path, from the stem up.
        clip_spec: the clips that the published weights were trained on.
        num_classes: of the published weights.
        labels: packaged label list with the names of those classes, if there is one.
        weights: name → published checkpoint: one file, or one for each of `streams`.
        default_weights: name of the weights that are loaded if none are named; empty for random ones.
        classifier: module paths of the layers that are replaced for another number of classes.
        key_renames: from the keys of other libraries' checkpoints to the network's own.
        streams: submodules that are networks of their own, each with a checkpoint.
        gates: gate → explainable layer, of a gated network, or for one on this backbone.
        licence: of the published weights; empty if unknown.
        identity: regular expression of the keys of convolutions over time that an image network's checkpoint
            lacks, and that start as the identity.
        stabn_clip: the clips of an ST-ABN on this backbone; None for `clip_spec`.
        backbone: the entry of the backbone, for `gated/` and `st-abn/` networks.
    """

    name: str
    title: str
    paper: str
    build: Callable[[int], nn.Module]
    layers: Mapping[str, str]
    clip_spec: ClipSpec
    num_classes: int
    labels: str = ""
    weights: Mapping[str, tuple[CheckpointFile, ...]] = field(default_factory=dict)
    default_weights: str = ""
    classifier: tuple[str, ...] = ("fc",)
    key_renames: KeyRenames = ()
    streams: tuple[str, ...] = ()
    gates: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    identity: str = ""
    stabn_clip: ClipSpec | None = None
    backbone: "ModelEntry | None" = None

    def __repr__(self) -> str:
        return f"ModelEntry({self.name!r}, {self.title!r}, layers={', '.join(self.layers)})"

    def rename_key(self, key: str) -> str:
        """Translate a key of a checkpoint into the network's own."""
        for pattern, replacement in self.key_renames:
            key = re.sub(pattern, replacement, key)
        return key

    def state_shapes(self, num_classes: int) -> dict[str, torch.Size]:
        """Shapes in the network's state dict; allocates no memory."""
        return _state_shapes(self.build, num_classes)


@cache
def _state_shapes(build: Callable[[int], nn.Module], num_classes: int) -> dict[str, torch.Size]:
    with structure_only():
        return {key: tensor.shape for key, tensor in build(num_classes).state_dict().items()}


MODELS: Registry[ModelEntry] = Registry("model", package="glocal.models", entry_points="glocal.models")
"""The networks by name. Their variants `gated/…` and `st-abn/…` are made by `find_entry`."""


def register_model(entry: ModelEntry) -> ModelEntry:
    """Add a network to `MODELS`.

    Raises:
        UsageError: there is a network of that name.
    """
    return MODELS.register(entry.name, entry, origin=entry.build.__module__)

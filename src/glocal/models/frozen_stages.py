"""Split a network after its frozen stages: these make features of a clip, from which the rest goes on."""

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from glocal.models.backbone import Backbone
from glocal.models.gated import Gated
from glocal.models.stabn import STABN

Network = TypeVar("Network", bound=nn.Module)


class SplitNetwork(NamedTuple):
    """A network in two parts, which share its weights.

    Attributes:
        frozen: clips `(B, C, T, H, W)` to features `(B, N)`.
        trained: features `(B, N)` to what the network returns for the clips. Gated networks have
            `gate_logits`, and ST-ABNs `training_logits`, of features too.
    """

    frozen: "FrozenStages"
    trained: nn.Module


class FrozenStages(nn.Module):
    """The first modules of a backbone: clips `(B, C, T, H, W)` to features `(B, N)`.

    The features of a clip are one row: for each layer in `pooled`, the averages over space of its activation,
    which are all that is read of it; then the activation after the last module, channels last.

    Args:
        backbone: whose modules they are.
        stages: explainable layer → paths of the modules up to it; the last layer may be incomplete.
        pooled: layers of which only averages over space are read: those of gates, which read rectified
            activations, and the last one before a classifier that reads averages.
        rectify: whether gates read the pooled layers.
        clip: an example `(1, C, T, H, W)` of the clips.

    Attributes:
        sizes: T, H, W and C of each part of a row; H and W are 1 for averages.
    """

    def __init__(
        self,
        backbone: Backbone,
        stages: Mapping[str, Sequence[str]],
        pooled: Collection[str],
        clip: Tensor,
        *,
        rectify: bool,
    ) -> None:
        super().__init__()
        self.rectify = rectify
        self.stages: dict[str, nn.Sequential] = {
            layer: nn.Sequential(*map(backbone.get_submodule, paths)) for layer, paths in stages.items()
        }
        self.blocks: nn.ModuleList = nn.ModuleList(self.stages.values())
        self.pooled: tuple[str, ...] = tuple(layer for layer in stages if layer in pooled)
        was_training = self.training
        with torch.no_grad():
            parts = list(self.eval()._parts(clip))
        self.train(was_training)
        self.sizes: list[torch.Size] = [part.shape[1:] for part in parts]

    @property
    def length(self) -> int:
        """N."""
        return sum(size.numel() for size in self.sizes)

    def forward(self, clips: Tensor) -> Tensor:
        """Compute features `(B, N)`."""
        return torch.cat([part.flatten(1) for part in self._parts(clips)], 1)

    def unpack(self, features: Tensor) -> list[Tensor]:
        """Split features into averages `(B, C, T, 1, 1)`, and the activation `(B, C, T, H, W)` if any."""
        parts = torch.split(features, [size.numel() for size in self.sizes], 1)
        return [
            part.reshape(-1, *size).permute(0, 4, 1, 2, 3)
            for part, size in zip(parts, self.sizes, strict=True)
        ]

    def _parts(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the parts of the rows, `(B, T, H, W, C)`."""
        for layer, modules in self.stages.items():
            x = modules(x)
            if layer in self.pooled:
                activation = x.relu() if self.rectify else x
                yield activation.mean((3, 4), keepdim=True).permute(0, 2, 3, 4, 1)
        if layer not in self.pooled:
            yield x.permute(0, 2, 3, 4, 1)


class RemainingStages(Backbone):
    """A backbone that takes the features `(B, N)` of its frozen stages in place of clips.

    Args:
        backbone: the whole backbone.
        frozen: its first modules.
        stages: explainable layer → paths of its other modules.
    """

    def __init__(self, backbone: Backbone, frozen: FrozenStages, stages: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.backbone = backbone
        self.frozen = frozen
        self.stages: dict[str, list[str]] = {
            layer: [f"backbone.{path}" for path in paths] for layer, paths in stages.items()
        }
        self.branch_at: str = backbone.branch_at and f"backbone.{backbone.branch_at}"

    def first_input(self, x: Tensor) -> Tensor:
        """Return the activation `(B, C, T, H, W)` of the last frozen module."""
        return self.frozen.unpack(x)[-1]

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the averages over space of frozen layers that are read, and the layers after them."""
        yield from zip(self.frozen.pooled, self.frozen.unpack(x), strict=False)
        yield from super().activations(x)

    def classify(self, x: Tensor) -> Tensor:
        """Compute logits `(B, num_classes)` from the last stage's activation."""
        return self.backbone.classify(x)


def split_network(network: nn.Module, frozen: Sequence[nn.Module], clip: Tensor) -> SplitNetwork | None:
    """Split a network behind its last frozen module before any that is trained.

    An ST-ABN is split before the last stage of its backbone, to which it gives another input, at the latest.

    Args:
        network: a `Backbone`, a gated network or an ST-ABN.
        frozen: modules that are not trained.
        clip: an example `(1, C, T, H, W)` of its clips.

    Returns:
        None if the first modules are not frozen, or the network is of another kind.
    """
    backbone = network.backbone if isinstance(network, Gated | STABN) else network
    if not isinstance(backbone, Backbone) or clip.dim() != 5:
        return None
    paths = [(layer, path) for layer, paths in backbone.stages.items() for path in paths]
    if isinstance(network, STABN):
        paths = paths[: -len(network.backbone.last_stage())]
    count = _count_frozen([backbone.get_submodule(path) for _, path in paths], frozen)
    if not count:
        return None
    first = _stages(paths[:count])
    gated = isinstance(network, Gated)
    reading: set[str] = set(network.gate_at) if isinstance(network, Gated) else set()
    if not isinstance(network, STABN) and count == len(paths) and (gated or backbone.averages):
        reading.add(list(first)[-1])
        rest = {}
    else:
        rest = {
            layer: paths[len(first.get(layer, ())) :]
            for layer, paths in backbone.stages.items()
            if layer == list(first)[-1] or layer not in first
        }
    stages = FrozenStages(backbone, first, reading.difference(rest), clip, rectify=gated)
    remaining = RemainingStages(backbone, stages, rest)
    return SplitNetwork(stages, remaining if network is backbone else _on_backbone(network, remaining))


def _count_frozen(modules: Sequence[nn.Module], frozen: Sequence[nn.Module]) -> int:
    """Number of leading modules without a weight that is trained; 0 if none of them has weights."""
    parts = {part for module in frozen for part in module.modules()}
    count = 0
    for number, module in enumerate(modules, 1):
        if any(part not in parts and _has_weights(part) for part in module.modules()):
            break
        count = number
    return count if any(_has_weights(part) for module in modules[:count] for part in module.modules()) else 0


def _has_weights(module: nn.Module) -> bool:
    tensors = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return bool(tensors)


def _stages(paths: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    stages: dict[str, list[str]] = {}
    for layer, path in paths:
        stages.setdefault(layer, []).append(path)
    return stages


def _on_backbone(network: Network, backbone: Backbone) -> Network:
    """Return a network that shares all modules with `network` but its backbone."""
    shared = copy.copy(network)
    shared._modules = {**network._modules, "backbone": backbone}
    return shared

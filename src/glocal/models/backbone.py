"""What the networks that others are built on have in common: stages, one after the other, and a head."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice

from torch import Tensor, nn

from glocal.errors import InputError


def check_input(x: Tensor, channels: int, dims: int = 3, frames: int = 1, pixels: int = 1) -> None:
    """Refuse what is no batch of clips `(B, C, T, H, W)`, or of images `(B, C, H, W)` with `dims=2`.

    Args:
        channels: that the network takes.
        frames, pixels: the shortest clip and the smallest side that the network takes.

    Raises:
        InputError: `x` has another shape, or is too short or too small.
    """
    least = (frames, pixels, pixels)[-dims:]
    if (
        x.ndim == dims + 2
        and x.shape[1] == channels
        and all(size >= minimum for size, minimum in zip(x.shape[2:], least, strict=True))
    ):
        return
    wanted = f"images (B, {channels}, H, W) of at least"
    if dims == 3:
        wanted = f"clips (B, {channels}, T, H, W) of at least {frames} frame{'s' if frames > 1 else ''} and"
    raise InputError(
        f"the network takes {wanted} {pixels}×{pixels} pixels, not a tensor of {tuple(x.shape)}."
    )


class Backbone(nn.Module):
    """A network whose activations can be taken stage by stage; clips or images to logits `(B, classes)`.

    Attributes:
        stages: explainable layer → paths of the modules that lead to it from the layer before; the last of
            them is the layer itself.
        in_channels, dims: of the input, `(B, in_channels, T, H, W)` with `dims=3`, or
            `(B, in_channels, H, W)`.
        frames, pixels: the shortest clip and the smallest side that the network takes.
    """

    stages: Mapping[str, Sequence[str]]
    in_channels: int = 3
    dims: int = 3
    frames: int = 1
    pixels: int = 1

    def classify(self, x: Tensor) -> Tensor:
        """Logits `(B, classes)` of the last stage's activation: the head, which has a dropout."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.body(x))

    def features(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Run the stages on a batch, and yield each explainable layer's name and activation as it comes.

        Raises:
            InputError: the network does not take a tensor of this shape.
        """
        check_input(x, self.in_channels, self.dims, self.frames, self.pixels)
        for layer, paths in self.stages.items():
            for path in paths:
                x = self.get_submodule(path)(x)
            yield layer, x

    def body(self, x: Tensor) -> Tensor:
        """The last stage's activation."""
        for _, activation in self.features(x):
            x = activation
        return x

    def extract(self, x: Tensor) -> Tensor:
        """The activation of the stage before the last."""
        for _, activation in islice(self.features(x), len(self.stages) - 1):
            x = activation
        return x

    def perceive(self, x: Tensor) -> Tensor:
        """Logits of what `extract` returns: the last stage and the head."""
        for module in self.last_stage():
            x = module(x)
        return self.classify(x)

    def last_stage(self) -> list[nn.Module]:
        """The modules that lead from the last layer but one to the last."""
        *_, paths = self.stages.values()
        return [self.get_submodule(path) for path in paths]

    def cut(self, last: str) -> None:
        """Drop the head and every stage after the layer `last`, with their weights."""
        layers = list(self.stages)
        self.stages = {layer: self.stages[layer] for layer in layers[: layers.index(last) + 1]}
        paths = chain.from_iterable(self.stages.values())
        kept = {module for path in paths for module in self.get_submodule(path).modules()}
        for parent in list(self.modules()):
            for name, child in list(parent.named_children()):
                if kept.isdisjoint(child.modules()):
                    delattr(parent, name)


def set_dropout(network: nn.Module, probability: float) -> None:
    """Give every dropout of a network this probability."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability

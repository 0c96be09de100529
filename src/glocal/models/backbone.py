"""What the networks that others are built on have in common: stages, one after the other, and a head."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from torch import Tensor, nn

from glocal.models.inputs import check_input


class Backbone(nn.Module):
    """A network whose activations can be taken stage by stage.

    Attributes:
        stages: explainable layer → paths of the modules that lead to it from the layer before; the last of
            them is the layer itself.
        in_channels, dims: of the input, `(B, in_channels, T, H, W)` with `dims=3`, or
            `(B, in_channels, H, W)`.
    """

    stages: Mapping[str, Sequence[str]]
    in_channels: int = 3
    dims: int = 3

    def features(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Run the stages on a batch, and yield each explainable layer's name and activation as it comes.

        Raises:
            InputError: the network does not take a tensor of this shape.
        """
        check_input(x, self.in_channels, self.dims)
        for layer, paths in self.stages.items():
            for path in paths:
                x = self.get_submodule(path)(x)
            yield layer, x

    def body(self, x: Tensor) -> Tensor:
        """The last stage's activation."""
        for _, activation in self.features(x):
            x = activation
        return x

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

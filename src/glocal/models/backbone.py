"""Networks that gated networks and ST-ABNs can be built on: a chain of stages, and a classifier."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from glocal.errors import InputError
from glocal.models.initialization import structure_only


def check_input(x: Tensor, channels: int, dims: int = 3, frames: int = 1, pixels: int = 1) -> None:
    """Check that `x` is a batch of clips `(B, C, T, H, W)`, or of images `(B, C, H, W)` with `dims=2`.

    Args:
        x: input of a network.
        channels: C.
        dims: 3 for clips, 2 for images.
        frames: least number of frames.
        pixels: least height and width.

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
    """A network of consecutive stages and a classifier; clips or images to logits `(B, num_classes)`.

    Attributes:
        stages: explainable layer → paths of the modules from the layer before it up to the layer itself.
        in_channels: channels of the input.
        dims: 3 for clips `(B, in_channels, T, H, W)`, 2 for images `(B, in_channels, H, W)`.
        frames: frames of the shortest clip that the network takes.
        pixels: smallest height and width that the network takes.
        averages: whether `classify` reads only the averages over space of the last stage's activation.
        branch_at: path of the module of the last stage before which an attention branch splits off; by
            default its first.
    """

    stages: Mapping[str, Sequence[str]]
    in_channels: int = 3
    dims: int = 3
    frames: int = 1
    pixels: int = 1
    averages: bool = False
    branch_at: str = ""

    def classify(self, x: Tensor) -> Tensor:
        """Compute logits `(B, num_classes)` from the last stage's activation; applies dropout."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits `(B, num_classes)`."""
        return self.classify(self.last_activation(x))

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Run stage after stage, and yield the name and the activation of each explainable layer.

        Raises:
            InputError: the network does not take a tensor of this shape.
        """
        x = self.first_input(x)
        for layer, paths in self.stages.items():
            for path in paths:
                x = self.get_submodule(path)(x)
            yield layer, x

    def first_input(self, x: Tensor) -> Tensor:
        """Return what the first module takes: the clips or images themselves, which are checked.

        Raises:
            InputError: the network does not take a tensor of this shape.
        """
        check_input(x, self.in_channels, self.dims, self.frames, self.pixels)
        return x

    def last_activation(self, x: Tensor) -> Tensor:
        """Compute the activation of the last stage."""
        for _, activation in self.activations(x):
            x = activation
        return x

    def penultimate_activation(self, x: Tensor) -> Tensor:
        """Compute the activation before `last_stage`, which an attention branch reads."""
        x = self.first_input(x)
        for path in self._split_paths()[0]:
            x = self.get_submodule(path)(x)
        return x

    def classify_penultimate(self, x: Tensor) -> Tensor:
        """Compute logits from `penultimate_activation`, by the last stage and the classifier."""
        for module in self.last_stage():
            x = module(x)
        return self.classify(x)

    def last_stage(self) -> list[nn.Module]:
        """The modules of the last stage, in order: those from `branch_at` on."""
        return [self.get_submodule(path) for path in self._split_paths()[1]]

    def _split_paths(self) -> tuple[list[str], list[str]]:
        """The paths of the modules before the last stage, and of those from `branch_at` on."""
        *earlier, last = self.stages.values()
        start = last.index(self.branch_at) if self.branch_at else 0
        return [*chain.from_iterable(earlier), *last[:start]], [*last[start:]]

    def truncate(self, last_layer: str) -> None:
        """Remove the classifier and every stage after `last_layer`, with their weights."""
        layers = list(self.stages)
        self.stages = {layer: self.stages[layer] for layer in layers[: layers.index(last_layer) + 1]}
        paths = chain.from_iterable(self.stages.values())
        remaining = {module for path in paths for module in self.get_submodule(path).modules()}
        for parent in list(self.modules()):
            for name, child in list(parent.named_children()):
                if remaining.isdisjoint(child.modules()):
                    delattr(parent, name)


class SamePadding(nn.Module):
    """Pad with zeros as TensorFlow's SAME does for even sizes, the larger half behind, and repeat end frames.

    It is the same for all sizes, so that an image is padded as those that the network was trained on.

    Attributes:
        kernel: size over space of the convolution that follows.
        stride: of that convolution.
        frames: repetitions of the first and of the last frame.
    """

    kernel: int
    stride: int
    frames: int

    def __init__(self, kernel: int, stride: int, frames: int = 0) -> None:
        super().__init__()
        self.kernel, self.stride, self.frames = kernel, stride, frames

    def forward(self, x: Tensor) -> Tensor:
        """Pad `(…, H, W)`; with `frames`, `(B, C, T, H, W)`."""
        total = self.kernel - self.stride
        padded = F.pad(x, (total // 2, total - total // 2) * 2)
        return F.pad(padded, (0, 0, 0, 0, *(self.frames,) * 2), mode="replicate") if self.frames else padded


@contextmanager
def shape_probe(build: Callable[[int], Backbone], frames: int) -> Iterator[tuple[Backbone, Tensor]]:
    """Inside, run a backbone on a clip for nothing but the shapes of its activations.

    Normalisation is left out, and convolutions are replaced by their arithmetic.

    Args:
        build: builds the backbone for a number of classes.
        frames: length of the clip.
    """
    with structure_only():
        probe = build(1).eval()
        for module in probe.modules():
            if isinstance(module, _BatchNorm):
                module.forward = _unchanged  # type: ignore[method-assign]
            elif isinstance(module, nn.Conv3d) and isinstance(module.padding, tuple):
                module.forward = partial(_convolved, module, module.padding)  # type: ignore[method-assign]
        yield probe, torch.zeros(1, probe.in_channels, frames, 64, 64)


def _unchanged(input: Tensor) -> Tensor:
    return input


def _convolved(convolution: nn.Conv3d, padding: Sequence[int], x: Tensor) -> Tensor:
    """Return zeros of the shape of a convolution's output."""
    axes = zip(
        x.shape[2:],
        convolution.kernel_size,
        convolution.stride,
        padding,
        convolution.dilation,
        strict=True,
    )
    sizes = [
        (size + 2 * border - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, stride, border, dilation in axes
    ]
    return x.new_zeros(len(x), convolution.out_channels, *sizes)


@cache
def is_backbone(build: Callable[[int], nn.Module]) -> bool:
    """Whether a function that builds networks builds a `Backbone` for clips; allocates no memory."""
    with structure_only():
        network = build(1)
    return isinstance(network, Backbone) and network.dims == 3


def set_dropout(network: nn.Module, probability: float) -> None:
    """Set the probability of every dropout layer of a network."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability

"""A network of one's own as a `Model`."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution.inputs.axes import CANONICAL, check_layout, rearrange
from glocal.attribution.inputs.network_inputs import call, to_network
from glocal.attribution.inputs.token_grid import Grid
from glocal.attribution.inputs.wrappers import unwrap
from glocal.attribution.layers import LayerNames, find_layers
from glocal.attribution.tape import find_logits, frozen
from glocal.errors import GlocalError, InputError, UsageError
from glocal.models.labels import default_labels, read_labels
from glocal.models.model import Model
from glocal.video.clip_spec import ClipSpec

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Adapted(nn.Module):
    """A network with another order of axes or other outputs, as one from `(B, C, T, H, W)` to logits.

    `token_grid` is where attribution looks for the grid of the tokens.
    """

    def __init__(
        self,
        network: nn.Module,
        layout: str,
        output: Callable[[Any], Tensor] | None,
        grid: Grid | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.token_grid = grid
        self._layout = layout
        self._output = output

    def forward(self, clips: Tensor | list[Tensor]) -> Tensor:
        """Logits `(B, classes)` of clips `(B, C, T, H, W)`."""
        return find_logits(self.network(rearrange(clips, CANONICAL, self._layout)), self._output)


def as_model(
    network: nn.Module,
    clip: ClipSpec | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    layers: LayerNames | None = None,
    *,
    name: str = "custom",
    weights: str = "custom",
    layout: str | None = None,
    output: Callable[[Any], Tensor] | None = None,
    grid: Grid | None = None,
) -> Model:
    """A network of any make, ready for `glocal.explain`; it is run on zeros to see that it fits.

    Args:
        network: takes a batch of clips and returns logits.
        clip: what it takes; a video network of `transformers` tells frames and size itself, and gets
            ImageNet's mean and standard deviation.
        labels: class names, or a file with one a line, or the name of a packaged list; by default those in
            the configuration of a network of `transformers`, else `class 0`, ….
        layers: names or submodules; by default those that `glocal.attribute` takes.
        name, weights: what reports call the model, and where its weights come from.
        layout: order of the axes that the network takes, `"BCTHW"`, `"BTCHW"` or `"BTHWC"`; by default
            `"BTCHW"` for a network of `transformers` and `"BCTHW"` for others.
        output: takes the logits out of what the network returns, see `glocal.attribute`.
        grid: `(T, H, W)` of the tokens, where the network does not tell it itself.

    Raises:
        UsageError: an argument is not among what is allowed, or one is missing.
        InputError: the network cannot use a clip of this form.
    """
    network = unwrap(network).eval()
    config = getattr(network, "config", None) if hasattr(network, "main_input_name") else None
    clip = clip or _clip_of_config(config)
    layout = check_layout(layout or (CANONICAL if config is None or clip.image else "BTCHW"))
    plain = layout == CANONICAL and output is None and grid is None
    adapted = network if plain else Adapted(network, layout, output, grid)
    example = example_clip(clip)
    try:
        with torch.no_grad(), frozen(adapted):
            classes = find_logits(call(adapted, to_network(example, adapted))).shape[1]
        found = find_layers(adapted if layers is None else network, layers, example)
    except GlocalError:
        raise
    except (RuntimeError, ValueError, TypeError) as problem:
        reason = str(problem).strip().splitlines()[0].rstrip(".")
        raise InputError(
            f"the network cannot use clips of this form ({reason}); tell its input by clip= and layout=."
        ) from problem
    return Model(
        name,
        adapted,
        {layer.removeprefix("" if plain else "network."): module for layer, module in found.items()},
        _labels(labels, config, classes),
        clip,
        weights,
    )


def example_clip(clip_spec: ClipSpec) -> Tensor | list[Tensor]:
    """Zeros of the shape that a network with this clip spec takes."""
    if clip_spec.image:
        return torch.zeros(1, 3, clip_spec.size, clip_spec.size)
    clips = [
        torch.zeros(1, channels, clip_spec.frames, clip_spec.size, clip_spec.size)
        for stream, channels in (("rgb", 3), ("flow", 2))
        if stream in clip_spec.modality
    ]
    return clips[0] if len(clips) == 1 else clips


def _clip_of_config(config: Any) -> ClipSpec:
    frames, size = getattr(config, "num_frames", None), getattr(config, "image_size", None)
    sides = set(size) if isinstance(size, tuple | list) else {size}
    if not isinstance(frames, int) or len(sides) != 1 or not isinstance(side := sides.pop(), int):
        raise UsageError(
            "the network does not tell what clips it takes; give clip=ClipSpec(frames=…, size=…)."
        )
    return ClipSpec(frames, short_side=side, size=side, mean=IMAGENET_MEAN, std=IMAGENET_STD, crop="center")


def _labels(
    given: Sequence[str] | str | os.PathLike[str] | None, config: Any, classes: int
) -> tuple[str, ...]:
    own = getattr(config, "id2label", None)
    if given is not None:
        labels = read_labels(given)
    elif isinstance(own, dict) and len(own) == classes:
        labels = tuple(str(own[index]) for index in range(classes))
    else:
        labels = default_labels(classes)
    if len(labels) != classes:
        raise UsageError(f"there are {len(labels)} labels, but the network has {classes} classes.")
    return labels

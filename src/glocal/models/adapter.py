"""Turn any network into a `Model`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution.frozen_network import frozen
from glocal.attribution.inputs.axes import CANONICAL, check_layout, rearrange
from glocal.attribution.inputs.default_device import defaults_on_cpu
from glocal.attribution.inputs.network_inputs import call, convolutions, to_network
from glocal.attribution.inputs.token_grid import Grid
from glocal.attribution.inputs.wrappers import unwrap
from glocal.attribution.layers import LayerNames, find_layers
from glocal.attribution.tape import find_logits
from glocal.errors import GlocalError, InputError, UsageError
from glocal.models.framewise import FramewiseNetwork
from glocal.models.labels import default_labels, read_labels
from glocal.models.model import Model, Outputs
from glocal.models.outputs import find_outputs
from glocal.models.preprocessing import Preprocessing, find_clip_spec
from glocal.models.processors import find_preprocessing, read_processor
from glocal.types import LabelSource
from glocal.utils.resources import raise_if_lacking
from glocal.utils.structure import construct
from glocal.video.clip_spec import ClipSpec
from glocal.video.geometry import Geometry

NETWORK_ERRORS = (RuntimeError, ValueError, TypeError, AssertionError, LookupError)
"""What networks raise if their input has another shape than they take."""


class NetworkAdapter(nn.Module):
    """A network with another axis order or output, wrapped to map clips `(B, C, T, H, W)` to logits.

    Args:
        network: the wrapped network.
        layout: axis order of the clips that it takes.
        output: returns the logits in the network's output.
        grid: `(T, H, W)` of the tokens; attribution reads it as `token_grid`.
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
        """Compute logits `(B, num_classes)` of clips `(B, C, T, H, W)`."""
        return find_logits(self.network(rearrange(clips, CANONICAL, self._layout)), self._output)


@defaults_on_cpu()
def as_model(
    network: nn.Module,
    clip: ClipSpec | Mapping[str, Any] | None = None,
    *,
    frames: int | None = None,
    processor: Any = None,
    labels: LabelSource | None = None,
    layers: LayerNames | None = None,
    name: str = "custom",
    weights: str = "custom",
    layout: str | None = None,
    output: Callable[[Any], Tensor] | None = None,
    grid: Grid | None = None,
    outputs: Outputs | None = None,
) -> Model:
    """Turn any network into a `Model` for `glocal.explain`.

    A clip of zeros is run to check that it fits, and one of 4:3 frames: a network that takes frames of one
    size only gets the centre crop.

    Args:
        network: maps a batch of clips to logits; of a `LightningModule` without `forward`, its only
            submodule with parameters does.
        clip: how frames are sampled and normalised; with one value of mean and of std for grey clips. By
            default what `processor`, or else the network, states. With `processor`, only its frames, stride
            and fps are used. A mapping of some fields changes what is stated.
        frames: of a clip, for a network that takes images: it is run on each of them, and its logits are
            averaged, unless it returns one row a clip, see `FramewiseNetwork`. Without it, such a network is
            run frame by frame too, each being a clip of its own.
        processor: what prepares the network's clips: a processor of `transformers`, its configuration as a
            mapping or the path of its file or folder; a data configuration of timm; or transforms of
            torchvision or pytorchvideo. By default the processor's file beside a network of `transformers`,
            or timm's `pretrained_cfg` of the network. A warning says what nothing states.
        labels: class names, the path of a label file, or the name of a packaged list. By default
            those of the network's `transformers` configuration, or `class 0`, `class 1`, ….
        layers: names or submodules; by default those that `glocal.attribute` chooses.
        name: of the model, for reports.
        weights: source of the weights, for reports.
        layout: axis order that the network takes, `"BCTHW"`, `"BTCHW"` or `"BTHWC"`; by default `"BTCHW"`
            for networks of `transformers` and `"BCTHW"` for others.
        output: returns the logits in the network's output, see `glocal.attribute`.
        grid: `(T, H, W)` of the tokens, if it cannot be read from the network.
        outputs: what makes probabilities of the network's outputs: `"logits"`, `"softmax"`, `"sigmoid"` or a
            function, see `Model`. By default logits, unless the network ends in a softmax or sigmoid, or its
            outputs of zeros are not negative and sum to 1.

    Raises:
        UsageError: an argument is unknown or missing.
        InputError: the network cannot process such a clip.
    """
    network = network_inside(unwrap(network)).eval()
    config = getattr(network, "config", None) if hasattr(network, "main_input_name") else None
    given = clip if isinstance(clip, ClipSpec) else None
    clip = find_clip_spec(config, given, _stated(network, clip, processor))
    adapted, prefix = network, ""
    if frames is not None:
        clip, layout = replace(clip, frames=frames, image=False), CANONICAL
        adapted, prefix, output = FramewiseNetwork(network, output).eval(), "network.", None
    layout = check_layout(layout or (CANONICAL if config is None or clip.image else "BTCHW"))
    if layout != CANONICAL or output is not None or grid is not None:
        adapted, prefix = NetworkAdapter(adapted, layout, output, grid).eval(), f"network.{prefix}"
    example = example_clip(clip)
    try:
        with torch.no_grad(), frozen(adapted):
            num_classes = find_logits(call(adapted, to_network(example, adapted))).shape[1]
        modules = find_layers(adapted if layers is None else network, layers, example)
    except GlocalError:
        raise
    except NETWORK_ERRORS as problem:
        raise_if_lacking(problem)
        if mismatch := _channel_mismatch(network, clip):
            raise InputError(mismatch) from problem
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0].rstrip(".")
        raise InputError(
            f"the network cannot process such clips ({reason}); describe its input by clip= and layout=."
        ) from problem
    outputs, activated = find_outputs(adapted, example, num_classes, outputs)
    fixed_size = _has_fixed_size(adapted, clip)
    clip, notes = _centre_crop(clip) if fixed_size else (clip, ())
    return Model(
        name,
        adapted,
        {layer.removeprefix(prefix): path for layer, path in _module_paths(adapted, modules).items()},
        _class_names(labels, config, num_classes),
        clip,
        weights,
        fixed_size=fixed_size,
        notes=notes,
        outputs=outputs,
        activated=activated,
    )


def _stated(
    network: nn.Module, clip: ClipSpec | Mapping[str, Any] | None, processor: Any
) -> Preprocessing | None:
    """The preprocessing that a processor states, or else the network where no whole `clip` is given."""
    if processor is not None:
        stated: Preprocessing | None = read_processor(processor)
    else:
        stated = None if isinstance(clip, ClipSpec) else find_preprocessing(network)
    if isinstance(clip, Mapping):
        return construct(Preprocessing, clip, "clip").or_else(stated or Preprocessing())
    return stated


def network_inside(network: nn.Module) -> nn.Module:
    """The network of a `LightningModule` that has no `forward`: its only submodule with parameters.

    Raises:
        UsageError: it has several.
    """
    base = next((kind for kind in type(network).__mro__ if kind.__name__ == "LightningModule"), None)
    if base is None or type(network).forward is not base.forward:  # type: ignore[attr-defined]
        return network
    parts = {name: part for name, part in network.named_children() if any(True for _ in part.parameters())}
    if len(parts) != 1:
        names = ", ".join(parts) or "none"
        raise UsageError(
            f"{type(network).__name__} has no forward, and {len(parts)} submodules with weights ({names}); "
            "give the one that maps clips to logits."
        )
    return next(iter(parts.values()))


def _has_fixed_size(network: nn.Module, clip_spec: ClipSpec) -> bool:
    """Whether a network fails on the full frame of a 4:3 video, or on a square if it gets no other frames."""
    size = Geometry.fit((3 * clip_spec.short_side, 4 * clip_spec.short_side), clip_spec, "full").resized
    if size == clip_spec.frame_size:  # every video is resized to it
        size = (clip_spec.size, clip_spec.size)
    try:
        with torch.no_grad(), frozen(network):
            find_logits(call(network, to_network(example_clip(clip_spec, size), network)))
    except (GlocalError, *NETWORK_ERRORS) as problem:
        raise_if_lacking(problem)
        return True
    return False


def _centre_crop(clip_spec: ClipSpec) -> tuple[ClipSpec, tuple[str, ...]]:
    """The clip spec for a network of fixed size, and a note if its default crop is not what was asked for."""
    size = clip_spec.size
    if clip_spec.frame_size == clip_spec.resize:
        return clip_spec, ()
    note = f"the network takes frames of {size}×{size} pixels only: the centre crop of the video is explained"
    cropped = replace(clip_spec, crop="center", short_side=max(clip_spec.short_side, size))
    return cropped, () if clip_spec.crop == "center" else (note,)


def _channel_mismatch(network: nn.Module, clip_spec: ClipSpec) -> str:
    """Say how the channels of the clips differ from those of the network's first convolution, if they do."""
    first = next(convolutions(network), None)
    if first is None or first.in_channels == clip_spec.channels or clip_spec.modality == "rgb+flow":
        return ""
    advice = {
        1: "give one value of mean and one of std in clip=ClipSpec(…) for grey clips",
        2: "give modality='flow' in clip=ClipSpec(…) if they are optical flow",
        3: "give three values of mean and of std in clip=ClipSpec(…)",
    }
    other = "clips have 3 channels, 1 if grey, 2 if flow"
    return (
        f"the network's first convolution takes {first.in_channels} channels, and the clips have "
        f"{clip_spec.channels}; {advice.get(first.in_channels, other)}."
    )


def _module_paths(network: nn.Module, modules: Mapping[str, nn.Module]) -> dict[str, str]:
    """Layer → path of its module in the network."""
    paths = {module: path for path, module in network.named_modules()}
    for layer, module in modules.items():
        if module not in paths:
            raise UsageError(f"the layer '{layer}' is not a part of the network.")
    return {layer: paths[module] for layer, module in modules.items()}


def example_clip(clip_spec: ClipSpec, size: tuple[int, int] | None = None) -> Tensor | list[Tensor]:
    """Zeros in the shape of a network's input; a list of clips for several streams.

    Args:
        clip_spec: of the network.
        size: height and width in pixels; by default those that the network was trained on.
    """
    frames, size = clip_spec.frames, size or clip_spec.frame_size
    if clip_spec.image:
        return torch.zeros(1, clip_spec.channels, *size)
    clips = [
        torch.zeros(1, channels, frames, *size)
        for stream, channels in (("rgb", len(clip_spec.mean)), ("flow", 2))
        if stream in clip_spec.modality
    ]
    return clips[0] if len(clips) == 1 else clips


def _class_names(labels: LabelSource | None, config: Any, num_classes: int) -> tuple[str, ...]:
    id2label = getattr(config, "id2label", None)
    if labels is not None:
        names = read_labels(labels)
    elif isinstance(id2label, dict) and len(id2label) == num_classes:
        names = tuple(str(id2label[index]) for index in range(num_classes))
    else:
        names = default_labels(num_classes)
    if len(names) != num_classes:
        raise UsageError(f"there are {len(names)} labels, but the network has {num_classes} classes.")
    return names

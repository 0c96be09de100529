"""What is compared: the methods, and maps that ask no network."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution import attribute
from glocal.attribution.method import METHODS
from glocal.errors import UsageError, nearest
from glocal.evaluation.sanity import ExplainFunction


def contenders(
    names: Sequence[str],
    layers: Mapping[str, str],
    aggregate: str = "sum",
    options: Mapping[str, Mapping[str, Any]] | None = None,
    counterfactual: bool = False,
) -> dict[str, ExplainFunction]:
    """Name → what explains clips `(B, C, T, H, W)` by it.

    Args:
        names: of methods, each perhaps with the layers that it shall look at, as in `gradcam@layer4` or
            `3dcam@conv+layer1`; empty for all methods on all layers.
        layers: layer → path of its module, so that copies of the network can be explained too.
        aggregate: how the maps of several layers are combined.
        options: method → its options.
        counterfactual: what speaks against the class in place of what speaks for it.

    Raises:
        UsageError: there is no such method, layer or option.
    """
    for method in options or {}:
        METHODS.check(method)
    found = {}
    for name in names or METHODS:
        method, _, chosen = name.partition("@")
        paths = [_path(layer, layers) for layer in chosen.split("+")] if chosen else list(layers.values())
        own = (options or {}).get(method, {})
        METHODS[method].resolve_options(own)
        found[name] = _explain(method, paths, aggregate, own, counterfactual)
    return found


def _path(layer: str, layers: Mapping[str, str]) -> str:
    if layer not in layers:
        known = list(layers)
        raise UsageError(f"there is no layer '{layer}'.{nearest(layer, known)} Layers: {', '.join(known)}.")
    return layers[layer]


def _explain(
    method: str, layers: list[str], aggregate: str, options: Mapping[str, Any], counterfactual: bool
) -> ExplainFunction:
    def explain(network: nn.Module, clips: Tensor, classes: Tensor) -> Tensor:
        with torch.random.fork_rng(devices=[clips.device] if clips.is_cuda else []):
            torch.manual_seed(0)
            return attribute(
                network,
                clips,
                layers,
                method=method,
                aggregate=aggregate,
                target=classes,
                counterfactual=counterfactual,
                options=options,
            ).attention

    return explain


def _random(network: nn.Module, clips: Tensor, classes: Tensor) -> Tensor:
    seeds = [zlib.crc32(clip.cpu().numpy().tobytes()) for clip in clips]
    shape = tuple(clips.shape[2:])
    return torch.stack([torch.rand(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def _centre(network: nn.Module, clips: Tensor, classes: Tensor) -> Tensor:
    y, x = (torch.linspace(-1, 1, n) for n in clips.shape[-2:])
    bump = torch.exp(-2 * (y[:, None] ** 2 + x**2))
    return bump.expand(len(clips), *clips.shape[2:]).contiguous()


def _change(network: nn.Module, clips: Tensor, classes: Tensor) -> Tensor:
    """Of images, differences of neighbouring pixels."""
    maps = clips.detach().float()
    axis = 2 if maps.dim() == 5 and maps.shape[2] > 1 else maps.dim() - 1
    moved = maps.diff(dim=axis, prepend=maps.narrow(axis, 0, 1)).abs().sum(1)
    return moved / moved.flatten(1).amax(1).clamp(min=1e-12).view(-1, *[1] * (moved.dim() - 1))


def _even(network: nn.Module, clips: Tensor, classes: Tensor) -> Tensor:
    return torch.ones(len(clips), *clips.shape[2:])


CONTROLS: Mapping[str, ExplainFunction] = {
    "even": _even,
    "random": _random,
    "centre": _centre,
    "change": _change,
}
"""The same everywhere, noise, a bump in the middle, differences of frames. They ask no network: beat them.

Boxes of the first are the whole frame, of the third at its best threshold the best box in the middle."""

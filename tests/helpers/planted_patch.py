"""Clips with a patch at a random place and time, and random networks made to decide by it, in closed form."""

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from helpers.foreign_networks import FRAMES, ForeignNetwork

Place = tuple[slice, slice, slice]
COLOUR = (4.0, -4.0, 4.0)


def planted_clips(foreign: ForeignNetwork) -> tuple[Tensor, Tensor, list[Place]]:
    """Even clips `(48, 3, T, H, W)`, the same with a patch, and where that is in each.

    A patch has a quarter of the side and half of the frames; the clips hold all places that start at even
    frames and at multiples of the patch's side.
    """
    side, places = foreign.side, []
    empty = torch.zeros(48, 3, FRAMES, side, side)
    planted, size = empty.clone(), side // 4
    for clip, (t, y, x) in zip(planted, itertools.product(range(3), range(4), range(4)), strict=True):
        place = slice(2 * t, 2 * t + 4), slice(size * y, size * (y + 1)), slice(size * x, size * (x + 1))
        clip[:, place[0], place[1], place[2]] = torch.tensor(COLOUR)[:, None, None, None]
        places.append(place)
    return empty, planted, places


def fit_head(foreign: ForeignNetwork) -> None:
    """Replace the head by ridge regression of −1 and 1 on the features of clips without and with the patch."""
    head, features = foreign.network.get_submodule(foreign.head), []
    passes: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, args: passes.append(args[0].detach()))
    empty, planted, _ = planted_clips(foreign)
    with torch.no_grad():
        for clips in (*empty.split(12), *planted.split(12)):
            passes.clear()
            foreign.logits(clips)
            features.append(torch.cat(passes).reshape(len(clips), -1, passes[0].shape[-1]).mean(1))
    handle.remove()
    x = torch.cat(features).double()
    y = torch.tensor([-1.0, 1.0], dtype=torch.double).repeat_interleave(len(empty))
    mean = x.mean(0)
    kernel = (x - mean) @ (x - mean).T
    kernel += 1e-4 * kernel.diagonal().mean() * torch.eye(len(kernel))
    weight = (x - mean).T @ torch.linalg.solve(kernel, y)
    fitted = nn.Linear(len(weight), 2)
    fitted.weight.data = torch.stack([-weight, weight]).float()
    fitted.bias.data = torch.stack([mean @ weight, -mean @ weight]).float()
    parent, _, name = foreign.head.rpartition(".")
    setattr(foreign.network.get_submodule(parent), name, fitted)


def plant_attention(foreign: ForeignNetwork, gap: float = 6.0) -> None:
    """Make the queries of every block ask for the patch: all attention is `gap` higher to keys as of the patch.

    Blocks follow each other, since the keys of one depend on the attention in those before.
    """
    empty, clip, _ = (values[21:22] for values in planted_clips(foreign))
    for name, module in list(foreign.network.named_modules()):
        if name.endswith((".query", ".q_proj")) and isinstance(module, nn.Linear):
            attention = foreign.network.get_submodule(name.rpartition(".")[0])
            key = getattr(attention, "key", None) or attention.k_proj
            _set_query(foreign, key, module, attention, slice(None), (clip, empty), gap)
        elif name.endswith(".qkv") and isinstance(module, nn.Linear):
            width = module.out_features // 3
            _set_query(foreign, module, module, module, slice(width, 2 * width), (clip, empty), gap)


def _set_query(
    foreign: ForeignNetwork,
    key: nn.Linear,
    query: nn.Linear,
    attention: Any,
    columns: slice,
    clips: tuple[Tensor, Tensor],
    gap: float,
) -> None:
    """Give a block the query, the same for all tokens, by which keys that the patch changes stand out."""
    keys: list[Tensor] = []
    handle = key.register_forward_hook(lambda _, args, result: keys.append(result[..., columns].detach()))
    with torch.no_grad():
        for clip in clips:
            foreign.logits(clip)
    handle.remove()
    if not keys:
        return
    planted, empty = (k.reshape(-1, k.shape[-1]) for k in keys)
    order = (planted - empty).norm(dim=1).argsort(descending=True)
    count, heads = len(order) // 32, 2
    direction = planted[order[:count]].mean(0) - planted[order[count:]].mean(0)
    direction = direction.unflatten(0, (heads, -1))
    asked = gap * direction.shape[1] ** 0.5 * direction / direction.square().sum(1, keepdim=True)
    width = asked.numel()
    query.weight.data[:width] = 0
    bias = query.bias if query.bias is not None else attention.q_bias
    bias.data[:width] = asked.flatten()

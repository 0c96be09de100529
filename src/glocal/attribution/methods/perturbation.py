"""Change the input or a layer and measure the score: Score-CAM, Ablation-CAM, RISE, occlusion."""

import itertools
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glocal.attribution.baselines import BASELINES
from glocal.attribution.inputs.layer_layout import LayerLayout, find_samples
from glocal.attribution.inputs.network_inputs import copies
from glocal.attribution.inputs.probe import stack
from glocal.attribution.method import input_method
from glocal.attribution.request import AttributionRequest
from glocal.attribution.tape import outputs_of
from glocal.errors import UsageError
from glocal.utils.resources import raise_if_lacking


@input_method(
    "scorecam",
    title="Score-CAM",
    paper="Wang et al., CVPR workshops 2020",
    cost="2 + channels forward, for each layer",
    needs="layers",
)
def score_cam(request: AttributionRequest, batch: int = 16) -> dict[str, Tensor]:
    """`ReLU(Σ_c softmax_c(y(x · mask_c)) · α_c)`; mask_c is α_c, upsampled and stretched to [0, 1]."""
    maps: dict[str, Tensor] = {}
    with torch.no_grad():
        for layer, activation in request.activations().items():
            scores = []
            for start, stop in request.batches(activation.shape[1], batch, layer):
                channels = activation[:, start:stop].float().transpose(0, 1).flatten(0, 1)
                scores.append(_score_through(request, _stretched(request.upsample(channels))))
            weights = _by_sample(scores, activation).softmax(1)
            maps[layer] = _weighted(weights, activation)
    return maps


@input_method(
    "ablationcam",
    title="Ablation-CAM",
    paper="Desai and Ramaswamy, WACV 2020",
    cost="at most 6 + channels forward, for each layer",
    needs="layers",
)
def ablation_cam(request: AttributionRequest, batch: int = 16) -> dict[str, Tensor]:
    """`ReLU(Σ_c (y − y_c) · α_c)`, with `y_c` the score when channel `c` of the layer is 0.

    The paper divides the weights by `y`. Where `y` is positive, the normalisation cancels this; where it is
    negative, it would invert the map. Modules before the layer run once for each batch of channels, in
    networks that allow it.
    """
    maps: dict[str, Tensor] = {}
    with torch.no_grad():
        score = request.target_score(request.logits)
        activations = request.activations()
        for layer, activation in activations.items():
            ablation = _ablation(request, layer)
            once = _copies_late(request, ablation, activation.shape[1])
            scores = [
                _score_without(request, ablation, range(start, stop), once)
                for start, stop in request.batches(activation.shape[1], batch, layer)
            ]
            maps[layer] = _weighted(score[:, None] - _by_sample(scores, activation), activation)
    return maps


@input_method(
    "rise",
    title="RISE, with masks in space and time",
    paper="Petsiuk et al., BMVC 2018, eq. 6",
    cost="1 + samples forward",
    needs="nothing: any network",
)
def rise(
    request: AttributionRequest,
    samples: int = 1000,
    cells: int = 7,
    moments: int = 4,
    keep: float = 0.5,
    batch: int = 16,
    seed: int = 0,
) -> Tensor:
    """`Σ_i (y_i − ȳ) · mask_i`: the covariance of the score with the visibility of a pixel.

    The paper's `Σ_i y_i · mask_i` has the same expectation up to a constant. Subtracting the mean score needs
    fewer masks and allows negative scores, such as logits and counterfactuals.

    Args:
        samples: masks, the same for each clip of a batch.
        cells: of a mask along each side, before upsampling.
        moments: of a mask in time, before upsampling.
        keep: probability that a cell is visible, below 1.
        batch: masks in one forward pass, at most.
        seed: of the masks.
    """
    if keep >= 1:
        raise UsageError(f"option 'keep' of method 'rise' is {keep}; give a share between 0 and 1.")
    generator = torch.Generator().manual_seed(seed)
    size = request.size
    grid = (moments, cells, cells)[-len(size) :]
    count = len(request.targets)
    weighted = torch.zeros(count, *size, device=request.targets.device)
    visible = torch.zeros(size, device=request.targets.device)
    total = torch.zeros(count, device=request.targets.device)
    with torch.no_grad():
        for start, stop in request.batches(samples, batch):
            masks = torch.stack([_random_mask(grid, size, keep, generator) for _ in range(start, stop)])
            masks = masks.to(request.targets.device)
            scores = _score_through(request, masks.repeat_interleave(count, 0)).view(len(masks), count)
            weighted += torch.einsum("nb,n...->b...", scores, masks)
            visible += masks.sum(0)
            total += scores.sum(0)
    return weighted - (total / samples).view(-1, *[1] * len(size)) * visible


@input_method(
    "occlusion",
    title="Occlusion by blocks in space and time",
    paper="Zeiler and Fergus, ECCV 2014",
    cost="1 + blocks forward",
    needs="nothing: any network",
)
def occlusion(
    request: AttributionRequest, pixels: int = 32, frames: int = 4, batch: int = 8, baseline: str = "zero"
) -> Tensor:
    """`ReLU(y − y_occluded)`, the mean over the blocks of a baseline that cover a pixel.

    Args:
        pixels, frames: edge of a block in space and in time; blocks are half of that apart. In a slower
            input, a block has fewer frames and covers the same time.
        batch: occluded clips in one pass, at most.
        baseline: name in `BASELINES` of what a block shows: zero, the mean colour of the training data in a
            normalised clip; mean, the clip's own mean colour; blur.

    Raises:
        UsageError: there is no such baseline.
    """
    replace_by = BASELINES[baseline]
    count = len(request.targets)
    videos = request.videos
    with torch.no_grad():
        score = request.target_score(request.logits)
        total = torch.zeros(count, *request.size, device=request.targets.device)
        for position, video in enumerate(videos):
            length = max(1, round(frames * video.shape[2] / request.size[0])) if video.dim() == 5 else 1
            blocks = _blocks(video.shape[2:], (length, pixels, pixels)[5 - video.dim() :])
            drops = torch.zeros(count, *video.shape[2:], device=video.device)
            covered = torch.zeros(1, *video.shape[2:], device=video.device)
            replacement = replace_by(video).movedim(1, -1)
            for start, stop in request.batches(len(blocks), batch):
                occluded = [copies(x, stop - start) for x in videos]
                views = occluded[position].movedim(1, -1).view(stop - start, count, *video.shape[2:], -1)
                for view, block in zip(views, blocks[start:stop], strict=True):
                    view[block] = replacement[block]
                scores = request.score_videos(*occluded).view(stop - start, count)
                for row, block in zip(scores, blocks[start:stop], strict=True):
                    drops[block] += (score - row).view(-1, *[1] * len(video.shape[2:]))
                    covered[block] += 1
            total += request.upsample((drops / covered).clamp(min=0))
    return total


def _blocks(size: tuple[int, ...], edges: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """Blocks `(all samples, T, H, W)` of `edges`, half of that apart, over `size`; the last are cut off."""
    axes = [[slice(None)]]
    for length, edge in zip(size, edges, strict=True):
        edge = min(length, edge)
        stride = max(1, edge // 2)
        starts = range(0, stride * ceil((length - edge) / stride) + 1, stride)
        axes.append([slice(start, start + edge) for start in starts])
    return list(itertools.product(*axes))


def _score_through(request: AttributionRequest, masks: Tensor) -> Tensor:
    """Scores `(N·B,)` of N copies of the batch, each clip multiplied by one of `masks` `(N·B, T, H, W)`."""
    count = len(masks) // len(request.targets)
    masked = (copies(x, count) * request.resize_to(x, masks)[:, None].to(x.dtype) for x in request.videos)
    return request.score_videos(*masked)


def _random_mask(
    grid: tuple[int, ...], size: tuple[int, ...], keep: float, generator: torch.Generator
) -> Tensor:
    """A random binary grid, upsampled to one cell more than `size` and cropped at a random place."""
    cell = [-(-n // k) for n, k in zip(size, grid, strict=True)]
    cells = (torch.rand(grid, generator=generator) < keep).float()
    mode = "trilinear" if len(size) == 3 else "bilinear"
    padded = [(k + 1) * c for k, c in zip(grid, cell, strict=True)]
    mask = F.interpolate(cells[None, None], padded, mode=mode, align_corners=False)[0, 0]
    for axis, (n, c) in enumerate(zip(size, cell, strict=True)):
        mask = mask.narrow(axis, int(torch.randint(c, (), generator=generator)), n)
    return mask


class _Ablation(NamedTuple):
    """A layer, and how its outputs lie over the input."""

    module: nn.Module
    layout: LayerLayout


def _ablation(request: AttributionRequest, layer: str) -> _Ablation:
    """A layer with its layout, and where in its outputs the samples lie that copies of the clips would be.

    Raises:
        UsageError: these are not found.
    """
    module, layout = request.layers[layer], request.layouts[layer]
    if layout.knows_samples:
        return _Ablation(module, layout)
    stacks = []
    for count in (1, 2):
        clips = request.with_videos(*(copies(x, count) for x in request.videos))
        outputs, _ = outputs_of(request.network, clips, {layer: module})
        stacks.append(stack(outputs[layer]))
    alone, doubled = stacks
    samples = None if alone is None or doubled is None else find_samples(doubled, alone, 2)
    if samples is None:
        raise UsageError(
            f"method '{request.method}' runs the network on several copies of its inputs at once, and layer "
            f"'{layer}' returns something else for two; choose a method that needs none, such as gradcam."
        )
    return _Ablation(module, replace(layout, samples=samples))


def _copies_late(request: AttributionRequest, ablation: _Ablation, channels: int) -> bool:
    """Whether the network returns the same if its batch is copied after a layer instead of at its input.

    It does not where something bypasses the layer that does not broadcast, such as a skip connection with a
    batch of several clips.
    """
    if not ablation.layout.is_usual:
        return False
    sample = range(min(2, channels))
    early = _score_without(request, ablation, sample, late=False)
    try:
        late = _score_without(request, ablation, sample, late=True)
    except Exception as problem:  # of any kind: the network is not written for such sizes
        raise_if_lacking(problem)
        return False
    tolerance = 64 * torch.finfo(request.logits.dtype).eps
    return late.shape == early.shape and torch.allclose(late, early, rtol=tolerance, atol=tolerance)


def _score_without(request: AttributionRequest, ablation: _Ablation, channels: range, late: bool) -> Tensor:
    """Scores `(N·B,)` with one of N channels of a layer's output set to 0 in each copy of the batch.

    The copies are made of the layer's output (`late`), or of the clips.
    """
    count, batch = len(channels), len(request.targets)
    calls = itertools.count()
    expected_calls = ablation.layout.calls(count * batch)

    def ablate(module: nn.Module, args: Any, result: Any) -> Any:
        output = result if isinstance(result, Tensor) else result[0]
        ablated = copies(output, count) if late else output.clone()
        parts = ablation.layout.channels_of_samples(ablated, next(calls), expected_calls, count * batch)
        for sample, part in parts:
            part[channels[sample // batch]].zero_()
        return ablated if isinstance(result, Tensor) else type(result)((ablated, *result[1:]))

    clips = request.with_videos(*(copies(x, 1 if late else count) for x in request.videos))
    handle = ablation.module.register_forward_hook(ablate)
    try:
        return request.score(clips)
    finally:
        handle.remove()


def _by_sample(scores: list[Tensor], activation: Tensor) -> Tensor:
    """Rearrange the scores of all channels, batches of `(N·B,)`, as `(B, C)`."""
    return torch.cat(scores).view(-1, len(activation)).T


def _weighted(weights: Tensor, activation: Tensor) -> Tensor:
    """`ReLU(Σ_c w_c · α_c)`."""
    return torch.einsum("bc,bc...->b...", weights.to(activation.dtype), activation).clamp(min=0)


def _stretched(masks: Tensor) -> Tensor:
    """Stretch each mask's values to [0, 1]; a constant mask becomes 0."""
    flat = masks.flatten(1)
    low, high = (x.view(-1, *[1] * (masks.dim() - 1)) for x in (flat.amin(1), flat.amax(1)))
    return ((masks - low) / (high - low)).where(high > low, 0.0)

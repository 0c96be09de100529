"""Attribution methods that change the input or a layer, and watch the score."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glocal.attribution.inputs.token_grid import Canvas
from glocal.attribution.method import input_method
from glocal.attribution.request import Call
from glocal.errors import UsageError


@input_method(
    "scorecam",
    title="Score-CAM",
    paper="Wang et al., CVPR workshops 2020",
    cost="2 + channels forward, for each layer",
    needs="layers",
)
def score_cam(call: Call, batch: int = 16) -> dict[str, Tensor]:
    """`ReLU(Σ_c softmax_c(y(x · mask_c)) · α_c)`; mask_c is α_c, upsampled and stretched to [0, 1]."""
    maps: dict[str, Tensor] = {}
    with torch.no_grad():
        for layer, activation in call.activations().items():
            scores = []
            for start, stop in call.steps(activation.shape[1], batch, layer):
                channels = activation[:, start:stop].float().transpose(0, 1).flatten(0, 1)
                scores.append(_score_through(call, _stretched(call.at_size(channels))))
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
def ablation_cam(call: Call, batch: int = 16) -> dict[str, Tensor]:
    """`ReLU(Σ_c (y − y_c) · α_c)`, with `y_c` the score when channel `c` of the layer is 0.

    The paper divides the weights by `y`: the normalisation takes that out again where `y` is positive, and
    where it is negative it would turn the map upside down. What comes before the layer is computed once for
    each batch of channels, in networks that allow it.
    """
    maps: dict[str, Tensor] = {}
    with torch.no_grad():
        score = call.pick(call.logits)
        for layer, activation in call.activations().items():
            module = call.layers[layer]
            once = _copies_late(call, module, activation.shape[1])
            scores = [
                _score_without(call, module, range(start, stop), once)
                for start, stop in call.steps(activation.shape[1], batch, layer)
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
    call: Call,
    samples: int = 1000,
    cells: int = 7,
    moments: int = 4,
    keep: float = 0.5,
    batch: int = 16,
    seed: int = 0,
) -> Tensor:
    """`Σ_i (y_i − ȳ) · mask_i`: the covariance of the score with seeing a place.

    The paper's `Σ_i y_i · mask_i` has the same expectation but for a constant; without the mean score it
    needs fewer masks, and takes logits and counterfactuals, which may be negative.

    Args:
        samples: masks, the same for each clip of a batch.
        cells, moments: of a mask, along each side and in time, before upsampling.
        keep: the probability that a cell is seen, below 1.
        batch: masks in one forward pass.
        seed: of the masks.
    """
    if keep >= 1:
        raise UsageError(f"option 'keep' of method 'rise' is {keep}; give a share between 0 and 1.")
    generator = torch.Generator().manual_seed(seed)
    size = call.size
    grid = (moments, cells, cells)[-len(size) :]
    count = len(call.classes)
    weighed = torch.zeros(count, *size, device=call.classes.device)
    seen = torch.zeros(size, device=call.classes.device)
    total = torch.zeros(count, device=call.classes.device)
    with torch.no_grad():
        for start, stop in call.steps(samples, batch):
            masks = torch.stack([_random_mask(grid, size, keep, generator) for _ in range(start, stop)])
            masks = masks.to(call.classes.device)
            scores = _score_through(call, masks.repeat_interleave(count, 0)).view(len(masks), count)
            weighed += torch.einsum("nb,n...->b...", scores, masks)
            seen += masks.sum(0)
            total += scores.sum(0)
    return weighed - (total / samples).view(-1, *[1] * len(size)) * seen


def copies(x: Tensor, count: int) -> Tensor:
    """`count` copies of the batch after one another."""
    return x.repeat(count, *[1] * (x.dim() - 1))


def _score_through(call: Call, masks: Tensor) -> Tensor:
    """`(N·B,)`: scores of N copies of the batch, each clip seen through one of `masks` `(N·B, T, H, W)`."""
    count = len(masks) // len(call.classes)
    seen = (copies(x, count) * call.on_video(masks, x)[:, None].to(x.dtype) for x in call.videos)
    return call.score_many(*seen)


def _random_mask(
    grid: tuple[int, ...], size: tuple[int, ...], keep: float, generator: torch.Generator
) -> Tensor:
    """A grid of cells seen or not, upsampled to a cell more than `size`, and cut to it at a random place."""
    cell = [-(-n // k) for n, k in zip(size, grid, strict=True)]
    cells = (torch.rand(grid, generator=generator) < keep).float()
    mode = "trilinear" if len(size) == 3 else "bilinear"
    whole = [(k + 1) * c for k, c in zip(grid, cell, strict=True)]
    mask = F.interpolate(cells[None, None], whole, mode=mode, align_corners=False)[0, 0]
    for axis, (n, c) in enumerate(zip(size, cell, strict=True)):
        mask = mask.narrow(axis, int(torch.randint(c, (), generator=generator)), n)
    return mask


def _copies_late(call: Call, module: nn.Module, channels: int) -> bool:
    """Whether the network answers alike if its batch is copied at `module`, in place of at its input.

    Not where something goes round `module` that does not broadcast, as with several clips and a skip
    connection.
    """
    tried = range(min(2, channels))
    early = _score_without(call, module, tried, late=False)
    try:
        late = _score_without(call, module, tried, late=True)
    except Exception:  # of any kind: the network gets sizes that it was not written for
        return False
    tolerance = 64 * torch.finfo(call.logits.dtype).eps
    return late.shape == early.shape and torch.allclose(late, early, rtol=tolerance, atol=tolerance)


def _score_without(call: Call, module: nn.Module, channels: range, late: bool) -> Tensor:
    """`(N·B,)`: scores with one channel of the module's output set to 0, one copy of the batch for each.

    The copies are made `late`, of the module's output, or of the clips.
    """
    canvas = Canvas.of(call.network, call.clips, call.question.grid)
    count = len(channels)

    def ablate(module: nn.Module, args: Any, result: Any) -> Any:
        output = result if isinstance(result, Tensor) else result[0]
        ablated = copies(output, count) if late else output.clone()
        for copy, channel in zip(ablated.view(count, -1, *output.shape[1:]), channels, strict=True):
            view = canvas.beside(result).fold(copy, module)
            assert view is not None, "call.activations() has folded it before"
            view[:, channel].zero_()
        return ablated if isinstance(result, Tensor) else type(result)((ablated, *result[1:]))

    handle = module.register_forward_hook(ablate)
    try:
        return call.score(call.replaced(*(copies(x, 1 if late else count) for x in call.videos)))
    finally:
        handle.remove()


def _by_sample(scores: list[Tensor], activation: Tensor) -> Tensor:
    """`(B, C)` from batches `(N·B,)`."""
    return torch.cat(scores).view(-1, len(activation)).T


def _weighted(weights: Tensor, activation: Tensor) -> Tensor:
    return torch.einsum("bc,bc...->b...", weights.to(activation.dtype), activation).clamp(min=0)


def _stretched(masks: Tensor) -> Tensor:
    """Each mask's values stretched to [0, 1]; a flat one is 0."""
    flat = masks.flatten(1)
    low, high = (x.view(-1, *[1] * (masks.dim() - 1)) for x in (flat.amin(1), flat.amax(1)))
    return ((masks - low) / (high - low)).where(high > low, 0.0)

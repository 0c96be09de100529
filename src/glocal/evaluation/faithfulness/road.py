"""ROAD: the score while places are removed by noisy linear imputation, which does not show where."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu
from torch import Tensor, nn

from glocal.errors import UsageError
from glocal.evaluation.faithfulness.removal import removal_order
from glocal.evaluation.faithfulness.scoring import Output, class_score

SHARES: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
"""Shares of the places that are removed."""

NOISE = 0.01
"""Standard deviation of the noise on imputed values, of clips that are normalised."""

DIRECT, DIAGONAL = 1 / 6, 1 / 12
"""Weights of the neighbours of a pixel (Rong et al., 2022, section 4.2)."""

Offsets = tuple[tuple[tuple[int, int], float], ...]
"""Steps to the neighbours of a place along two axes, with their weights."""

PIXEL_OFFSETS: Offsets = tuple(
    ((y, x), DIRECT if 0 in (y, x) else DIAGONAL)
    for y, x in product((-1, 0, 1), repeat=2)
    if (y, x) != (0, 0)
)
FRAME_OFFSETS: Offsets = (((-1, 0), 0.5), ((1, 0), 0.5))


@dataclass(frozen=True)
class RoadScores:
    """Scores of a class while places of a clip are imputed.

    Attributes:
        shares: `(S,)`, how much of the clip is imputed.
        most_first: `(B, S)`, the highest attributions are imputed (MoRF); lower is better.
        least_first: `(B, S)`, the lowest are (LeRF); higher is better.
    """

    shares: Tensor
    most_first: Tensor
    least_first: Tensor

    @property
    def combined(self) -> Tensor:
        """`(B,)`: the mean over the shares of half of LeRF minus MoRF; higher is better, 0 is chance."""
        return ((self.least_first - self.most_first) / 2).mean(1)


def road(
    network: nn.Module,
    clips: Tensor,
    attributions: Tensor,
    targets: Tensor,
    *,
    over: str = "space",
    shares: tuple[float, ...] = SHARES,
    noise: float = NOISE,
    score: str = "probability",
    output: Output = None,
) -> RoadScores:
    """Score clips in which the most, or the least, relevant places are imputed (Rong et al., ICML 2022).

    Removed pixels that are replaced by one value or a blur show the network where they were. Imputation from
    their neighbours, with a little noise, does not: remove and debias.

    Args:
        network: any module that returns logits.
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        attributions: `(B, T, H, W)`, or `(B, H, W)`.
        targets: `(B,)`, the class index explained in each clip.
        over: see `REMOVAL_UNITS`; images have space only. Frames are imputed from the frames around them,
            pixels from those around them in their frame.
        shares: of the places that are imputed, in (0, 1).
        noise: standard deviation of the noise on imputed values; the same numbers in every call.
        score: `"probability"` or `"logit"`.
        output: takes the logits out of what the network returns.

    Raises:
        UsageError: `over` is unknown, a share is not in (0, 1), or shapes do not fit.
    """
    if any(not 0 < share < 1 for share in shares):
        raise UsageError(f"shares are {', '.join(f'{share:g}' for share in shares)}; use some in (0, 1).")
    ranks = removal_order(clips, attributions, over)
    num_units = ranks[0].numel()
    columns: dict[bool, list[Tensor]] = {True: [], False: []}
    for most_first, share in product((True, False), shares):
        count = round(share * num_units)
        removed = ranks < count if most_first else ranks >= num_units - count
        imputed = impute(clips, removed, noise=noise)
        columns[most_first].append(class_score(network, imputed, targets, score=score, output=output))
    return RoadScores(torch.tensor(shares), *(torch.stack(columns[key], 1) for key in (True, False)))


def impute(clips: Tensor, removed: Tensor, *, noise: float = NOISE) -> Tensor:
    """Replace removed places by the weighted mean of their neighbours, and add noise.

    Removed neighbours are imputed too, so that the values solve a sparse linear system (Rong et al., 2022,
    eq. 5), which is factorised once for all channels and frames of one mask. If whole frames are removed, the
    neighbours are the same pixels of the frames before and after; else the eight pixels around, direct ones
    with twice the weight of diagonal ones. Where nothing is known, values are 0.

    Args:
        clips: `(B, C, T, H, W)`, or images `(B, C, H, W)`.
        removed: True where a value is removed, `(B, 1, …)`, with size 1 along axes that have all in common.
        noise: standard deviation of the noise.
    """
    removed = removed.cpu()
    whole_frames = clips.dim() == 5 and removed.shape[-2:] == (1, 1) and clips.shape[-2:] != (1, 1)
    pixels = clips.unsqueeze(2) if clips.dim() == 4 else clips
    masks = removed.unsqueeze(2) if removed.dim() == 4 else removed
    values = pixels.detach().cpu().double().numpy().copy()
    for sample, mask in zip(values, masks.expand(len(clips), *masks.shape[1:])[:, 0].numpy(), strict=True):
        if whole_frames:
            _impute_plane(sample.transpose(1, 0, 2, 3)[:, None], mask[:, 0], FRAME_OFFSETS)
        elif len(mask) == 1:
            _impute_plane(sample.transpose(2, 3, 0, 1), mask[0], PIXEL_OFFSETS)
        else:
            for frame, plane in enumerate(mask):
                _impute_plane(sample[:, frame].transpose(1, 2, 0), plane, PIXEL_OFFSETS)
    imputed = torch.from_numpy(values).view(clips.shape).to(clips)
    generator = torch.Generator().manual_seed(0)
    dtype = clips.dtype if clips.dtype == torch.float64 else torch.float32
    drawn = torch.randn(clips.shape[1:], generator=generator, dtype=dtype).to(clips)
    return imputed + noise * drawn * removed.to(clips)


def _impute_plane(values: npt.NDArray[np.float64], removed: npt.NDArray[np.bool_], offsets: Offsets) -> None:
    """Replace the removed places of a plane in place.

    Args:
        values: `(h, w, …)`, planes of the same mask along the further axes.
        removed: `(h, w)`.
        offsets: to the neighbours of a place.
    """
    values[removed] = 0
    count = int(removed.sum())
    if count in (0, removed.size):
        return
    numbers = np.full(removed.shape, -1)
    numbers[removed] = np.arange(count)
    known_sum = np.zeros((count, values[0, 0].size))
    diagonal = np.zeros(count)
    entries: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]] = []
    for step, weight in offsets:
        places, neighbours = _neighbour_pairs(removed.shape, step)
        own, other = numbers[places], numbers[neighbours]
        inside = own >= 0
        diagonal[own[inside]] += weight
        both, boundary = inside & (other >= 0), inside & (other < 0)
        entries.append((own[both], other[both], np.full(int(both.sum()), -weight)))
        known_sum[own[boundary]] += weight * values[neighbours][boundary].reshape(-1, known_sum.shape[1])
    entries.append((np.arange(count), np.arange(count), diagonal))
    rows, columns, weights = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    matrix = csc_array((weights, (rows, columns)), shape=(count, count))
    factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    values[removed] = factors.solve(known_sum).reshape(count, *values.shape[2:])


def _neighbour_pairs(
    shape: tuple[int, ...], step: tuple[int, int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The places of a plane that have a neighbour at `step`, and those neighbours."""
    places = tuple(slice(max(0, -s), size - max(0, s)) for s, size in zip(step, shape, strict=True))
    neighbours = tuple(slice(max(0, s), size - max(0, -s)) for s, size in zip(step, shape, strict=True))
    return places, neighbours

"""Which frames of a clip the frames of a slower input are, for networks with several pathways."""

from collections.abc import Mapping

import torch
from torch import Tensor

from glocal.attribution.inputs import Inputs, tensors

Times = Mapping[int, Tensor]
"""Number of frames of a slower input → the frame `(T_slow,)` of the fastest input that each of them is."""


def frame_times(clips: Inputs) -> Times:
    """When the frames of each slower input `(B, C, T_slow, H, W)` happen, counted in those of the fastest.

    Each slow frame is looked up among the fast ones; of several equal ones the nearest to its turn counts.
    Where not all are found, because the inputs differ in more than their frames, frame `i` of `T_slow` is
    frame `i · T / T_slow`, as a stride samples it (Feichtenhofer et al., SlowFast Networks, section 3.1).
    """
    inputs = [t for t in tensors(clips) if isinstance(t, Tensor) and t.dim() == 5 and t.is_floating_point()]
    if not inputs:
        return {}
    fast = max(inputs, key=lambda t: t.shape[2])
    return {slow.shape[2]: _times(slow, fast) for slow in inputs if slow.shape[2] < fast.shape[2]}


def _times(slow: Tensor, fast: Tensor) -> Tensor:
    count = slow.shape[2]
    strided = torch.arange(count) * (fast.shape[2] / count)
    if slow.shape[:2] != fast.shape[:2] or slow.shape[3:] != fast.shape[3:]:
        return strided
    found = []
    for i, turn in enumerate(strided):
        same = (fast == slow[:, :, i : i + 1]).all(dim=4).all(dim=3).all(dim=1).all(dim=0)
        frames = same.nonzero().flatten().cpu()
        if not len(frames):
            return strided
        found.append(frames[(frames - turn).abs().argmin()])
    times = torch.stack(found).float()
    return times if bool((times.diff() > 0).all()) else strided

"""Attention that follows the actor: refinements that use the video alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from glocal.explanation.volume import Volume
from glocal.localization.boxes import auto_threshold, boxes
from glocal.localization.tubes import Tube, tubes
from glocal.registry import Registry
from glocal.types import AttributionMap, Frame
from glocal.utils.optional_import import optional_import
from glocal.video.flow import dis_flow, relative_motion

Refinement = Callable[[Iterable[AttributionMap], Iterable[Frame], Sequence[int]], Iterator[AttributionMap]]
"""Maps `(H, W)`, frames `(H, W, 3)` RGB of the same size, and cuts → the refined maps."""

REFINEMENTS = Registry[Refinement]("refinement", entry_points="glocal.refinements")
"""Name → refinement."""

SMOOTHNESS = 1e-2
"""ε of the guided filter: the variance of colours in [0, 1] that counts as an edge."""

SIDE = 160
"""Pixels of the shorter side that are enough to refine by: the cost grows with the area."""

STILL = 0.5
"""Share of the attention that is left where nothing moves."""

SURE_FIGURE, SURE_GROUND = 0.8, 0.8
"""GrabCut's seeds: this far from the threshold up to the maximum, and below this share of the threshold."""


@REFINEMENTS.register("flow")
def flow(
    maps: Iterable[AttributionMap], frames: Iterable[Frame], cuts: Sequence[int] = ()
) -> Iterator[AttributionMap]:
    """Agreement with optical flow: attention counts where things move against the background, whose motion,
    the camera's, is subtracted. The last frame of a scene takes the motion that leads to it."""
    maps = iter(maps)
    moving: AttributionMap | None = None
    scene_starts = set(cuts)
    for index, (frame, following) in enumerate(pairwise(_and_none(frames)), 1):
        assert frame is not None
        attention = next(maps)
        if following is not None and index not in scene_starts:
            moving = relative_motion(dis_flow(frame, following))
        yield attention if moving is None else attention * (STILL + (1 - STILL) * moving)
        if index in scene_starts:
            moving = None


@REFINEMENTS.register("guided")
def guided(
    maps: Iterable[AttributionMap], frames: Iterable[Frame], cuts: Sequence[int] = ()
) -> Iterator[AttributionMap]:
    """Guided feathering (He, Sun and Tang, 2013, section 4): what the attention's threshold takes for the
    figure is filtered with the frame as the guide, so that its border lies on edges of the frame, and masks
    the attention."""
    ximgproc = optional_import("cv2.ximgproc", purpose="the refinement 'guided'")
    for attention, frame in zip(maps, frames, strict=True):
        figure = (attention >= auto_threshold([attention]) * attention.max()).astype(np.float32)
        guide = frame.astype(np.float32) / 255
        radius = max(2, min(frame.shape[:2]) // 14)
        matte = ximgproc.guidedFilter(guide, figure, radius, SMOOTHNESS)
        yield attention * np.asarray(matte, np.float32).clip(0, 1)


@REFINEMENTS.register("grabcut")
def grabcut(
    maps: Iterable[AttributionMap], frames: Iterable[Frame], cuts: Sequence[int] = ()
) -> Iterator[AttributionMap]:
    """GrabCut (Rother, Kolmogorov and Blake, 2004) seeded by the attention: the frame is parted into figure
    and ground by colour, beginning with what the attention is sure of. The parts of the figure that hang
    together with that are kept, unless they shrink to a tenth of the seed or spill over three times as much.
    """
    for attention, frame in zip(maps, frames, strict=True):
        peak = float(attention.max(initial=0))
        threshold = auto_threshold([attention])
        seed = attention >= threshold * peak
        if peak <= 0 or seed.all():
            yield attention
            continue
        labels = np.where(seed, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        labels[attention >= (threshold + SURE_FIGURE * (1 - threshold)) * peak] = cv2.GC_FGD
        labels[attention < SURE_GROUND * threshold * peak] = cv2.GC_BGD
        figure = _cut(frame, labels)
        trusted = 0.1 < figure.sum() / seed.sum() < 3
        yield highlight(attention, figure) if trusted else attention


@REFINEMENTS.register("link")
def link(
    maps: Iterable[AttributionMap], frames: Iterable[Frame], cuts: Sequence[int] = ()
) -> Iterator[AttributionMap]:
    """Linking over time: in each frame the tube through it stays that holds the most attention in all its
    frames together (see `tubes`). Takes all maps in before it gives the first one out."""
    kept = Volume()
    for attention in maps:
        kept.append(attention)
    threshold = auto_threshold(kept)
    found = tubes([boxes(attention, threshold, every=True) for attention in kept], cuts=cuts)
    found.sort(key=lambda tube: -tube.score * len(tube.boxes))
    for index, attention in enumerate(kept):
        tube = next((tube for tube in found if tube.start <= index < tube.end), None)
        yield attention if tube is None else highlight(attention, _inside(tube, index, attention.shape))


def highlight(attention: AttributionMap, figure: npt.NDArray[np.bool_]) -> AttributionMap:
    """Attention in the upper half of its range in the figure, and zero outside.

    Every threshold up to one half gives the figure as it is; the maximum stays where it was, if it is in it.
    """
    return np.asarray(figure * (attention + attention.max()) / 2, np.float32)


def refine(
    maps: Iterable[AttributionMap], frames: Iterable[Frame], names: Sequence[str], cuts: Sequence[int] = ()
) -> Iterator[AttributionMap]:
    """The maps, one a frame, refined by each of `names` in turn, in constant memory.

    Args:
        maps: `(H, W)` each, not negative.
        frames: `(H, W, 3)` uint8 RGB; iterated over once by each refinement, so no iterator but, say, a
            sequence or a `Video`.
        names: see `REFINEMENTS`.
        cuts: first frame of every scene but the first.

    Raises:
        UsageError: a refinement is unknown.
        InputError: OpenCV is installed without its contrib modules.
    """
    REFINEMENTS.check(*names)
    for name in names:
        maps = REFINEMENTS[name](maps, frames, cuts)
    return iter(maps)


def _cut(frame: Frame, labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """The figure that GrabCut finds, as far as it hangs together with what is sure to be part of it."""
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    result, *_ = cv2.grabCut(frame, labels.copy(), (0, 0, 1, 1), *models, 1, cv2.GC_INIT_WITH_MASK)
    figure = (result == cv2.GC_FGD) | (result == cv2.GC_PR_FGD)
    _, parts = cv2.connectedComponents(figure.astype(np.uint8))
    return np.asarray(np.isin(parts, np.unique(parts[labels == cv2.GC_FGD])) & figure)


def _inside(tube: Tube, frame: int, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    box = tube.boxes[frame - tube.start]
    figure = np.zeros(shape, bool)
    figure[box.y0 : box.y1, box.x0 : box.x1] = True
    return figure


def _and_none(frames: Iterable[Frame]) -> Iterator[Frame | None]:
    yield from frames
    yield None

"""Refinements: adapt attribution maps to the frames, using the video alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from glocal.explanation.volume import Volume
from glocal.localization.guided_filter import guided_filter
from glocal.regions.boxes import auto_threshold, boxes
from glocal.regions.tubes import tubes
from glocal.registry import Registry
from glocal.types import AttributionMap, Frame, Mask, Pixels, Tube
from glocal.utils.opencv import cv2
from glocal.video.flow import motion_maps

Refinement = Callable[[Iterable[AttributionMap], Iterable[Frame], Sequence[int]], Iterator[AttributionMap]]
"""Maps `(H, W)`, frames `(H, W, 3)` of the same size, and cuts → refined maps."""

REFINEMENTS = Registry[Refinement]("refinement", entry_points="glocal.refinements")
"""Name → refinement."""


@runtime_checkable
class TimedFrames(Protocol):
    """Frames of a video with their rate, such as a `Video`."""

    @property
    def fps(self) -> float:
        """Frames per second."""

    def __iter__(self) -> Iterator[Frame]: ...


def frame_rate(frames: Iterable[Frame]) -> float | None:
    """Frames per second of `TimedFrames`; None for others."""
    return frames.fps if isinstance(frames, TimedFrames) else None


GUIDED_FILTER_EPSILON = 1e-2
"""ε of the guided filter: the variance of colours in [0, 1] that counts as an edge."""

REFINEMENT_SIDE = 160
"""Shorter side in pixels at which maps are refined; the cost grows with the area."""

STILL_WEIGHT = 0.5
"""Share of the attribution that `flow` leaves where nothing moves."""

SURE_FOREGROUND, SURE_BACKGROUND = 0.8, 0.8
"""GrabCut's seeds: this far from the threshold to the maximum, and below this share of the threshold."""


@REFINEMENTS.register("flow")
def flow(
    maps: Iterable[AttributionMap], frames: Iterable[Frame], cuts: Sequence[int] = ()
) -> Iterator[AttributionMap]:
    """Weight the attribution by motion relative to the background, from optical flow without the camera's.

    Half of the attribution stays where nothing moves. See `motion_maps`.
    """
    for attribution, moving in zip(maps, motion_maps(frames, fps=frame_rate(frames), cuts=cuts), strict=True):
        yield attribution * (STILL_WEIGHT + (1 - STILL_WEIGHT) * moving)


@REFINEMENTS.register("motion")
def motion(
    maps: Iterable[AttributionMap], frames: Iterable[Frame], cuts: Sequence[int] = ()
) -> Iterator[AttributionMap]:
    """Multiply the attribution by motion relative to the background: only what moves is left.

    The maximum of each frame stays as it is, and so does a frame without attribution on anything that moves.
    See `motion_maps`.
    """
    for attribution, moving in zip(maps, motion_maps(frames, fps=frame_rate(frames), cuts=cuts), strict=True):
        product = attribution * moving
        highest = float(product.max(initial=0))
        yield product * np.float32(attribution.max() / highest) if highest > 0 else attribution


@REFINEMENTS.register("guided")
def guided(
    maps: Iterable[AttributionMap], frames: Iterable[Frame], cuts: Sequence[int] = ()
) -> Iterator[AttributionMap]:
    """Guided feathering (He, Sun and Tang, 2013, section 4): align the border of the figure with image edges.

    The thresholded attribution is filtered with the frame as the guide, and the result masks the attribution.
    """
    for attribution, frame in zip(maps, frames, strict=True):
        figure = (attribution >= auto_threshold([attribution]) * attribution.max()).astype(np.float32)
        guide = frame.astype(np.float32) / 255
        radius = max(2, min(frame.shape[:2]) // 14)
        matte = guided_filter(guide, figure, radius=radius, epsilon=GUIDED_FILTER_EPSILON)
        yield attribution * matte.clip(0, 1)


@REFINEMENTS.register("grabcut")
def grabcut(
    maps: Iterable[AttributionMap], frames: Iterable[Frame], cuts: Sequence[int] = ()
) -> Iterator[AttributionMap]:
    """GrabCut (Rother, Kolmogorov and Blake, 2004): segment the figure by colour, seeded by the attribution.

    The parts of the figure that are connected with the sure foreground replace the thresholded attribution,
    unless their area is below a tenth or above three times of it.
    """
    for attribution, frame in zip(maps, frames, strict=True):
        maximum = float(attribution.max(initial=0))
        threshold = auto_threshold([attribution])
        seed = attribution >= threshold * maximum
        if maximum <= 0 or seed.all():
            yield attribution
            continue
        labels = np.where(seed, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        labels[attribution >= (threshold + SURE_FOREGROUND * (1 - threshold)) * maximum] = cv2.GC_FGD
        labels[attribution < SURE_BACKGROUND * threshold * maximum] = cv2.GC_BGD
        figure = _grabcut(frame, labels)
        plausible = 0.1 < figure.sum() / seed.sum() < 3
        yield highlight(attribution, figure) if plausible else attribution


@REFINEMENTS.register("link")
def link(
    maps: Iterable[AttributionMap], frames: Iterable[Frame], cuts: Sequence[int] = ()
) -> Iterator[AttributionMap]:
    """Linking over time: keep the tube of the highest total score in each frame (see `tubes`).

    All maps are read before the first one is yielded.
    """
    volume = Volume()
    for attribution in maps:
        volume.append(attribution)
    threshold = auto_threshold(volume)
    linked = tubes([boxes(attribution, threshold, multi_contour=True) for attribution in volume], cuts=cuts)
    linked.sort(key=lambda tube: -tube.score * len(tube.boxes))
    for index, attribution in enumerate(volume):
        tube = next((tube for tube in linked if tube.start <= index < tube.end), None)
        if tube is not None:
            attribution = highlight(attribution, _tube_mask(tube, index, attribution.shape))
        yield attribution


def highlight(attribution: AttributionMap, figure: Mask) -> AttributionMap:
    """Move the attribution in the figure to the upper half of its range, and set the rest to zero.

    Every threshold up to 0.5 then yields the figure itself; the maximum stays where it is, if it lies in it.
    """
    return np.asarray(figure * (attribution + attribution.max()) / 2, np.float32)


def refine(
    maps: Iterable[AttributionMap], frames: Iterable[Frame], names: Sequence[str], *, cuts: Sequence[int] = ()
) -> Iterator[AttributionMap]:
    """Refine maps, one for each frame, by each of `names` in turn, in constant memory.

    Args:
        maps: `(H, W)` each, at least 0.
        frames: `(H, W, 3)` uint8 RGB; a sequence or a `Video` and no iterator, because each refinement
            iterates over them.
        names: names in `REFINEMENTS`.
        cuts: first frame of every scene but the first.

    Raises:
        UsageError: a refinement is unknown.
        InputError: a refinement needs OpenCV, which is not installed.
    """
    REFINEMENTS.check(*names)
    for name in names:
        maps = REFINEMENTS[name](maps, frames, cuts)
    return iter(maps)


def _grabcut(frame: Frame, labels: Pixels) -> Mask:
    """The parts of the figure found by GrabCut that are connected with the sure foreground."""
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    result, *_ = cv2.grabCut(frame, labels.copy(), (0, 0, 1, 1), *models, 1, cv2.GC_INIT_WITH_MASK)
    figure = (result == cv2.GC_FGD) | (result == cv2.GC_PR_FGD)
    _, parts = cv2.connectedComponents(figure.astype(np.uint8))
    return np.asarray(np.isin(parts, np.unique(parts[labels == cv2.GC_FGD])) & figure)


def _tube_mask(tube: Tube, frame: int, shape: tuple[int, ...]) -> Mask:
    box = tube.boxes[frame - tube.start]
    figure = np.zeros(shape, bool)
    figure[box.y0 : box.y1, box.x0 : box.x1] = True
    return figure

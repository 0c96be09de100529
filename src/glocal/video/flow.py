"""Optical flow between frames, and motion relative to the camera's."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from glocal.types import AttributionMap, Flow, Frame
from glocal.utils.opencv import contrib_function, cv2
from glocal.video.clip_spec import FlowMethod
from glocal.video.scenes import scene_of


def tvl1_flow(frame: Frame, next_frame: Frame) -> Flow:
    """TV-L1 optical flow (Zach, Pock and Bischof, 2007) from one frame to the next: slow and accurate.

    Returns:
        `(H, W, 2)` float32, in pixels.

    Raises:
        InputError: OpenCV is not installed, or without its contrib modules.
    """
    create = contrib_function("optflow", "DualTVL1OpticalFlow_create", purpose="TV-L1 optical flow")
    if frame is next_frame:
        return np.zeros((*frame.shape[:2], 2), np.float32)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (frame, next_frame)]
    return np.asarray(create().calc(*grey, None), np.float32)


CAMERA_GRID = 24
"""Points along the shorter side from which the camera's motion is estimated."""

CAMERA_TOLERANCE = 1.0
"""Largest distance in pixels from the camera's motion at which a point counts as background."""

MOTION_STEP = 1 / 8
"""Seconds between the two frames from which motion is read: frames of videos are too close together."""

MOTION_REACH = 2
"""Steps before and after a frame over which its motion is averaged: half a second in all."""

MOTION_BLUR = 1 / 80
"""Standard deviation of the Gaussian that smooths speeds, as a share of the frame's shorter side."""

STILLNESS = 0.25
"""Largest distance in pixels, from a frame to that a step later, at which nothing moves."""


def dis_flow(frame: Frame, next_frame: Frame) -> Flow:
    """DIS optical flow (Kroeger et al., 2016) from one frame to the next, in pixels: fast."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    first, second = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (frame, next_frame))
    return np.asarray(method.calc(first, second, np.zeros((*frame.shape[:2], 2), np.float32)), np.float32)


FLOW_METHODS: dict[FlowMethod, Callable[[Frame, Frame], Flow]] = {"tvl1": tvl1_flow, "dis": dis_flow}
"""Name → function of a frame and the next one."""


def remove_camera_motion(flow: Flow) -> Flow:
    """Subtract the camera's motion, estimated as the homography that fits most of the flow.

    The homography is found by RANSAC on a grid of points (as in improved trajectories, Wang and Schmid,
    2013); if none fits, the median of the flow is subtracted.
    """
    height, width = flow.shape[:2]
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    step = max(1, min(height, width) // CAMERA_GRID)
    start = np.stack([xs, ys], -1)
    sample = (slice(step // 2, None, step), slice(step // 2, None, step))
    points, moved_points = (part[sample].reshape(-1, 2) for part in (start, start + flow))
    matrix = None
    if len(points) >= 4:
        cv2.setRNGSeed(0)
        matrix, _ = cv2.findHomography(points, moved_points, cv2.RANSAC, CAMERA_TOLERANCE)
    if matrix is None:
        return np.asarray(flow - np.median(flow, (0, 1)), np.float32)
    camera = cv2.perspectiveTransform(start.reshape(1, -1, 2), matrix).reshape(flow.shape) - start
    return np.asarray(flow - camera, np.float32)


def relative_speed(frame: Frame, next_frame: Frame) -> AttributionMap:
    """How far each place moves relative to the background from one frame to another, `(H, W)` in pixels.

    Slightly smoothed, see `MOTION_BLUR`.
    """
    lengths = np.linalg.norm(remove_camera_motion(dis_flow(frame, next_frame)), axis=-1)
    return np.asarray(cv2.GaussianBlur(lengths, (0, 0), MOTION_BLUR * min(lengths.shape)), np.float32)


def motion_maps(
    frames: Iterable[Frame], *, fps: float | None = None, cuts: Sequence[int] = ()
) -> Iterator[AttributionMap]:
    """Motion relative to the background around every frame, `(H, W)` in [0, 1], in constant memory.

    The mean of the `relative_speed` from each frame to that `MOTION_STEP` later, over the `MOTION_REACH`
    steps before and after, divided by its maximum; 1 everywhere where nothing moves. Nothing is read across a
    cut.

    Args:
        frames: `(H, W, 3)` uint8 RGB.
        fps: frames per second; None takes each frame for a step.
        cuts: first frame of every scene but the first.
    """
    step = frames_per_step(fps)
    for _, scene in groupby(enumerate(frames), lambda indexed: scene_of(indexed[0], cuts)):
        yield from map(_as_shares, _scene_speeds((frame for _, frame in scene), step))


def motion_context(fps: float | None) -> int:
    """Number of frames before and after a frame from which `motion_maps` reads its motion."""
    return MOTION_REACH * frames_per_step(fps)


def frames_per_step(fps: float | None) -> int:
    """Number of frames in a `MOTION_STEP`, at least 1; 1 where the rate is unknown."""
    return max(1, round(fps * MOTION_STEP)) if fps else 1


def _scene_speeds(frames: Iterator[Frame], step: int) -> Iterator[AttributionMap]:
    """The mean speed around each frame of a scene, which is known `MOTION_REACH` steps later."""
    speeds: dict[int, AttributionMap] = {}
    latest: deque[Frame] = deque(maxlen=step + 1)
    reach = MOTION_REACH * step
    count = ready = 0
    for frame in frames:
        latest.append(frame)
        if count >= step:
            speeds[count - step] = relative_speed(latest[0], frame)
        count += 1
        if count > reach:
            yield _mean_speed(speeds, ready, step)
            speeds.pop(ready - reach, None)
            ready += 1
    if not speeds and count:
        speeds[0] = relative_speed(latest[0], latest[-1])
    for index in range(ready, count):
        yield _mean_speed(speeds, index, step)


def _mean_speed(speeds: Mapping[int, AttributionMap], frame: int, step: int) -> AttributionMap:
    """The mean of the speeds that start up to `MOTION_REACH` steps before a frame, and end as long after."""
    starts = (frame + offset * step for offset in range(-MOTION_REACH, MOTION_REACH))
    around = [speeds[start] for start in starts if start in speeds]
    return np.asarray(np.mean(around or list(speeds.values()), axis=0), np.float32)


def _as_shares(speed: AttributionMap) -> AttributionMap:
    """Speeds as shares of the highest; 1 everywhere if that is hardly a motion."""
    highest = float(speed.max())
    return np.ones_like(speed) if highest < STILLNESS else speed / np.float32(highest)

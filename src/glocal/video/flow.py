"""Optical flow between frames, and motion freed of the camera's."""

import cv2
import numpy as np
import numpy.typing as npt

from glocal.types import Flow, Frame
from glocal.utils.optional_import import optional_import


def flow(previous: Frame, following: Frame) -> npt.NDArray[np.float32]:
    """TV-L1 optical flow (Zach, Pock and Bischof, 2007) between two frames `(h, w, 3)` uint8 RGB.

    Returns `(h, w, 2)` float32: pixels to the right and down that each point of `previous` has moved.

    Raises:
        InputError: OpenCV is installed without its contrib modules.
    """
    optflow = optional_import("cv2.optflow", purpose="TV-L1 optical flow")
    if previous is following:
        return np.zeros((*previous.shape[:2], 2), np.float32)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (previous, following)]
    return np.asarray(optflow.DualTVL1OpticalFlow_create().calc(*grey, None), np.float32)


GRID = 24
"""Points along the shorter side from which the camera's motion is estimated."""

TOLERANCE = 1.0
"""Pixels by which a point may deviate from the camera's motion and still count as background."""


def dense_flow(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> Flow:
    """DIS optical flow (Kroeger et al., 2016) from one frame `(H, W, 3)` RGB to the next; fast."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    first, second = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after))
    return np.asarray(method.calc(first, second, np.zeros((*before.shape[:2], 2), np.float32)), np.float32)


def without_camera(flow: Flow) -> Flow:
    """What is left of `flow` when the camera's motion is subtracted: the homography that fits most of it.

    The homography is found by RANSAC on a grid of points (as in improved trajectories, Wang and Schmid,
    2013); where none fits, the median of the flow is taken for the camera's.
    """
    height, width = flow.shape[:2]
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    step = max(1, min(height, width) // GRID)
    start = np.stack([xs, ys], -1)
    sample = (slice(step // 2, None, step), slice(step // 2, None, step))
    points, moved = (part[sample].reshape(-1, 2) for part in (start, start + flow))
    matrix = None
    if len(points) >= 4:
        cv2.setRNGSeed(0)
        matrix, _ = cv2.findHomography(points, moved, cv2.RANSAC, TOLERANCE)
    if matrix is None:
        return np.asarray(flow - np.median(flow, (0, 1)), np.float32)
    camera = cv2.perspectiveTransform(start.reshape(1, -1, 2), matrix).reshape(flow.shape) - start
    return np.asarray(flow - camera, np.float32)


def agreement(flow: Flow) -> npt.NDArray[np.float32]:
    """`(H, W)` in [0, 1]: how much moves there against the background; 1 everywhere where nothing does."""
    height, width = flow.shape[:2]
    speed = cv2.GaussianBlur(np.linalg.norm(without_camera(flow), axis=-1), (0, 0), min(height, width) / 20)
    fast = float(np.quantile(speed, 0.99))
    if fast < TOLERANCE / 4:
        return np.ones((height, width), np.float32)
    return np.asarray((speed / fast).clip(0, 1), np.float32)

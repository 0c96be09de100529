"""Optical flow between frames, and motion relative to the camera's."""

import cv2
import numpy as np

from glocal.types import AttributionMap, Flow, Frame
from glocal.utils.optional_import import optional_import


def tvl1_flow(frame: Frame, next_frame: Frame) -> Flow:
    """TV-L1 optical flow (Zach, Pock and Bischof, 2007) from one frame to the next: slow and accurate.

    Returns:
        `(H, W, 2)` float32, in pixels.

    Raises:
        InputError: OpenCV is installed without its contrib modules.
    """
    optflow = optional_import("cv2.optflow", purpose="TV-L1 optical flow")
    if frame is next_frame:
        return np.zeros((*frame.shape[:2], 2), np.float32)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (frame, next_frame)]
    return np.asarray(optflow.DualTVL1OpticalFlow_create().calc(*grey, None), np.float32)


CAMERA_GRID = 24
"""Points along the shorter side from which the camera's motion is estimated."""

CAMERA_TOLERANCE = 1.0
"""Largest distance in pixels from the camera's motion at which a point counts as background."""


def dis_flow(frame: Frame, next_frame: Frame) -> Flow:
    """DIS optical flow (Kroeger et al., 2016) from one frame to the next, in pixels: fast."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    first, second = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (frame, next_frame))
    return np.asarray(method.calc(first, second, np.zeros((*frame.shape[:2], 2), np.float32)), np.float32)


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


def relative_motion(flow: Flow) -> AttributionMap:
    """`(H, W)` in [0, 1]: smoothed speed relative to the background; 1 everywhere if nothing moves."""
    height, width = flow.shape[:2]
    speed = cv2.GaussianBlur(
        np.linalg.norm(remove_camera_motion(flow), axis=-1), (0, 0), min(height, width) / 20
    )
    high_speed = float(np.quantile(speed, 0.99))
    if high_speed < CAMERA_TOLERANCE / 4:
        return np.ones((height, width), np.float32)
    return np.asarray((speed / high_speed).clip(0, 1), np.float32)

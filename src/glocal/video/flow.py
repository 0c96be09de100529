"""Optical flow."""

import cv2
import numpy as np
import numpy.typing as npt

from glocal.contrib import contrib
from glocal.video.video import Frame


def flow(previous: Frame, following: Frame) -> npt.NDArray[np.float32]:
    """TV-L1 optical flow (Zach, Pock and Bischof, 2007) between two frames `(h, w, 3)` uint8 RGB.

    Returns `(h, w, 2)` float32: pixels to the right and down that each point of `previous` has moved.

    Raises:
        InputError: OpenCV is installed without its contrib modules.
    """
    optflow = contrib("optflow")
    if previous is following:
        return np.zeros((*previous.shape[:2], 2), np.float32)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (previous, following)]
    return np.asarray(optflow.DualTVL1OpticalFlow_create().calc(*grey, None), np.float32)

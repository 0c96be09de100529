"""OpenCV, which only rendering puppets, optical flow and GrabCut need: imported when it is first used.

Several packages install it under the same name (`opencv-python`, `opencv-contrib-python`, and `-headless` of
both), so `glocal` requires none of them and takes the one that is there.
"""

from typing import Any

from glocal.utils.optional_import import LazyModule, import_if_installed

cv2: Any = LazyModule("cv2", extra="opencv", purpose="rendering puppets, optical flow or GrabCut")
"""OpenCV. The first use of a name raises InputError if it is not installed."""


def set_opencv_threads(threads: int) -> None:
    """Limit the threads of OpenCV, if it is installed; 0 and 1 use the calling thread alone."""
    opencv = import_if_installed("cv2")
    if opencv is not None:
        opencv.setNumThreads(threads)

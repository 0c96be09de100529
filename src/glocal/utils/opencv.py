"""OpenCV, which only rendering puppets, optical flow and GrabCut need: imported when it is first used.

Several packages install it under the same name (`opencv-python`, `opencv-contrib-python`, and `-headless` of
both), so `glocal` requires none of them and takes the one that is there.
"""

from importlib import metadata
from typing import Any

from glocal.errors import InputError
from glocal.utils.optional_import import LazyModule, import_if_installed, import_in_turn, optional_import

cv2: Any = LazyModule("cv2", extra="opencv", purpose="rendering puppets, optical flow or GrabCut")
"""OpenCV. The first use of a name raises InputError if it is not installed."""


WITH_CONTRIB = {
    "opencv-python": "opencv-contrib-python",
    "opencv-python-headless": "opencv-contrib-python-headless",
}
"""Package without the contrib modules → the one to install in its place."""


def contrib_function(module: str, name: str, *, purpose: str) -> Any:
    """Return a function of OpenCV's contrib modules, such as `optflow` and `DualTVL1OpticalFlow_create`.

    All packages of OpenCV install the same files, so that the last one installed decides what is there.

    Raises:
        InputError: no package of OpenCV is installed, or one without the contrib modules.
    """
    try:
        return getattr(import_in_turn(f"cv2.{module}"), name)
    except (ImportError, AttributeError):
        pass
    without_contrib = [package for package in WITH_CONTRIB if _is_installed(package)]
    if not without_contrib:
        optional_import(f"cv2.{module}", extra="flow", purpose=purpose)
        raise InputError(f"{purpose} needs cv2.{module}.{name}, which the OpenCV that is installed lacks.")
    raise InputError(
        f"{purpose} needs OpenCV's contrib modules, which {' and '.join(without_contrib)} replaced or lacks; "
        f"run pip uninstall --yes {' '.join(without_contrib)} && "
        f"pip install --force-reinstall {WITH_CONTRIB[without_contrib[0]]}."
    )


def _is_installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def set_opencv_threads(threads: int) -> None:
    """Limit the threads of OpenCV, if it is installed; 0 and 1 use the calling thread alone."""
    opencv = import_if_installed("cv2")
    if opencv is not None:
        opencv.setNumThreads(threads)

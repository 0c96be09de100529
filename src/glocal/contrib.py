"""The part of OpenCV that only its contrib build has."""

from typing import Any

import cv2

from glocal.errors import InputError


def contrib(module: str) -> Any:
    """`cv2.<module>`.

    Raises:
        InputError: OpenCV is installed without its contrib modules.
    """
    found = getattr(cv2, module, None)
    if found is None:
        raise InputError(
            f"cv2.{module} is not part of the installed OpenCV; run "
            "pip uninstall opencv-python opencv-python-headless && pip install --force-reinstall "
            "opencv-contrib-python-headless"
        )
    return found

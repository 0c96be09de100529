"""Packages that only some of glocal needs, imported where they are used."""

import importlib
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


INSTALL = "pip install 'glocal[train]'"


def needs(module: str) -> Any:
    """Import a module of the extra `train`.

    Raises:
        InputError: it is not installed, or does not work here.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as problem:
        raise InputError(f"training needs {problem.name}, which is not installed; run {INSTALL}.") from None
    except (ImportError, RuntimeError) as problem:
        reason = str(problem).splitlines()[0]
        raise InputError(f"{module} is installed but cannot be imported ({reason}); run {INSTALL}.") from None

"""MATLAB files, through SciPy."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glocal.errors import InputError
from glocal.video.paths import shown


def read_matlab(path: Path, name: str) -> npt.NDArray[Any]:
    """The array `name` of a MATLAB file; structures are arrays with fields.

    Raises:
        InputError: SciPy is not installed, or the file cannot be read or has no such array.
    """
    try:
        scipy_io: Any = importlib.import_module("scipy.io")
    except ImportError:
        raise InputError(
            f"{shown(path)} is a MATLAB file, which needs SciPy; run pip install 'glocal[datasets]'."
        ) from None
    try:
        return np.asarray(scipy_io.loadmat(path, variable_names=[name])[name])
    except OSError as problem:
        raise InputError(f"{shown(path)} cannot be read ({problem.strerror or problem}).") from None
    except Exception as problem:  # SciPy lets through whatever its parser stumbles over
        reason = " ".join(str(problem).split()) or type(problem).__name__
        raise InputError(f"{shown(path)} is not a MATLAB file that holds '{name}' ({reason}).") from None

"""What training needs beside the library's own dependencies."""

import importlib
from typing import Any

from glocal.errors import InputError

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

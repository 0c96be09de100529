"""Where, when and why a video model decides: attribution, localization and evaluation of 3D CNNs.

Every public name is listed once, in `__init__.pyi`: type checkers and editors read that file, and so does
`__getattr__`, which imports a name when it is first used. `import glocal` alone loads neither PyTorch nor
NumPy.
"""

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


def _public_names() -> dict[str, tuple[str, str]]:
    """Map each public name to its module and its name there, as `__init__.pyi` lists them."""
    names: dict[str, tuple[str, str]] = {}
    for node in ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: (node.module or "", alias.name) for alias in node.names}
        elif isinstance(node, ast.Assign):  # another name: `public = _imported`
            names[ast.unparse(node.targets[0])] = names.pop(ast.unparse(node.value))
    return names


_PUBLIC_NAMES = _public_names()

__all__ = [*_PUBLIC_NAMES, "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name or a subpackage when it is first used."""
    if name not in _PUBLIC_NAMES:
        raise AttributeError(f"module 'glocal' has no attribute '{name}'")
    module, attribute = _PUBLIC_NAMES[name]
    if module == __name__:
        return import_module(f"{module}.{attribute}")
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, for tab completion."""
    return sorted(__all__)

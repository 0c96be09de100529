"""Public names of a package that are imported when they are first used."""

import ast
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any


def lazy_names(
    package: str, file: str, renamed: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and the public names of a package, as its stub lists them.

    The stub `__init__.pyi` beside the package's `__init__.py` holds one import a name, or a line
    `public = _imported` for a name that differs from the one where it is defined. Type checkers and editors
    read the same file.

    Args:
        package: `__name__` of the package.
        file: `__file__` of the package.
        renamed: former name → name now; a former name still works, with a DeprecationWarning.
    """
    sources = _read_stub(Path(file).with_suffix(".pyi"))
    former = renamed or {}

    def get(name: str) -> Any:
        """Import a public name or a subpackage."""
        if name in former:
            warnings.warn(
                f"{package}.{name} is now {package}.{former[name]}", DeprecationWarning, stacklevel=2
            )
            name = former[name]
        if name not in sources:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        module, attribute = sources[name]
        if module == package:
            return import_module(f"{module}.{attribute}")
        value = getattr(import_module(module), attribute)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        """List the public names, for tab completion."""
        return sorted(sys.modules[package].__all__)

    return get, names, list(sources)


def _read_stub(path: Path) -> dict[str, tuple[str, str]]:
    """Map each public name to its module and its name there."""
    sources: dict[str, tuple[str, str]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            sources |= {alias.asname or alias.name: (node.module or "", alias.name) for alias in node.names}
        elif isinstance(node, ast.Assign):
            sources[ast.unparse(node.targets[0])] = sources.pop(ast.unparse(node.value))
    return sources

"""A hook of MkDocs: a reference page for each subpackage, made from its public names."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PACKAGES = (
    "attribution",
    "models",
    "video",
    "explanation",
    "localization",
    "localization.exports",
    "evaluation",
    "evaluation.faithfulness",
    "evaluation.sanity",
    "report",
    "datasets",
    "datasets.puppets",
    "benchmark",
)

MODULES = (
    "integrations.lightning",
    "integrations.supervision",
    "integrations.fiftyone",
    "errors",
    "registry",
)
"""Modules without `__all__`, shown whole."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages to the navigation."""
    pages = [{f"glocal.{name}": f"reference/{name}.md"} for name in (*PACKAGES, *MODULES)]
    assert config.nav is not None
    config.nav.append({"Reference": pages})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to the site."""
    for name in (*PACKAGES, *MODULES):
        content = "\n".join(reference(f"glocal.{name}"))
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def reference(package: str) -> Iterator[str]:
    """Yield the lines of the page of a package: its docstring, then each public name."""
    module = import_module(package)
    yield f"# {package}\n\n{inspect.getdoc(module) or ''}\n"
    if not hasattr(module, "__all__"):
        yield f"::: {package}\n    options:\n      show_root_heading: false\n"
        return
    for name in module.__all__:
        yield f"::: {place(package, name, getattr(module, name))}\n"


def place(package: str, name: str, value: Any) -> str:
    """Where a name is defined, which is where its documentation is."""
    module = getattr(value, "__module__", None)
    if (inspect.isfunction(value) or inspect.isclass(value)) and isinstance(module, str):
        return f"{module}.{value.__qualname__}"
    return f"{package}.{name}"

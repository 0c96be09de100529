"""The public names of glocal: listed in one place, found without a further import, loaded only when used."""

import pkgutil
import subprocess
import sys

import pytest

import glocal

PUBLIC_NAMES = {
    "AGGREGATES",
    "Attribution",
    "ClipSpec",
    "DATASETS",
    "Edit",
    "ExplainConfig",
    "Explanation",
    "GlocalError",
    "InputError",
    "METHODS",
    "MODELS",
    "Model",
    "REFINEMENTS",
    "Registry",
    "TokenGrid",
    "UsageError",
    "Video",
    "__version__",
    "as_model",
    "attribute",
    "classify",
    "explain",
    "layers",
    "load_model",
    "localize",
    "model_names",
    "read_video",
    "write_page",
    "write_report",
    "write_video",
}


def subpackages() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(glocal.__path__) if module.ispkg}


def test_the_public_names_are_these() -> None:
    assert set(glocal.__all__) - subpackages() - {"errors", "registry", "types"} == PUBLIC_NAMES


def test_every_subpackage_is_reachable_without_a_further_import() -> None:
    assert subpackages() <= set(glocal.__all__)
    names = ", ".join(f"glocal.{name}.__name__" for name in sorted(subpackages()))
    python(f"import glocal; print({names})")


def test_tab_completion_lists_every_public_name() -> None:
    assert dir(glocal) == sorted(glocal.__all__)


@pytest.mark.parametrize("name", sorted(glocal.__all__))
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(glocal, name) is not None


@pytest.mark.parametrize("statement", ["import glocal; dir(glocal)", "import glocal.errors"])
def test_importing_glocal_loads_neither_torch_nor_numpy(statement: str) -> None:
    loaded = python(f"import sys; {statement}; print(*sys.modules)").split()
    assert {"torch", "numpy", "cv2", "av"}.isdisjoint(loaded)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'glocal' has no attribute 'explian'"):
        getattr(glocal, "explian")  # noqa: B009 (mypy knows that there is no such name)


def python(code: str) -> str:
    """What `code` prints in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

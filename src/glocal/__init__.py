"""glocal shows where, when and why a video model decides."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glocal.attribution import Attribution, TokenGrid, attribute
    from glocal.attribution import explainable_layers as layers
    from glocal.errors import GlocalError, InputError, UsageError
    from glocal.explanation.edit import Edit
    from glocal.explanation.explanation import Explanation
    from glocal.explanation.runner import classify, explain
    from glocal.models import Model, as_model, load_model
    from glocal.video import ClipForm, Video, read_video

__version__ = "0.1.0"

__all__ = [
    "Attribution",
    "ClipForm",
    "Edit",
    "Explanation",
    "GlocalError",
    "InputError",
    "Model",
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
    "read_video",
]

_HOMES = {
    "attribution": ("Attribution", "TokenGrid", "attribute", "layers"),
    "explanation.edit": ("Edit",),
    "errors": ("GlocalError", "InputError", "UsageError"),
    "explanation.explanation": ("Explanation",),
    "models": ("Model", "as_model", "load_model"),
    "explanation.runner": ("classify", "explain"),
    "video": ("ClipForm", "Video", "read_video"),
}


def __getattr__(name: str) -> Any:
    """Public names are loaded when they are first used: `glocal --help` need not wait for PyTorch."""
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f".{home}", __name__), _ALIASES.get(name, name))
            globals()[name] = value
            return value
    if name in _HOMES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'glocal' has no attribute '{name}'")


_ALIASES = {"layers": "explainable_layers"}


def __dir__() -> list[str]:
    return __all__

"""glocal shows where, when and why a video model decides."""

from .attribution import Attribution, attribute
from .attribution import explainable_layers as layers

__version__ = "0.1.0"

__all__ = ["Attribution", "__version__", "attribute", "layers"]

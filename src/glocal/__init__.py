"""glocal shows where, when and why a video model decides."""

__version__ = "0.1.0"

from .attribution import Attribution, attribute
from .attribution import explainable_layers as layers
from .errors import GlocalError, InputError, UsageError
from .explanation import Explanation
from .models import Model, load_model
from .pipeline import classify, explain
from .video import ClipForm, Video, read_video

__all__ = [
    "Attribution",
    "ClipForm",
    "Explanation",
    "GlocalError",
    "InputError",
    "Model",
    "UsageError",
    "Video",
    "__version__",
    "attribute",
    "classify",
    "explain",
    "layers",
    "load_model",
    "read_video",
]

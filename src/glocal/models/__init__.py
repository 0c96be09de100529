"""Networks, their weights and their class names."""

from glocal.models.adapter import as_model
from glocal.models.entry import MODELS, ModelEntry, register_model
from glocal.models.labels import LABEL_LISTS, label_list
from glocal.models.loading import load_model
from glocal.models.model import Model
from glocal.models.registry import find_entry, model_names, summary

__all__ = [
    "LABEL_LISTS",
    "MODELS",
    "Model",
    "ModelEntry",
    "as_model",
    "find_entry",
    "label_list",
    "load_model",
    "model_names",
    "register_model",
    "summary",
]

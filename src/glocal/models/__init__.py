"""Networks, their weights and their class names."""

from glocal.models.adapter import as_model
from glocal.models.labels import LISTS, label_list
from glocal.models.loading import load_model
from glocal.models.model import Model
from glocal.models.zoo import MODELS, Entry, model_names, summary

__all__ = [
    "LISTS",
    "MODELS",
    "Entry",
    "Model",
    "as_model",
    "label_list",
    "load_model",
    "model_names",
    "summary",
]

"""The public names of `glocal.models`; `__init__.py` imports them on first use."""

from glocal.models.adapter import as_model as as_model
from glocal.models.entry import MODELS as MODELS
from glocal.models.entry import ModelEntry as ModelEntry
from glocal.models.entry import register_model as register_model
from glocal.models.labels import LABEL_LISTS as LABEL_LISTS
from glocal.models.labels import label_list as label_list
from glocal.models.loading import load_model as load_model
from glocal.models.model import Model as Model
from glocal.models.registry import find_entry as find_entry
from glocal.models.registry import model_names as model_names
from glocal.models.registry import summary as summary

"""The public names of `glocal` and where each is defined; `__init__.py` imports them on first use."""

# Subpackages and modules
from glocal import attribution as attribution
from glocal import batch as batch
from glocal import benchmark as benchmark
from glocal import cli as cli
from glocal import datasets as datasets
from glocal import errors as errors
from glocal import evaluation as evaluation
from glocal import explanation as explanation
from glocal import integrations as integrations
from glocal import localization as localization
from glocal import models as models
from glocal import papers as papers
from glocal import regions as regions
from glocal import registry as registry
from glocal import report as report
from glocal import server as server
from glocal import training as training
from glocal import types as types
from glocal import utils as utils
from glocal import video as video

# Classes, functions and registries
from glocal.attribution import AGGREGATES as AGGREGATES
from glocal.attribution import METHODS as METHODS
from glocal.attribution import Attribution as Attribution
from glocal.attribution import TokenGrid as TokenGrid
from glocal.attribution import attribute as attribute
from glocal.attribution import explainable_layers as _explainable_layers
from glocal.benchmark import MEASURES as MEASURES
from glocal.benchmark import Explainer as Explainer
from glocal.benchmark import Sample as Sample
from glocal.benchmark import compare as compare
from glocal.benchmark import evaluate as evaluate
from glocal.datasets import DATASETS as DATASETS
from glocal.errors import GlocalError as GlocalError
from glocal.errors import InputError as InputError
from glocal.errors import UsageError as UsageError
from glocal.explanation.config import ExplainConfig as ExplainConfig
from glocal.explanation.edit import Edit as Edit
from glocal.explanation.explanation import Explanation as Explanation
from glocal.explanation.runner import classify as classify
from glocal.explanation.runner import explain as explain
from glocal.explanation.volume_file import load_attention as load_attention
from glocal.localization import REFINEMENTS as REFINEMENTS
from glocal.localization import localize as localize
from glocal.localization.exports import EXPORTS as EXPORTS
from glocal.models import MODELS as MODELS
from glocal.models import Model as Model
from glocal.models import as_model as as_model
from glocal.models import load_model as load_model
from glocal.models import model_names as model_names
from glocal.papers import TABLES as TABLES
from glocal.registry import Registry as Registry
from glocal.report import write_page as write_page
from glocal.report import write_report as write_report
from glocal.video import ClipSpec as ClipSpec
from glocal.video import Video as Video
from glocal.video import read_video as read_video
from glocal.video import write_video as write_video

layers = _explainable_layers

__version__: str

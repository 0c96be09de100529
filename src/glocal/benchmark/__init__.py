"""Explainers run over samples with truth: which method to trust, and how well a model localizes."""

from glocal.benchmark.cache import Cache
from glocal.benchmark.comparison import Comparison, compare
from glocal.benchmark.explained import ExplainedSample, MeasureConfig
from glocal.benchmark.explainers import CONTROLS, Explainer, parse_explainers
from glocal.benchmark.localization import Evaluation, evaluate
from glocal.benchmark.measures import MEASURES, Measure
from glocal.benchmark.samples import Footage, Sample, open_samples, puppet_samples, video_samples
from glocal.benchmark.tables import Table, TableRow

__all__ = [
    "CONTROLS",
    "MEASURES",
    "Cache",
    "Comparison",
    "Evaluation",
    "ExplainedSample",
    "Explainer",
    "Footage",
    "Measure",
    "MeasureConfig",
    "Sample",
    "Table",
    "TableRow",
    "compare",
    "evaluate",
    "open_samples",
    "parse_explainers",
    "puppet_samples",
    "video_samples",
]

"""Which method to believe: methods measured side by side on the clips of one model."""

from glocal.benchmark.compare import Found, compare
from glocal.benchmark.explainers import CONTROLS, contenders
from glocal.benchmark.measures import MEASURES, Protocol
from glocal.benchmark.samples import Subject, puppet_subjects, record_subjects, video_subjects
from glocal.benchmark.summary import summarise

__all__ = [
    "CONTROLS",
    "MEASURES",
    "Found",
    "Protocol",
    "Subject",
    "compare",
    "contenders",
    "puppet_subjects",
    "record_subjects",
    "summarise",
    "video_subjects",
]

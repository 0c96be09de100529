"""Which method to believe: methods measured side by side on the clips of one model."""

from glocal.comparison.columns import MEASURES
from glocal.comparison.compare import Found, compare
from glocal.comparison.contenders import CONTROLS, contenders
from glocal.comparison.measures import Protocol
from glocal.comparison.subject import Subject, puppet_subjects, record_subjects, video_subjects
from glocal.comparison.summary import summarise

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

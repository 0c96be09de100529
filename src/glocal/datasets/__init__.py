"""Data sets: what a user's copy holds, as records of one form."""

from glocal.datasets.dataset import Dataset, Record
from glocal.datasets.registry import DATASETS, register

__all__ = ["DATASETS", "Dataset", "Record", "register"]

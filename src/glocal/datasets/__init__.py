"""Data sets: what a user's copy holds, as records of one form."""

from glocal.datasets.dataset import Dataset, Record
from glocal.datasets.registry import DATASETS, find_dataset

__all__ = ["DATASETS", "Dataset", "Record", "find_dataset"]

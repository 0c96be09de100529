"""Data sets: what a user's copy holds, as records of one form."""

from glocal.datasets.dataset import Box, Dataset, Record, Tube
from glocal.datasets.registry import DATASETS, find_dataset

__all__ = ["DATASETS", "Box", "Dataset", "Record", "Tube", "find_dataset"]

"""Data sets: readers of a user's copy, a check of it, and rendered puppets."""

from glocal.datasets.dataset import DATASETS, Dataset, Record, register

__all__ = ["DATASETS", "Dataset", "Record", "register"]

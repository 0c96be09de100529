"""The data sets by name."""

from glocal.datasets.dataset import Dataset
from glocal.registry import Registry

DATASETS = Registry[Dataset]("data set", package="glocal.datasets", entry_points="glocal.datasets")
"""Name → data set; each reader in this package registers its own."""


def register(dataset: Dataset) -> Dataset:
    """Add a data set under its name."""
    return DATASETS.register(dataset.name, dataset, origin=dataset.list_records.__module__)

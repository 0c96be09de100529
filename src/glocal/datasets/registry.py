"""The data sets by name."""

from glocal.datasets import (
    exported,
    folder,
    hmdb51,
    ilsvrc,
    jhmdb,
    kinetics,
    something,
    surveillance_fight,
    thumos,
    ucf24,
    ucf101,
)
from glocal.datasets.dataset import Dataset
from glocal.errors import UsageError, nearest

_ALL = (
    exported.DATASET,
    folder.FOLDER,
    folder.CSV,
    jhmdb.DATASET,
    ucf24.DATASET,
    ucf101.DATASET,
    hmdb51.DATASET,
    ilsvrc.DATASET,
    something.V1,
    something.V2,
    kinetics.DATASET,
    thumos.THUMOS14,
    thumos.MULTITHUMOS,
    surveillance_fight.DATASET,
)

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _ALL}
"""Name → data set."""


def find_dataset(name: str) -> Dataset:
    """Raises UsageError for a name that there is not."""
    if name not in DATASETS:
        raise UsageError(
            f"there is no data set '{name}', only {', '.join(DATASETS)}.{nearest(name, list(DATASETS))}"
        )
    return DATASETS[name]

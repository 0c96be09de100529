"""UCF101: 101 classes of actions, from the web."""

from collections.abc import Mapping
from pathlib import Path

from glocal.datasets.annotations import below, check_split, fitting, lines
from glocal.datasets.dataset import Dataset, Record
from glocal.datasets.registry import register

SPLITS = ("train", "test")
FOLDS = (1, 2, 3)


def listing(root: Path, split: str = "train", fold: int = 1, annotations: Path | None = None) -> list[Record]:
    """The clips of a split, `<root>/<Class>/v_<Class>_gXX_cYY.avi`.

    Args:
        fold: 1 to 3, of `trainlist0N.txt` and `testlist0N.txt`.
        annotations: folder of these lists and `classInd.txt`; by default `<root>/ucfTrainTestlist`.

    Raises:
        InputError: a list cannot be read, or does not fit its format.
        UsageError: there is no such split or fold.
    """
    check_split(split, SPLITS, fold, FOLDS)
    root = Path(root)
    folder = Path(annotations) if annotations else root / "ucfTrainTestlist"
    classes = _classes(folder / "classInd.txt")
    records = []
    for where, line in lines(folder / f"{split}list{fold:02d}.txt"):
        with fitting(where, "Class/v_Class_gXX_cYY.avi, a class of classInd.txt, and perhaps its number"):
            name, *number = line.split()
            label, _ = name.split("/")
            if classes[label] != (int(number[0]) if number else classes[label]):
                raise ValueError(f"{label} is class {classes[label]}")
        records.append(Record(below(root, name, where), label))
    return records


def _classes(path: Path) -> Mapping[str, int]:
    """Class → its number, from 1."""
    classes = {}
    for where, line in lines(path):
        with fitting(where, "<number> <Class>"):
            number, label = line.split()
            classes[label] = int(number)
    return classes


register(Dataset("ucf101", "UCF101: 101 actions, 13,320 clips", listing, SPLITS, FOLDS))

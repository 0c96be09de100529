"""UCF101: 101 action classes, from the web."""

from collections.abc import Mapping
from pathlib import Path

from glocal.datasets.annotations import check_split, parsing, path_below, read_lines
from glocal.datasets.dataset import Dataset, Record, register

SPLITS = ("train", "test")
FOLDS = (1, 2, 3)


def list_records(
    root: Path, split: str = "train", fold: int = 1, annotations: Path | None = None
) -> list[Record]:
    """List the clips of a split, `<root>/<Class>/v_<Class>_gXX_cYY.avi`.

    Args:
        fold: 1 to 3, of `trainlist0N.txt` and `testlist0N.txt`.
        annotations: folder of these lists and `classInd.txt`; by default `<root>/ucfTrainTestlist`.

    Raises:
        InputError: a list cannot be read, or does not fit its format.
        UsageError: the split or fold is unknown.
    """
    check_split(split, SPLITS, fold, FOLDS)
    root = Path(root)
    folder = Path(annotations) if annotations else root / "ucfTrainTestlist"
    classes = _classes(folder / "classInd.txt")
    records = []
    for where, line in read_lines(folder / f"{split}list{fold:02d}.txt"):
        with parsing(where, "Class/v_Class_gXX_cYY.avi, a class of classInd.txt, and optionally its number"):
            name, *number = line.split()
            label, _ = name.split("/")
            if classes[label] != (int(number[0]) if number else classes[label]):
                raise ValueError(f"{label} is class {classes[label]}")
        records.append(Record(path_below(root, name, where), label))
    return records


def _classes(path: Path) -> Mapping[str, int]:
    """Class → its number, from 1."""
    classes = {}
    for where, line in read_lines(path):
        with parsing(where, "<number> <Class>"):
            number, label = line.split()
            classes[label] = int(number)
    return classes


register(Dataset("ucf101", "UCF101: 101 actions, 13,320 clips", list_records, SPLITS, FOLDS))

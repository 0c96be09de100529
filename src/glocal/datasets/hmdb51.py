"""HMDB51: 51 action classes, mostly from films."""

from pathlib import Path

from glocal.datasets.annotations import MissingAnnotationsError, check_split, parsing, path_below, read_lines
from glocal.datasets.dataset import Dataset, Record, register
from glocal.utils.files import printable

SPLITS = ("train", "test", "unused")
FOLDS = (1, 2, 3)
SPLIT_CODES = {"train": "1", "test": "2", "unused": "0"}


def list_records(
    root: Path, split: str = "train", fold: int = 1, annotations: Path | None = None
) -> list[Record]:
    """List the clips of a split, `<root>/<class>/<name>.avi`.

    Args:
        fold: 1 to 3, of `<class>_test_splitN.txt`.
        annotations: folder of these lists; by default `<root>/testTrainMulti_7030_splits`.

    Raises:
        InputError: there are no lists, or one of them does not fit its format.
        UsageError: the split or fold is unknown.
    """
    check_split(split, SPLITS, fold, FOLDS)
    root = Path(root)
    folder = Path(annotations) if annotations else root / "testTrainMulti_7030_splits"
    ending = f"_test_split{fold}.txt"
    files = sorted(folder.glob(f"*{ending}"))
    if not files:
        raise MissingAnnotationsError(
            f"{printable(folder)} holds no lists <class>{ending}; put HMDB51's split files there."
        )
    records = []
    for file in files:
        label = file.name.removesuffix(ending)
        for where, line in read_lines(file):
            with parsing(where, "<name>.avi and 0, 1 or 2"):
                name, part = line.rsplit(None, 1)
                if part not in SPLIT_CODES.values():
                    raise ValueError(f"it is '{line}'")
            if part == SPLIT_CODES[split]:
                records.append(Record(path_below(root / label, name, where), label))
    return records


register(Dataset("hmdb51", "HMDB51: 51 actions, 6,766 clips", list_records, SPLITS, FOLDS))

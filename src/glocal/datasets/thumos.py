"""THUMOS14 and MultiTHUMOS: untrimmed videos, with the start and end of every action."""

from collections.abc import Mapping
from pathlib import Path

from glocal.datasets.annotations import (
    MissingAnnotationsError,
    check_split,
    first_existing,
    parsing,
    path_below,
    read_lines,
)
from glocal.datasets.dataset import Dataset, Record, register
from glocal.utils.files import printable

SPLITS = ("val", "test")
PREFIX = {"val": "video_validation_", "test": "video_test_"}
AMBIGUOUS = "Ambiguous"
VIDEO_PATTERNS = ("*.mp4", "*/*.mp4")


def list_records(
    root: Path, split: str = "val", annotations: Path | None = None, ambiguous: bool = False
) -> list[Record]:
    """List the actions in `video_validation_*.mp4` or `video_test_*.mp4`, with start and end in seconds.

    The videos lie in `root` or in folders there.

    Args:
        annotations: folder of `<Class>_{val,test}.txt`, with lines `video start end`; by default
            `<root>/annotation`.
        ambiguous: list the passages of `Ambiguous_{val,test}.txt` instead, which count neither for nor
            against a detector.

    Raises:
        InputError: there are no such files, or one of them does not fit its format.
        UsageError: the split is unknown.
    """
    check_split(split, SPLITS)
    root = Path(root)
    folder = Path(annotations) if annotations else root / "annotation"
    files = {file.stem.removesuffix(f"_{split}"): file for file in sorted(folder.glob(f"*_{split}.txt"))}
    selected = {label: file for label, file in files.items() if (label == AMBIGUOUS) == ambiguous}
    if not files:
        raise MissingAnnotationsError(
            f"{printable(folder)} holds no files <Class>_{split}.txt; put the annotations there."
        )
    return _actions(root, selected, split)


def list_multithumos(root: Path, split: str = "val", annotations: Path | None = None) -> list[Record]:
    """List the actions of the 65 classes of MultiTHUMOS (Yeung et al., 2018), which overlap.

    Args:
        annotations: folder of `<Class>.txt`, for both splits; by default `<root>/annotations`, or else
            `<root>/multithumos/annotations`.

    Raises:
        InputError: there are no such files, or one of them does not fit its format.
        UsageError: the split is unknown.
    """
    check_split(split, SPLITS)
    root = Path(root)
    folder = first_existing(root / "annotations", root / "multithumos" / "annotations")
    folder = Path(annotations) if annotations else folder
    files = {file.stem: file for file in sorted(folder.glob("*.txt"))}
    if not files:
        raise MissingAnnotationsError(
            f"{printable(folder)} holds no files <Class>.txt; put the annotations there."
        )
    return _actions(root, files, split)


def _actions(root: Path, files: Mapping[str, Path], split: str) -> list[Record]:
    videos = {path.stem: path for pattern in VIDEO_PATTERNS for path in root.glob(pattern)}
    records = []
    for label, file in files.items():
        for where, line in read_lines(file):
            with parsing(where, "a video and the seconds at which its action starts and ends"):
                name, start, end = line.split()
                span = (float(start), float(end))
                if not name.startswith(tuple(PREFIX.values())):
                    raise ValueError(f"no video of THUMOS14 is called {name}")
            if name.startswith(PREFIX[split]):
                default = path_below(root, f"{name}.mp4", where)
                valid = 0 <= span[0] < span[1] < float("inf")
                problem = None if valid else f"{where}: an action cannot last from {start} to {end} seconds."
                records.append(Record(videos.get(name, default), label, span, problem=problem))
    return sorted(records, key=lambda record: (record.path.name, record.span or ()))


register(Dataset("thumos14", "THUMOS14: 20 actions in untrimmed videos", list_records, SPLITS))
register(Dataset("multithumos", "MultiTHUMOS: 65 actions that overlap", list_multithumos, SPLITS))

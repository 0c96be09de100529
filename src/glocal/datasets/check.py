"""Compare a user's copy of a data set with its annotations."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

from tqdm import tqdm

from glocal.datasets.annotations import MissingAnnotationsError
from glocal.datasets.dataset import Dataset, Record
from glocal.errors import InputError, UsageError
from glocal.utils.files import printable
from glocal.video import read_video
from glocal.video.images import IMAGE_SUFFIXES, VIDEO_SUFFIXES

ProblemKind = Literal["annotations", "missing", "broken", "mislabelled", "unchecked", "extra"]
HARMLESS = ("unchecked", "extra")
"""Kinds of problems with which a copy still passes the check."""

SPAN_TOLERANCE = 0.5
"""Seconds by which a span may outlast its video: annotations are rounded."""


@dataclass(frozen=True)
class Problem:
    """A problem with a file of a data set.

    Attributes:
        kind: `unchecked` is a split without annotations, `extra` a file that no annotation names.
        path: the file.
        message: what is wrong, as a sentence.
    """

    kind: ProblemKind
    path: str
    message: str


@dataclass(frozen=True)
class CheckReport:
    """The result of a check.

    Attributes:
        items: number of clips, images or actions that the annotations name.
        files: number of files that hold them.
    """

    items: int
    files: int
    problems: tuple[Problem, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Kind → number of problems."""
        return {
            kind: sum(problem.kind == kind for problem in self.problems) for kind in get_args(ProblemKind)
        }

    @property
    def passed(self) -> bool:
        """Whether at least one split was checked, with harmless problems at most."""
        return bool(self.items) and all(problem.kind in HARMLESS for problem in self.problems)


def check_dataset(
    dataset: Dataset,
    root: "str | os.PathLike[str]",
    *,
    decode: bool = False,
    progress: bool = False,
    **options: Any,
) -> CheckReport:
    """Compare the files below `root` with the annotations of all splits and folds.

    Args:
        dataset: the data set.
        root: folder of the copy, or the table of clips.
        decode: decode every frame of every file, to find damage, and boxes and spans outside the video.
        progress: show a progress bar.
        options: as the data set's `list_records` takes them; a `fold` restricts the check to it.

    Raises:
        InputError: `root` does not exist.
        UsageError: the data set does not have that option.
    """
    root = Path(root)
    if not root.exists():
        raise InputError(f"{printable(root)} does not exist; give the folder of the data set.")
    for option in options:
        if not dataset.has_option(option):
            raise UsageError(f"the data set '{dataset.name}' has no option '{option}'.")
    records, problems = _all_records(dataset, root, options)
    by_file: dict[Path, list[Record]] = defaultdict(list)
    for record in records:
        by_file[record.path].append(record)
    files = _media_files(root if root.is_dir() else root.parent, by_file)
    unnamed = {path.name: path for path in files if path not in by_file}
    hidden = None if progress else True
    with (
        ThreadPoolExecutor(4) as pool,
        tqdm(desc="check the files", total=len(by_file), unit="file", disable=hidden, leave=False) as bar,
    ):
        for file_problems in pool.map(
            lambda item: list(_file_problems(item[0], item[1], dataset, unnamed, decode)), by_file.items()
        ):
            problems += file_problems
            bar.update()
    misplaced = {unnamed[path.name] for path in by_file if path.name in unnamed and not path.exists()}
    problems += [
        Problem("extra", printable(path), "no annotation names it.")
        for path in files
        if path not in by_file and path not in misplaced
    ]
    return CheckReport(len(records), len(by_file), tuple(problems))


def _all_records(
    dataset: Dataset, root: Path, options: Mapping[str, Any]
) -> tuple[list[Record], list[Problem]]:
    """The records of all splits and folds without repetition, and annotations that cannot be read."""
    splits = dataset.splits
    if splits is None:
        splits = tuple(sorted(path.name for path in root.iterdir() if path.is_dir() and path.name[0] != "."))
    folds = (options["fold"],) if "fold" in options else dataset.folds
    records: dict[Any, Record] = {}
    problems: dict[str, Problem] = {}
    for split, (number, fold) in product(splits or (None,), enumerate(folds or (None,))):
        arguments = {"split": split, "fold": fold, **options}
        if number and dataset.has_option("boxes"):
            arguments["boxes"] = False  # they were read with the first fold
        arguments = {name: value for name, value in arguments.items() if value is not None}
        try:
            for record in dataset.list_records(root, **arguments):
                records.setdefault((record.path, record.label, record.span), record)
        except InputError as error:
            missing = isinstance(error, MissingAnnotationsError)
            kind: ProblemKind = "unchecked" if missing else "annotations"
            problems.setdefault(str(error), Problem(kind, printable(root), str(error)))
    return list(records.values()), list(problems.values())


def _media_files(root: Path, named: Mapping[Path, Any]) -> list[Path]:
    """Videos and images below `root`, and those folders of frames that the annotations name."""
    paths = []
    for parent, folders, files in os.walk(root):
        folder = Path(parent)
        paths += [folder / name for name in sorted(folders) if folder / name in named]
        folders[:] = sorted(name for name in folders if name[0] != "." and folder / name not in named)
        paths += [
            folder / name
            for name in sorted(files)
            if name[0] != "." and name.lower().endswith((*VIDEO_SUFFIXES, *IMAGE_SUFFIXES))
        ]
    return paths


def _file_problems(
    path: Path, records: Sequence[Record], dataset: Dataset, unnamed: Mapping[str, Path], decode: bool
) -> Iterator[Problem]:
    """Problems of one file with its records; `unnamed` are files that no annotation names, by name."""
    name = printable(path)
    yield from _label_problems(name, records, dataset)
    if not path.exists():
        if other := unnamed.get(path.name):
            yield Problem("mislabelled", printable(other), f"it should lie in {printable(path.parent)}.")
        else:
            yield Problem("missing", name, "the annotations name it, but it does not exist.")
    elif path.is_dir() and not any(entry.name.lower().endswith(IMAGE_SUFFIXES) for entry in os.scandir(path)):
        yield Problem("broken", name, "it is a folder without images.")
    elif path.is_file() and not path.stat().st_size:
        yield Problem("broken", name, "it is empty (0 bytes).")
    elif decode:
        yield from _decoding_problems(path, records)
    else:
        for record in records:
            yield from _truth_problems(record, name, records[0].size, records[0].frames, None)


def _label_problems(name: str, records: Sequence[Record], dataset: Dataset) -> Iterator[Problem]:
    """Problems of the annotations, and labels that the data set does not have."""
    for problem in dict.fromkeys(record.problem for record in records):
        if problem:
            yield Problem("annotations", name, problem)
    for label in sorted({record.label for record in records}):
        if dataset.classes and label not in dataset.classes:
            yield Problem("mislabelled", name, f"'{label}' is not a class of {dataset.name}.")


def _decoding_problems(path: Path, records: Sequence[Record]) -> Iterator[Problem]:
    """Damage that decoding finds, and boxes and spans outside the decoded video."""
    name, size = printable(path), records[0].size
    try:
        video = read_video(path, records[0].fps)
        frames = sum(1 for _ in video)
    except InputError as error:
        yield Problem("broken", name, str(error))
        return
    for note in video.notes:
        yield Problem("broken", name, f"{note}.")
    decoded = (video.width, video.height)
    if size and size != decoded:
        sizes = f"{video.width}×{video.height} pixels, not {size[0]}×{size[1]} as annotated"
        yield Problem("mislabelled", name, f"it has {sizes}.")
    seconds = float(video.times[-1]) + 1 / video.fps
    for record in records:
        yield from _truth_problems(record, name, decoded, frames, seconds)


def _truth_problems(
    record: Record, name: str, size: tuple[int, int] | None, frames: int | None, seconds: float | None
) -> Iterator[Problem]:
    """Boxes and a span outside the picture or the video, as far as its size and length are known."""
    width, height = size or (float("inf"), float("inf"))
    outside = [
        frame
        for frame, boxes in record.boxes.items()
        if not all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in boxes)
    ]
    if outside:
        count = f"{len(outside)} frames, first in frame {outside[0]}"
        yield Problem("mislabelled", name, f"boxes are empty or reach beyond the picture in {count}.")
    if frames and (late := [frame for frame in record.boxes if not 0 <= frame < frames]):
        yield Problem("mislabelled", name, f"it has {frames} frames, but a box in frame {late[-1]}.")
    if seconds is not None and record.span:
        start, end = record.span
        if start >= seconds or (end != float("inf") and end > seconds + SPAN_TOLERANCE):
            message = (
                f"it ends after {seconds:.2f} seconds, but '{record.label}' goes from {start:g} to {end:g}."
            )
            yield Problem("mislabelled", name, message)

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

from glocal.datasets.annotations import AbsentError
from glocal.datasets.dataset import Dataset, Record
from glocal.datasets.folder import VIDEOS
from glocal.errors import InputError, UsageError
from glocal.utils.files import shown
from glocal.video import read_video
from glocal.video.stills import SUFFIXES

Kind = Literal["annotations", "missing", "broken", "mislabelled", "unchecked", "extra"]
HARMLESS = ("unchecked", "extra")


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        kind: `unchecked` is a split whose annotations are not there, `extra` a file that none names.
        path: of the file.
        sentence: what is wrong.
    """

    kind: Kind
    path: str
    sentence: str


@dataclass(frozen=True)
class Findings:
    """What a check found.

    Attributes:
        items: clips, images or actions that the annotations name.
        files: that these are in.
    """

    items: int
    files: int
    found: tuple[Finding, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Kind → number of findings."""
        return {kind: sum(finding.kind == kind for finding in self.found) for kind in get_args(Kind)}

    @property
    def sound(self) -> bool:
        """Whether some split was checked, and nothing but the harmless was found."""
        return bool(self.items) and all(finding.kind in HARMLESS for finding in self.found)


LATE = 0.5
"""Seconds by which a span may outlast its video: annotations are rounded."""


def check(
    dataset: Dataset,
    root: "str | os.PathLike[str]",
    *,
    decode: bool = False,
    progress: bool = False,
    **options: Any,
) -> Findings:
    """Compare the files below `root` with the annotations of all splits and folds.

    Args:
        decode: decode every frame of every file, which shows what is damaged, and which boxes and spans lie
            outside of a video.
        options: as the data set's `listing` takes them; a `fold` restricts the check to it.

    Raises:
        InputError: `root` is no folder (or table, for a table of clips).
        UsageError: an option that the data set does not have.
    """
    root = Path(root)
    if not root.exists():
        raise InputError(f"{shown(root)} does not exist; give the folder of the data set.")
    for option in options:
        if not dataset.takes(option):
            raise UsageError(f"the data set '{dataset.name}' has no option '{option}'.")
    found: list[Finding] = []
    records = _all_records(dataset, root, options, found)
    by_file: dict[Path, list[Record]] = defaultdict(list)
    for record in records:
        by_file[record.path].append(record)
    files = _files(root if root.is_dir() else root.parent, by_file)
    elsewhere = {path.name: path for path in files if path not in by_file}
    hidden = None if progress else True
    with (
        ThreadPoolExecutor(4) as pool,
        tqdm(desc="check the files", total=len(by_file), unit="file", disable=hidden, leave=False) as bar,
    ):
        for findings in pool.map(
            lambda item: list(_check_file(item[0], item[1], dataset, elsewhere, decode)), by_file.items()
        ):
            found += findings
            bar.update()
    misplaced = {elsewhere[path.name] for path in by_file if path.name in elsewhere and not path.exists()}
    found += [
        Finding("extra", shown(path), "no annotation names it.")
        for path in files
        if path not in by_file and path not in misplaced
    ]
    return Findings(len(records), len(by_file), tuple(found))


def _all_records(
    dataset: Dataset, root: Path, options: Mapping[str, Any], found: list[Finding]
) -> list[Record]:
    """The items of every split and fold, each once; annotations that cannot be read are put into `found`."""
    splits = dataset.splits
    if splits is None:
        splits = tuple(sorted(path.name for path in root.iterdir() if path.is_dir() and path.name[0] != "."))
    folds = (options["fold"],) if "fold" in options else dataset.folds
    records: dict[Any, Record] = {}
    said: set[str] = set()
    for split, (number, fold) in product(splits or (None,), enumerate(folds or (None,))):
        named = {"split": split, "fold": fold, **options}
        if number and dataset.takes("boxes"):
            named["boxes"] = False  # the first fold has shown them
        given = {name: value for name, value in named.items() if value is not None}
        try:
            for record in dataset.listing(root, **given):
                records.setdefault((record.path, record.label, record.span), record)
        except InputError as problem:
            if str(problem) not in said:
                kind: Kind = "unchecked" if isinstance(problem, AbsentError) else "annotations"
                found.append(Finding(kind, shown(root), str(problem)))
            said.add(str(problem))
    return list(records.values())


def _files(root: Path, named: Mapping[Path, Any]) -> list[Path]:
    """Videos and images below `root`, and the folders of frames that are named."""
    found = []
    for folder, folders, files in os.walk(root):
        place = Path(folder)
        for name in sorted(folders):
            if place / name in named:
                found.append(place / name)
        folders[:] = sorted(name for name in folders if name[0] != "." and place / name not in named)
        found += [
            place / name
            for name in sorted(files)
            if name[0] != "." and name.lower().endswith((*VIDEOS, *SUFFIXES))
        ]
    return found


def _check_file(
    path: Path, records: Sequence[Record], dataset: Dataset, elsewhere: Mapping[str, Path], decode: bool
) -> Iterator[Finding]:
    name = shown(path)
    for problem in dict.fromkeys(record.problem for record in records):
        if problem:
            yield Finding("annotations", name, problem)
    for label in sorted({record.label for record in records}):
        if dataset.classes and label not in dataset.classes:
            yield Finding("mislabelled", name, f"'{label}' is not a class of {dataset.name}.")
    if not path.exists():
        if other := elsewhere.get(path.name):
            yield Finding("mislabelled", shown(other), f"it should lie in {shown(path.parent)}.")
        else:
            yield Finding("missing", name, "the annotations name it, but it is not there.")
        return
    size, frames, seconds = records[0].size, records[0].frames, None
    if path.is_dir() and not any(entry.name.lower().endswith(SUFFIXES) for entry in os.scandir(path)):
        yield Finding("broken", name, "it is a folder without images.")
        return
    if path.is_file() and not path.stat().st_size:
        yield Finding("broken", name, "it is empty (0 bytes).")
        return
    if decode:
        try:
            video = read_video(path, records[0].fps)
            frames = sum(1 for _ in video)
        except InputError as problem:
            yield Finding("broken", name, str(problem))
            return
        for note in video.notes:
            yield Finding("broken", name, f"{note}.")
        if size and size != (video.width, video.height):
            sides = f"{video.width}×{video.height} pixels, not {size[0]}×{size[1]} as annotated"
            yield Finding("mislabelled", name, f"it has {sides}.")
        size, seconds = (video.width, video.height), float(video.times[-1]) + 1 / video.fps
    for record in records:
        yield from _check_truth(record, name, size, frames, seconds)


def _check_truth(
    record: Record, name: str, size: tuple[int, int] | None, frames: int | None, seconds: float | None
) -> Iterator[Finding]:
    """Boxes and span against what is known of the file."""
    width, height = size or (float("inf"), float("inf"))
    outside = [
        frame
        for frame, boxes in record.boxes.items()
        if not all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in boxes)
    ]
    if outside:
        count = f"{len(outside)} frames, first in frame {outside[0]}"
        yield Finding("mislabelled", name, f"boxes are empty or reach beyond the picture in {count}.")
    if frames and (late := [frame for frame in record.boxes if not 0 <= frame < frames]):
        yield Finding("mislabelled", name, f"it has {frames} frames, but a box in frame {late[-1]}.")
    if seconds is not None and record.span:
        start, end = record.span
        if start >= seconds or (end != float("inf") and end > seconds + LATE):
            sentence = (
                f"it ends after {seconds:.2f} seconds, but '{record.label}' goes from {start:g} to {end:g}."
            )
            yield Finding("mislabelled", name, sentence)

"""What a data set is to the rest of the library."""

import inspect
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glocal.datasets.record import Record
from glocal.errors import InputError
from glocal.video.paths import shown

log = logging.getLogger("glocal.datasets")


@dataclass(frozen=True)
class Dataset:
    """A data set that a user has a copy of.

    Attributes:
        listing: `(root, split, …)` → every item that the annotations name, present or not.
        splits: which there are; none for a table, None where any folder in the root is one.
        folds: numbers of the divisions into splits, if there are several.
        classes: names, where the data set fixes them.
    """

    name: str
    title: str
    listing: Callable[..., list[Record]]
    splits: tuple[str, ...] | None = ()
    folds: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()

    def takes(self, option: str) -> bool:
        """Whether `listing` has this option."""
        return option in inspect.signature(self.listing).parameters

    def read(
        self, root: "str | os.PathLike[str]", split: str = "train", *, strict: bool = False, **options: Any
    ) -> list[Record]:
        """The items of a split that are there.

        Args:
            root: folder of the data set, laid out as it is published.
            strict: a missing item, or one with broken annotations, is an error; by default such items are
                counted in a warning and left out.
            options: `fold`, `annotations` and others, as `listing` takes them.

        Raises:
            InputError: the annotations cannot be read, or do not fit their format.
            UsageError: there is no such split or fold.
        """
        given = {"split": split, **options} if self.takes("split") else options
        return present(self.listing(Path(root), **given), strict)


def present(records: Sequence[Record], strict: bool = False) -> list[Record]:
    """The records whose files are there and whose annotations can be used.

    Raises:
        InputError: none is left, or with `strict`, one is not.
    """
    kept, lost = [], []
    for record in records:
        if problem := fault(record):
            lost.append(problem)
            log.info("%s", problem)
        else:
            kept.append(record)
    if lost and (strict or not kept):
        count = f"{len(lost)} of {len(records)} items cannot be used"
        raise InputError(f"{lost[0].rstrip('.')}; {count}: run 'glocal datasets check' for all of them.")
    if lost:
        log.warning("%d of %d items cannot be used and are left out: %s", len(lost), len(records), lost[0])
    return kept


def fault(record: Record) -> str | None:
    """Why an item cannot be used, as far as can be told without decoding it."""
    if record.problem:
        return record.problem
    return None if os.path.exists(record.path) else f"{shown(record.path)} is missing."

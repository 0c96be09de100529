"""What a run measures, as it goes: `metrics.csv` and TensorBoard."""

import csv
from collections.abc import Mapping
from pathlib import Path

from glocal.utils.files import atomic_path
from glocal.utils.optional_import import optional_import

HEADER = ["step", "epoch", "measure", "value"]


class Log:
    """A row for each measure, and a curve in TensorBoard.

    Args:
        folder: of the run.
        step: after which a resumed run goes on; what was logged beyond it is taken back.
    """

    def __init__(self, folder: Path, step: int = 0):
        path = folder / "metrics.csv"
        kept = [row for row in read_rows(path) if int(row[0]) <= step] if step else []
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([HEADER, *kept])
        self._file = path.open("a", encoding="utf-8", newline="", buffering=1)
        self._rows = csv.writer(self._file)
        writer = optional_import("torch.utils.tensorboard", extra="train", purpose="training").SummaryWriter
        self._board = writer(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, epoch: int, measures: Mapping[str, float]) -> None:
        """Log measures at a step, counted from 1."""
        for name, value in measures.items():
            self._rows.writerow([step, epoch, name, repr(float(value))])
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Write out what is left."""
        self._file.close()
        self._board.close()


def read_rows(path: Path) -> list[list[str]]:
    """The rows of a log below its header; a last line that a kill cut short is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [row for row in csv.reader(line for line in lines[1:] if line.endswith("\n")) if len(row) == 4]

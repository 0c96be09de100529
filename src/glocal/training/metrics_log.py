"""The measures of a run over time, in `metrics.csv` and for TensorBoard."""

import csv
from collections.abc import Mapping
from pathlib import Path

from glocal.utils.files import output_path, writing
from glocal.utils.optional_import import optional_import

HEADER = ["step", "epoch", "measure", "value"]


class MetricsLog:
    """Writes one row in `metrics.csv` and one point of a TensorBoard curve for each measure.

    Rows are written at once, so that a run that is killed loses at most the last line.

    Args:
        folder: of the run.
        step: step at which a resumed run starts; rows of later steps are removed.
    """

    def __init__(self, folder: Path, step: int = 0):
        path = folder / "metrics.csv"
        earlier = [row for row in read_metrics(path) if int(row[0]) <= step] if step else []
        with output_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([HEADER, *earlier])
        self._path = path
        self._file = path.open("a", encoding="utf-8", newline="", buffering=1)
        self._rows = csv.writer(self._file)
        tensorboard = optional_import("torch.utils.tensorboard", extra="train", purpose="training")
        self._curves = tensorboard.SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, epoch: int, measures: Mapping[str, float]) -> None:
        """Log measures.

        Args:
            step: batches since the start of the run, from 1.
            epoch: from 0.
            measures: name → value.

        Raises:
            WriteError: they cannot be written.
        """
        with writing(self._path):
            for name, value in measures.items():
                self._rows.writerow([step, epoch, name, repr(float(value))])
                self._curves.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close the files."""
        self._file.close()
        self._curves.close()


def read_metrics(path: Path) -> list[list[str]]:
    """Return the rows of a log without its header: step, epoch, measure, value.

    Args:
        path: of `metrics.csv`. An incomplete last line, which a killed run leaves, is skipped; a missing file
            has no rows.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return [row for row in csv.reader(line for line in lines[1:] if line.endswith("\n")) if len(row) == 4]

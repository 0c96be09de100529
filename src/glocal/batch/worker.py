"""The work of one process of a batch."""

import time
from pathlib import Path

import torch

from glocal.batch.ledger import Outcome
from glocal.errors import GlocalError
from glocal.explanation.config import ExplainConfig
from glocal.models import Model
from glocal.models.source import ModelSource
from glocal.report.explain_to_files import ReportConfig, explain_to_files
from glocal.utils.opencv import set_opencv_threads
from glocal.utils.resources import resource_error


class Worker:
    """Keeps the model loaded, and explains one video after the other.

    Args:
        source: of the model.
        config: what is explained, and how.
        report: what the reports show.
        out: folder of the results.
        threads: of PyTorch and OpenCV.
    """

    source: ModelSource
    config: ExplainConfig
    report: ReportConfig
    out: Path

    def __init__(
        self, source: ModelSource, config: ExplainConfig, report: ReportConfig, out: Path, *, threads: int
    ) -> None:
        torch.set_num_threads(threads)
        set_opencv_threads(threads)
        self.source, self.config, self.report, self.out = source, config, report, out

    def start(self) -> None:
        """Load the model. Raises what `load_model` does."""
        self.model: Model = self.source.load(repeated=True)

    def explain(self, video: str, name: str, key: str) -> Outcome:
        """Explain a video and write its files; an error is returned in the outcome."""
        begin = time.monotonic()
        folder, stem = (self.out / name).parent, Path(name).name
        try:
            results = explain_to_files(
                self.model, video, folder, stem, config=self.config, report=self.report
            )
        except GlocalError as error:
            return Outcome(video, name, key, str(error), round(time.monotonic() - begin, 3))
        except Exception as error:
            if lacking := resource_error(error):
                return Outcome(video, name, key, str(lacking), round(time.monotonic() - begin, 3))
            reason = " ".join(str(error).split())[:300]
            sentence = f"unexpected {type(error).__name__}: {reason or 'no message'}"
            return Outcome(video, name, key, sentence, round(time.monotonic() - begin, 3))
        best, files = results[0].explanation, [file for result in results for file in result.files]
        return Outcome(
            video,
            name,
            key,
            seconds=round(time.monotonic() - begin, 3),
            label=best.target.label,
            score=best.probability,
            peak=float(best.times[best.relevance.argmax()]),
            files=tuple(str(file.relative_to(self.out)) for file in files),
            sizes=tuple(file.stat().st_size for file in files),
        )

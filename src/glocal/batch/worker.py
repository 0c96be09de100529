"""The work of one process of a batch."""

import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from glocal.batch.ledger import Outcome
from glocal.batch.remote import address_name, is_address, local_copy, shown_address
from glocal.batch.tables import REGIONS_SUFFIX, has_parquet, write_regions
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
        set_opencv_threads(threads)
        self.threads = threads
        self.source, self.config, self.report, self.out = source, config, report, out

    def start(self) -> None:
        """Load the model. Raises what `load_model` does."""
        torch.set_num_threads(self.threads)
        self.model: Model = self.source.load(repeated=True)

    def explain(self, video: str, name: str, key: str) -> Outcome:
        """Explain a video and write its files; an error is returned in the outcome."""
        begin = time.monotonic()
        torch.set_num_threads(self.threads)  # each thread has a number of its own
        outcome, path = Outcome(video, name, key), video
        try:
            with local_copy(video) if is_address(video) else nullcontext(video) as path:
                outcome = self._explain(path, outcome)
        except Exception as error:
            outcome = replace(outcome, error=_sentence(error).replace(path, shown_address(video)))
        return replace(outcome, seconds=round(time.monotonic() - begin, 3))

    def _explain(self, path: str, outcome: Outcome) -> Outcome:
        """Explain the video at a path and write its files; return the outcome with what they show."""
        folder, stem = (self.out / outcome.name).parent, Path(outcome.name).name
        shown_path = None
        if is_address(outcome.video):
            shown_path = outcome.video if self.report.full_paths else address_name(outcome.video)
        results = explain_to_files(
            self.model,
            path,
            folder,
            stem,
            config=self.config,
            report=self.report,
            shown_path=shown_path,
        )
        files = [file for result in results for file in result.files]
        if has_parquet():
            explanations = [result.explanation for result in results]
            regions = folder / f"{stem}{REGIONS_SUFFIX}"
            write_regions(regions, explanations, outcome, threshold=self.report.style.threshold or 0.5)
            files.append(regions)
        best = results[0].explanation
        is_image = best.video.frames == 1
        return replace(
            outcome,
            label=best.target.label,
            score=best.probability,
            unsure=best.is_answer and best.is_unsure,
            peak=None if is_image else float(best.times[best.relevance.argmax()]),
            duration=None if is_image else round(float(best.times[-1]) + 1 / best.video.fps, 3),
            files=tuple(str(file.relative_to(self.out)) for file in files),
            sizes=tuple(file.stat().st_size for file in files),
        )


def _sentence(error: Exception) -> str:
    """Return what an error says in one sentence."""
    if isinstance(error, GlocalError):
        return str(error)
    if lacking := resource_error(error):
        return str(lacking)
    reason = " ".join(str(error).split())[:300]
    return f"unexpected {type(error).__name__}: {reason or 'no message'}"

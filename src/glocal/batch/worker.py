"""What one process of a batch does."""

import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from glocal.batch.ledger import Outcome
from glocal.errors import GlocalError
from glocal.explanation.config import Explaining
from glocal.models import Model, load_model


@dataclass(frozen=True)
class Loading:
    """Which model each process loads, as `load_model` takes it."""

    name: str
    weights: str | None
    labels: str | None
    device: str

    def load(self) -> Model:
        """Random weights are drawn from a fixed seed, the same in every process."""
        return load_model(self.name, self.weights, labels=self.labels, device=self.device)


class Worker:
    """Holds the model, and explains one video after the other."""

    def __init__(self, loading: Loading, explaining: Explaining, out: Path, threads: int):
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        self.loading, self.explaining, self.out = loading, explaining, out

    def start(self) -> None:
        """Load the model; raises what `load_model` does."""
        self.model = self.loading.load()

    def explain(self, video: str, name: str, key: str) -> Outcome:
        """Explain a video and write its files; whatever is wrong with it is told in the outcome."""
        begin = time.monotonic()
        folder, stem = (self.out / name).parent, Path(name).name
        try:
            written = self.explaining.write(self.model, video, folder, stem)
        except GlocalError as error:
            return Outcome(video, name, key, str(error), round(time.monotonic() - begin, 3))
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            sentence = f"unexpected {type(error).__name__}: {reason or 'no message'}"
            return Outcome(video, name, key, sentence, round(time.monotonic() - begin, 3))
        first = written[0].explanation
        return Outcome(
            video,
            name,
            key,
            seconds=round(time.monotonic() - begin, 3),
            label=first.target.label,
            score=first.probability,
            peak=float(first.times[first.relevance.argmax()]),
            files=tuple(str(file.relative_to(self.out)) for one in written for file in one.files),
        )

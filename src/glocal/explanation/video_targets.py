"""Which classes to explain in every window of a video: those that are best in the whole video."""

import torch
from torch import Tensor

from glocal.attribution import Attribution
from glocal.attribution.targets import top_count
from glocal.explanation.predictions import MeanProbabilities


class VideoTargets:
    """The classes to explain in every window, by index or as the K best of the whole video.

    The best classes are known once all windows have been classified. Until then they are taken to be those of
    the first window; most often they are, and one pass over the video is enough.

    Args:
        target: a class index, or `"topK"`.
        num_classes: number of classes.

    Attributes:
        classes: `(1, K)`, best first; None before the first window.
        are_wrong: whether other classes are the best of the windows so far; what has been explained is then
            to be dropped, and the rest of the video only to be classified.
    """

    def __init__(self, target: str | int, num_classes: int) -> None:
        self.classes: Tensor | None = None
        self.are_wrong: bool = False
        self._name, self._is_final = str(target), isinstance(target, int)
        self._count = 1 if isinstance(target, int) else top_count(target, num_classes)
        self._mean = MeanProbabilities()
        self._windows = 0
        if isinstance(target, int):
            self.classes = torch.tensor([[target]])

    @property
    def of_window(self) -> str | Tensor:
        """The target of the next window, for `attribute`."""
        return self._name if self.classes is None else self.classes

    def take_from(self, attribution: Attribution) -> Tensor:
        """Return the classes `(1, K)`; those that are explained in the first window, if they are unknown."""
        if self.classes is None:
            self.classes = torch.stack([part.target for part in attribution.per_class], dim=1).cpu()
        return self.classes

    def add(self, probabilities: Tensor) -> None:
        """Add the probabilities `(num_classes,)` of a window that counts for the predictions."""
        if self._is_final:
            return
        self._mean.add(probabilities)
        self._windows += 1
        if self.classes is not None and self._windows > 1 and not self.are_wrong:
            best, classes = self._best()[0].tolist(), self.classes[0].tolist()
            self.are_wrong = best[0] != classes[0] or set(best) != set(classes)

    def settle(self) -> None:
        """Take the best classes of all windows, once all have been added, for the next pass."""
        self.classes, self.are_wrong, self._is_final = self._best(), False, True

    def ranked(self) -> list[int]:
        """The classes, best in the whole video first."""
        assert self.classes is not None, "a video has at least one window"
        classes: list[int] = self.classes[0].tolist()
        if self._is_final or self._windows < 2:
            return classes
        return [index for index in self._best()[0].tolist() if index in classes]

    def _best(self) -> Tensor:
        return self._mean.value.argsort(descending=True)[None, : self._count]

"""AUROC: how well a score tells two classes apart."""

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError
from glocal.evaluation.parts import Parts


class AUROC(Parts[tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]):
    """Area under the ROC curve: the chance that a positive scores higher than a negative; ties count half."""

    def update(self, scores: npt.ArrayLike, positive: npt.ArrayLike) -> None:
        """Add scores and, of the same shape, whether each is of a positive: of clips, or of pixels.

        Raises:
            UsageError: the shapes differ, or a score is no number.
        """
        values, truth = np.asarray(scores, float).ravel(), np.asarray(positive, bool).ravel()
        if np.shape(scores) != np.shape(positive) or np.isnan(values).any():
            raise UsageError(
                f"scores and positives must have one shape and be numbers, not {np.shape(scores)} and "
                f"{np.shape(positive)}."
            )
        self._parts.append((values, truth))

    def compute(self) -> float:
        """In [0, 1]; NaN while one of the classes is missing."""
        if not self._parts:
            return float("nan")
        values, truth = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        positives, negatives = int(truth.sum()), int((~truth).sum())
        if not positives or not negatives:
            return float("nan")
        _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks = counts.cumsum() - (counts - 1) / 2  # the mean rank of equal scores
        return float((ranks[index][truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))

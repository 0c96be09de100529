"""Random labels: the same clips, the same number of each class, and nothing that can be learned from one."""

from collections import Counter

import numpy as np
import pytest

from glocal.errors import UsageError
from glocal.training.sources import open_source

OPTIONS = {"source": "puppets", "split": "train", "length": 200, "size": 16, "frames": 5}


def test_labels_are_dealt_out_anew_and_clips_stay() -> None:
    true = open_source(OPTIONS, "data.train")
    random = open_source({**OPTIONS, "random_labels": True}, "data.train")
    labels = [[source.label(item) for item in range(len(source))] for source in (true, random)]
    assert Counter(labels[0]) == Counter(labels[1])
    assert np.mean([a == b for a, b in zip(*labels, strict=True)]) < 0.15
    assert random.labels == true.labels
    frames = np.arange(3)
    assert all(
        np.array_equal(a, b) for a, b in zip(true.read(7, frames), random.read(7, frames), strict=True)
    )
    assert np.array_equal(true.times(7), random.times(7))
    assert true.identity(7) == random.identity(7)
    again = open_source({**OPTIONS, "random_labels": True}, "data.train")
    assert [again.label(item) for item in range(200)] == labels[1], "the same in every run"


def test_wrong_values_are_refused() -> None:
    with pytest.raises(UsageError, match=r"data\.train\.random_labels must be true or false"):
        open_source({**OPTIONS, "random_labels": 3}, "data.train")

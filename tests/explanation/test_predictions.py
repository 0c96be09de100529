"""What is said of the predictions of a video."""

import pytest

from glocal.explanation.explanation import Prediction
from glocal.explanation.predictions import is_unsure


@pytest.mark.parametrize(("best", "unsure"), [(0.246, True), (0.2999, True), (0.3, False), (0.98, False)])
def test_a_model_is_unsure_if_its_best_class_has_less_than_three_tenths(best: float, unsure: bool) -> None:
    assert is_unsure([Prediction("kick", 3, best), Prediction("walk", 7, 0.1)]) is unsure


def test_without_predictions_nothing_is_called_unsure() -> None:
    assert not is_unsure([])

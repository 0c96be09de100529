"""Predictions for a video, and what each depth of a gated network votes for."""

from typing import Any

import numpy as np
import pytest
import torch

from glocal import load_model
from glocal.explanation.parts import Prediction, is_unsure
from glocal.explanation.runner import explain
from glocal.video import read_video
from glocal.video.windows import windows


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model("gated/resnext3d-small:layer2+layer4", labels=("a", "b", "c", "d"), seed=3)


@pytest.mark.parametrize("frames", [16, 40])
def test_votes_are_each_gates_own_classes_over_the_video(model: Any, frames: Any) -> None:
    video = read_video(np.random.default_rng(0).integers(0, 256, (frames, 32, 40, 3), np.uint8))
    explanation = explain(model, video)
    clips = [window.clip for window in windows(video, model.clip, overlap=0.0)]
    with torch.no_grad():
        logits = [model.network.gate_logits(clip) for clip in clips]
    assert list(explanation.votes) == ["layer2", "layer4"]
    for gate, votes in explanation.votes.items():
        mean = torch.stack([window[gate].softmax(1)[0] for window in logits]).mean(0)
        assert [vote.index for vote in votes] == mean.argsort(descending=True).tolist()
        assert [vote.score for vote in votes] == pytest.approx(
            mean.sort(descending=True)[0].tolist(), abs=1e-5
        )


def test_listening_leaves_nothing_on_the_network(model: Any) -> None:
    video = read_video(np.zeros((16, 32, 32, 3), np.uint8))
    explain(model, video)
    assert not any(module._forward_hooks for module in model.network.modules())


def test_other_networks_have_no_votes() -> None:
    model = load_model("resnext3d-small", num_classes=3)
    assert explain(model, np.zeros((16, 32, 32, 3), np.uint8)).votes == {}


@pytest.mark.parametrize(
    ("scores", "unsure"),
    [
        ((0.246, 0.1), True),
        ((0.2999, 0.1), True),
        ((0.3, 0.1), False),
        ((0.98, 0.01), False),
        ((0.54, 0.46), True),
        ((0.62, 0.38), False),
        ((0.35, 0.33), True),
        ((0.0, 0.0), True),
    ],
)
def test_a_model_is_unsure_of_a_class_improbable_or_hardly_ahead(
    scores: tuple[float, ...], unsure: bool
) -> None:
    assert is_unsure([Prediction(str(i), i, score) for i, score in enumerate(scores)]) is unsure


@pytest.mark.parametrize(("scores", "unsure"), [((0.98, 0.95), False), ((0.29, 0.28), True)])
def test_classes_that_do_not_exclude_each_other_need_no_lead(scores: tuple[float, ...], unsure: bool) -> None:
    assert is_unsure([Prediction(str(i), i, score) for i, score in enumerate(scores)]) is unsure


@pytest.mark.parametrize(("score", "unsure"), [(0.02, False), (0.48, True), (0.53, True), (0.56, False)])
def test_a_class_alone_is_compared_with_its_absence(score: float, unsure: bool) -> None:
    assert is_unsure([Prediction("fight", 0, score)]) is unsure


def test_without_predictions_nothing_is_called_unsure() -> None:
    assert not is_unsure([])

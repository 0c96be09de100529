"""What a console shows of the public objects is one short line, never the numbers inside."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import glocal
from glocal.datasets.puppets import Puppets, UntrimmedPuppets
from glocal.models.card import read_card


@pytest.fixture(scope="module")
def model() -> glocal.Model:
    return glocal.load_model("puppets/gated")


@pytest.fixture(scope="module")
def explanation(model: glocal.Model) -> glocal.Explanation:
    return glocal.explain(model, np.zeros((8, 64, 64, 3), np.uint8))


def is_short(value: object, *words: str) -> bool:
    text = repr(value)
    return len(text) <= 200 and "\n" not in text and all(word in text for word in words)


def test_models_and_their_cards_are_short(model: glocal.Model) -> None:
    card = Path(str(resources.files("glocal.models"))) / "trained" / "puppets" / "gated.json"
    assert is_short(model, "puppets/gated", "20 classes")
    assert is_short(read_card(card), "gated/resnext3d-small", "20 classes")
    assert is_short(glocal.MODELS["r3d-18"], "r3d-18", "layer4")


def test_videos_and_clips_are_short() -> None:
    assert is_short(glocal.read_video(np.zeros((8, 48, 64, 3), np.uint8)), "64×48")
    assert is_short(Puppets("test", 1, size=64, frames=8)[0], "test 0", "8×64×64")
    assert is_short(UntrimmedPuppets("test", 1, size=64)[0], "test 0", "shots")


def test_results_are_short(model: glocal.Model, explanation: glocal.Explanation) -> None:
    assert is_short(explanation, "8 frames", "puppets/gated", "layercam")
    localization = glocal.localize(explanation)
    assert is_short(localization, "8 frames", repr(explanation.target.label))
    assert is_short(localization.per_class[0], "tubes", "segments")
    assert is_short(glocal.Edit.moment(8, (2, 4)), "temporal of 8 frames")

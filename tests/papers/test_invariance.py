"""Implementation invariance: networks of one function, and which methods tell them apart."""

import numpy as np
import pytest
import torch

import glocal
from glocal.benchmark import Footage, parse_explainers
from glocal.papers.claims.invariance import (
    COLUMNS,
    compare_implementations,
    moved,
    rescale_channels,
    shift_logits,
)
from glocal.video import read_video

MODEL = glocal.load_model("puppets/gated")
RESCALED, SHIFTED = rescale_channels(MODEL), shift_logits(MODEL)
CLIP = torch.randn(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
FOOTAGE = Footage(read_video(np.zeros((8, 32, 32, 3), np.uint8)), clip=CLIP)


def compare(method: str) -> dict[str, float]:
    explainers = [
        parse_explainers([method], dict(model.layer_paths))[method].of(model)
        for model in (MODEL, RESCALED, SHIFTED)
    ]
    others = {"rescaled": (RESCALED, explainers[1]), "shifted": (SHIFTED, explainers[2])}
    return compare_implementations(MODEL, FOOTAGE, explainers[0], others)


def test_the_networks_compute_the_same_with_other_activations() -> None:
    logits = MODEL.logits(CLIP)
    assert torch.allclose(RESCALED.logits(CLIP), logits, atol=1e-4)
    shifted = SHIFTED.logits(CLIP)
    assert torch.allclose(shifted.softmax(1), logits.softmax(1), atol=1e-5)
    assert not torch.allclose(shifted, logits)
    sums = []
    for model in (MODEL, RESCALED):
        record = {}
        handle = model.layers["layer2"].register_forward_hook(lambda m, i, o, r=record: r.update(out=o))
        model.logits(CLIP)
        handle.remove()
        sums.append(record["out"].sum(1))
    assert not torch.allclose(sums[0], sums[1], rtol=0.05)


@pytest.mark.parametrize("method", ["gradcam", "layercam", "inputxgradient"])
def test_products_of_activation_and_gradient_depend_on_the_function_alone(method: str) -> None:
    figures = compare(method)
    assert set(figures) == set(COLUMNS)
    assert figures["rescaled"] > 0.999
    assert figures["rescaled moved"] < 0.01


def test_sums_over_channels_depend_on_how_they_are_scaled() -> None:
    figures = compare("3dcam")
    assert figures["rescaled"] < 0.99
    assert figures["rescaled moved"] > 0.02


def test_only_the_centred_score_does_not_see_a_shift_of_all_logits() -> None:
    assert compare("3dcam:centred")["shifted moved"] < 1e-3
    assert compare("3dcam")["shifted moved"] > 0.02


def test_what_moved_is_the_share_that_is_elsewhere() -> None:
    before, after = np.zeros((1, 2, 2), np.float32), np.zeros((1, 2, 2), np.float32)
    before[0, 0] = 2
    after[0, 0, 0] = after[0, 1, 1] = 5
    assert moved(before, before * 3) == 0
    assert moved(before, after) == 0.5
    assert np.isnan(moved(before, after * 0))

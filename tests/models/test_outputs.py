"""What a network's outputs are: found out by `as_model`, and used wherever a probability is computed."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import glocal
from glocal.errors import UsageError
from glocal.models.model import Outputs
from helpers.networks import seeded

CLIP_SPEC = glocal.ClipSpec(frames=4, size=16, short_side=16)
VIDEO = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
CLIP = torch.from_numpy(VIDEO).permute(3, 0, 1, 2)[None] / 255


class Ending(nn.Module):
    """A network whose last function is given."""

    def __init__(self, num_classes: int, last: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv3d(3, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, num_classes)
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.head(self.conv(x).mean((2, 3, 4))))


def scores(model: glocal.Model) -> dict[int, float]:
    explained = {p.index: p.score for p in glocal.explain(model, VIDEO).predictions}
    assert explained == {p.index: p.score for p in glocal.classify(model, VIDEO)}
    return explained


@pytest.mark.parametrize(
    ("num_classes", "last", "outputs", "found"),
    [
        (4, lambda y: 20 * y, None, ("logits", False)),
        (4, lambda y: (20 * y).softmax(1), None, ("softmax", True)),
        (4, lambda y: torch.stack([20 * y, 9 * y], 2).softmax(1).mean(2), None, ("softmax", True)),
        (4, lambda y: (20 * y).softmax(1), "softmax", ("softmax", True)),
        (4, lambda y: (20 * y).sigmoid(), None, ("sigmoid", True)),
        (4, lambda y: (20 * y).sigmoid()[..., None].squeeze(2), "sigmoid", ("sigmoid", True)),
        (4, lambda y: 20 * y - 4, "sigmoid", ("sigmoid", False)),
        (4, lambda y: 20 * y, "softmax", ("softmax", False)),
        (4, lambda y: y.sigmoid(), "logits", ("logits", False)),
        (1, lambda y: y - 4, None, ("sigmoid", False)),
        (1, lambda y: y.sigmoid(), None, ("sigmoid", True)),
        (1, lambda y: y, "logits", ("logits", False)),
    ],
)
def test_predictions_are_the_networks_own_figures(
    num_classes: int, last: Callable, outputs: Outputs | None, found: tuple[str, bool]
) -> None:
    network = seeded(Ending(num_classes, last))
    model = glocal.as_model(network, CLIP_SPEC, outputs=outputs)
    assert (model.outputs, model.activated) == found
    with torch.no_grad():
        row = network(CLIP)
    if not found[1]:
        row = row.sigmoid() if found[0] == "sigmoid" or num_classes == 1 else row.softmax(1)
    assert scores(model) == pytest.approx(dict(enumerate(row[0].tolist())), abs=1e-5)


def test_a_function_gives_the_scores() -> None:
    model = glocal.as_model(seeded(Ending(2, lambda y: y)), CLIP_SPEC, outputs=lambda y: y / 10 + 0.5)
    assert scores(model) == pytest.approx(
        dict(enumerate((model.logits(CLIP)[0] / 10 + 0.5).tolist())), abs=1e-5
    )
    with pytest.raises(UsageError, match="outputs must be one of logits, softmax, sigmoid, or a function"):
        glocal.as_model(model.network, CLIP_SPEC, outputs="tanh")


def test_the_probability_of_a_single_logit_is_its_sigmoid() -> None:
    network = seeded(Ending(1, lambda y: y))
    nn.init.constant_(network.head.weight, 0.5)
    logit = glocal.attribute(network, CLIP, score="logit")
    probability = glocal.attribute(network, CLIP, score="probability")
    assert float(probability.attention.max()) == 1
    torch.testing.assert_close(probability.attention, logit.attention, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("activated", [False, True])
def test_the_probability_that_is_explained_is_that_of_the_model(activated: bool) -> None:
    """A softmax inside a network is not followed by a second one; labels do not exclude each other."""
    network = seeded(Ending(4, lambda y: y.sigmoid() if activated else y))
    model = glocal.as_model(network, CLIP_SPEC, outputs="sigmoid")
    explanation = glocal.explain(model, VIDEO, 2, method="gradcam", score="probability")
    plain = seeded(Ending(4, lambda y: y.sigmoid()))
    assert model.activated == activated
    expected = glocal.attribute(plain, CLIP, method="gradcam", target=2)
    np.testing.assert_allclose(explanation.attention[:], expected.attention[0], atol=1e-4)


def test_a_network_that_changes_its_input_in_place_can_be_tried() -> None:
    class InPlace(Ending):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x -= 0.5
            return super().forward(x)

    model = glocal.as_model(seeded(InPlace(4, lambda y: y.softmax(1))), CLIP_SPEC)
    assert (model.outputs, model.activated) == ("softmax", True)

"""Maps are blended in a thread beside a network on a GPU, and at once if it takes the processor."""

import numpy as np
import pytest

import glocal
from glocal.errors import WriteError
from glocal.explanation.runner import _VideoRun
from glocal.explanation.volume import Volume
from glocal.types import AttributionMap
from glocal.video.threads import feeding, run_each
from helpers.networks import Small3d, seeded


@pytest.fixture(params=["beside", "at once"], autouse=True)
def _blending(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "beside":
        monkeypatch.setattr(_VideoRun, "_beside_network", lambda run: feeding(run_each, size=1))


def test_an_error_of_the_blending_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Volume, maps: AttributionMap) -> None:
        raise WriteError("the disk is full")

    monkeypatch.setattr(Volume, "extend", refuse)
    model = glocal.as_model(seeded(Small3d()), glocal.ClipSpec(frames=8, short_side=32, size=32))
    video = np.random.default_rng(0).integers(0, 256, (40, 40, 56, 3), np.uint8)
    with pytest.raises(WriteError, match="the disk is full"):
        glocal.explain(model, video)


def test_several_methods_and_classes_are_those_of_one_alone() -> None:
    from glocal.explanation import ExplainConfig
    from glocal.explanation.runner import explain_variants

    model = glocal.as_model(seeded(Small3d()), glocal.ClipSpec(frames=8, short_side=32, size=32))
    video = np.random.default_rng(0).integers(0, 256, (40, 40, 56, 3), np.uint8)
    configs = [ExplainConfig(target="top3"), ExplainConfig(method="layercam")]
    first, layercam = explain_variants(model, video, configs)
    for explanation in first.per_class:
        alone = glocal.explain(model, video, target=explanation.target.index)
        assert np.abs(explanation.attention - alone.attention).max() < 1e-5
    alone = glocal.explain(model, video, method="layercam", target=first.target.index)
    assert np.abs(layercam.attention - alone.attention).max() < 1e-5

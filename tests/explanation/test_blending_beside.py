"""Maps are blended in a thread beside the network."""

import threading

import numpy as np
import pytest

import glocal
from glocal.errors import WriteError
from glocal.explanation.volume import Volume
from glocal.types import AttributionMap
from helpers.networks import Small3d, seeded


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


@pytest.mark.parametrize(("frames", "names"), [(8, set()), (9, {"read ahead", "feeding"})])
def test_a_video_of_one_clip_takes_no_threads(
    frames: int, names: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    start = threading.Thread.start

    def note(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", note)
    model = glocal.as_model(seeded(Small3d()), glocal.ClipSpec(frames=8, short_side=32, size=32))
    glocal.explain(model, np.random.default_rng(0).integers(0, 256, (frames, 40, 56, 3), np.uint8))
    assert {name for name in started if name in ("read ahead", "feeding")} == names

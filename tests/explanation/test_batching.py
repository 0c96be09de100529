"""Windows in batches and in 16 bits: the same results, and nearly the same."""

from typing import Any

import numpy as np
import pytest
import torch

import glocal
from glocal.errors import UsageError
from glocal.explanation.batching import BatchSize, grouped
from glocal.explanation.runner import explain_variants
from glocal.models import Model
from helpers.networks import Small2d, Small3d, seeded

STEP = 1 / 65535
"""Volumes are quantised: a difference of rounding errors may grow to a step."""


def frames() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (45, 6, 8, 3)).astype(np.uint8)
    return noise.repeat(6, 1).repeat(6, 2)


def small_model() -> Model:
    clip_spec = glocal.ClipSpec(frames=8, short_side=32, size=32)
    layers = {"conv": "relu1", "layer1": "layer1"}
    return Model("small", seeded(Small3d()).eval(), layers, ("ant", "bee", "cat", "dog", "eel"), clip_spec)


def image_model() -> Model:
    clip_spec = glocal.ClipSpec(frames=1, short_side=32, size=32, image=True)
    return Model("image", seeded(Small2d()).eval(), {"conv": "features.1"}, tuple("abcd"), clip_spec)


def counted_batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that are explained from now on."""
    from glocal.explanation import runner

    sizes: list[int] = []
    attribute = runner.attribute_variants

    def counting(network: Any, clips: Any, *args: Any, **options: Any) -> Any:
        sizes.append(len(clips))
        return attribute(network, clips, *args, **options)

    monkeypatch.setattr(runner, "attribute_variants", counting)
    return sizes


@pytest.mark.parametrize("options", [{}, {"target": "top2"}, {"method": "gradcam"}, {"counterfactual": True}])
@pytest.mark.parametrize("batch_size", [2, 3, 100])
def test_batches_give_what_single_windows_give(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], batch_size: int
) -> None:
    model, video = small_model(), frames()
    sizes = counted_batches(monkeypatch)
    single = glocal.explain(model, video, batch_size=1, **options)
    windows = len(sizes)
    batched = glocal.explain(model, video, batch_size=batch_size, **options)
    assert set(sizes[:windows]) == {1}
    assert 1 < max(sizes) <= min(batch_size, windows)
    for one, other in zip(single.per_class, batched.per_class, strict=True):
        assert one.target == other.target
        assert np.abs(one.attention - other.attention).max() < 1e-5 + STEP
        for layer, maps in one.layers.items():
            assert np.abs(maps - other.layers[layer]).max() < 0.005  # quantised in 8 bits
    for a, b in zip(single.predictions, batched.predictions, strict=True):
        assert (a.index, round(a.score, 4)) == (b.index, round(b.score, 4))


def test_images_and_gates_go_in_batches() -> None:
    gated = glocal.load_model(
        "gated/resnext3d-small", num_classes=3, clip=glocal.ClipSpec(8, short_side=32, size=32)
    )
    for model in (image_model(), gated):
        one, other = (glocal.explain(model, frames()[:20], batch_size=size) for size in (1, 4))
        assert np.abs(one.attention - other.attention).max() < 1e-5 + STEP
        for gate, votes in one.votes.items():
            assert [vote.index for vote in votes] == [vote.index for vote in other.votes[gate]]


def test_methods_that_make_batches_themselves_get_single_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = counted_batches(monkeypatch)
    configs = [glocal.ExplainConfig(batch_size=4), glocal.ExplainConfig(method="saliency")]
    explain_variants(small_model(), frames()[:20], configs)
    assert set(sizes) == {1}


def test_a_batch_is_as_long_as_the_size_says_when_it_begins() -> None:
    sizes = iter([1, 3, 2, 5])
    assert list(grouped(range(8), lambda: next(sizes))) == [[0], [1, 2, 3], [4, 5], [6, 7]]
    assert list(grouped([], lambda: 4)) == []


def test_the_size_is_chosen_by_the_memory_that_the_first_window_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Editor:
        is_per_window = False

    gigabyte = 2**30
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: gigabyte)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * gigabyte)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (20 * gigabyte, 24 * gigabyte))
    size = BatchSize([glocal.ExplainConfig()], Editor(), torch.device("cuda"))  # type: ignore[arg-type]
    assert size() == 1
    assert size.measured(lambda: "result") == "result"
    assert size() == 6
    on_processor = BatchSize([glocal.ExplainConfig()], Editor(), torch.device("cpu"))  # type: ignore[arg-type]
    on_processor.measured(lambda: None)
    assert on_processor() == 1


def test_bfloat16_gives_nearly_the_same() -> None:
    model, video = small_model(), frames()
    exact, rounded = (glocal.explain(model, video, 2, precision=name) for name in ("float32", "bfloat16"))
    assert not np.array_equal(exact.attention, rounded.attention)
    assert np.corrcoef(exact.attention.ravel(), rounded.attention.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"precision": "float8"}])
def test_impossible_values_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        glocal.ExplainConfig(**options)

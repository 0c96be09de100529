"""Features of frozen stages: the same run as without them, computed once, and again where needed."""

import logging
import os
import shutil
from pathlib import Path

import pytest
import torch

from glocal.errors import InputError, UsageError
from glocal.models import load_model
from glocal.models.frozen_stages import FrozenStages, split_network
from glocal.training import feature_cache, read_recipe, train
from glocal.training.clips import EvaluationClips, TrainingClips
from glocal.training.feature_cache import identify_stages, use_features
from glocal.training.metrics_log import read_metrics
from glocal.training.recipe import AugmentationConfig, RunConfig
from glocal.training.sampling import ClipKey
from glocal.training.sources import open_source
from glocal.video import ClipSpec
from helpers.moving_squares import CLASSES, write_squares

CLIP_SPEC = ClipSpec(frames=4, size=32, short_side=32)
FROZEN = ["conv_stem", "conv_time", "bn1", *(f"blocks.{number}" for number in range(6))]
RECIPE = """
model:
  name: efficientnet-lite0-r2plus1d
  clip: {{frames: 4, size: 32, short_side: 32}}
  frozen: [{frozen}]
data:
  train: {{source: folder, root: {root}, split: train}}
  val: {{source: folder, root: {root}, split: val}}
augmentation: {{views: 2}}
optimizer: {{lr: 0.01}}
run: {{epochs: 2, batch: 4, workers: 0, precision: {precision}}}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("squares")
    return write_squares(write_squares(root, "train", 2, frames=8), "val", 1, frames=8)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLOCAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "clips"


def run(root: Path, out: Path, precision: str = "32-true") -> list[tuple[str, ...]]:
    """Train, and return the measures."""
    path = out.with_suffix(".yaml")
    path.write_text(RECIPE.format(root=root, frozen=", ".join(FROZEN), precision=precision))
    train(read_recipe(path), out)
    rows = read_metrics(out / "metrics.csv")
    return [tuple(row) for row in rows if not row[2].startswith("speed/")]


def stages() -> FrozenStages:
    network = load_model("efficientnet-lite0-r2plus1d", "random", num_classes=4, clip=vars(CLIP_SPEC)).network
    split = split_network(
        network, [network.get_submodule(path) for path in FROZEN], torch.zeros(1, 3, 4, 32, 32)
    )
    assert split is not None
    return split.frozen


def views(root: Path, seed: int = 0) -> TrainingClips:
    source = open_source({"source": "folder", "root": str(root), "split": "train"}, "data.train")
    return TrainingClips(source, CLIP_SPEC, AugmentationConfig(views=2), CLASSES, seed)


def test_a_run_on_features_is_the_run_on_clips(
    root: Path, tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_features = run(root, tmp_path / "features")
    assert len(list(cache.iterdir())) == 8 + 4
    monkeypatch.setattr(feature_cache.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 0}))
    for file in cache.iterdir():
        file.unlink()
    with caplog.at_level(logging.WARNING):
        without = run(root, tmp_path / "clips")
    assert "the frozen stages run in each epoch" in caplog.text
    assert not list(cache.iterdir())
    assert len(without) == len(with_features) > 8
    for (*_, value), (*_, expected) in zip(with_features, without, strict=True):
        assert float(value) == pytest.approx(float(expected), abs=1e-5)


def test_features_are_computed_once_for_all_seeds_and_labels_orders(root: Path, cache: Path) -> None:
    frozen, device = stages(), torch.device("cpu")
    clips, others = views(root), views(root, seed=1)
    settings = RunConfig(epochs=1, workers=0)
    assert use_features(frozen, [clips], settings, device)
    files = {file: file.stat().st_mtime_ns for file in cache.iterdir()}
    assert use_features(frozen, [others], settings, device)
    assert {file: file.stat().st_mtime_ns for file in cache.iterdir()} == files
    batch = others[ClipKey(0, 0, 3)]
    others.features = None
    with torch.no_grad():
        expected = frozen.eval()(others[ClipKey(0, 0, 3)].clips[None])[0]
    torch.testing.assert_close(batch.clips, expected, rtol=1e-5, atol=1e-5)


def test_half_precision_is_stored_unless_the_run_is_in_float32(root: Path, cache: Path) -> None:
    frozen, device = stages(), torch.device("cpu")
    sizes = []
    for precision in ("32-true", "bf16-mixed"):
        before = set(cache.iterdir()) if cache.exists() else set()
        clips = views(root)
        assert use_features(frozen, [clips], RunConfig(1, workers=0, precision=precision), device)  # type: ignore[arg-type]
        assert clips[ClipKey(0, 0, 0)].clips.dtype == torch.float32
        sizes.append(min(file.stat().st_size for file in set(cache.iterdir()) - before))
    assert sizes[1] < 0.6 * sizes[0]


def test_other_weights_views_or_damaged_files_are_computed_again(root: Path, cache: Path) -> None:
    frozen, device, settings = stages(), torch.device("cpu"), RunConfig(1, workers=0)
    clips = views(root)
    use_features(frozen, [clips], settings, device)
    assert clips.features is not None
    assert clips.features.missing() == []
    victim = next(iter(cache.iterdir()))
    content = victim.read_bytes()
    victim.write_bytes(content[: len(content) // 2])
    assert len(clips.features.missing()) == 1
    with pytest.raises(InputError, match=r"were removed from .* during the run; resume it"):
        [clips.features.read(video, 0) for video in range(clips.videos())]
    use_features(frozen, [clips], settings, device)
    assert victim.read_bytes() == content
    before = identify_stages(frozen)
    with torch.no_grad():
        next(frozen.parameters()).flatten()[0] += 1e-3
    assert identify_stages(frozen) != before
    use_features(frozen, [clips], settings, device)
    assert len(list(cache.iterdir())) == 2 * clips.videos()


def test_views_are_the_same_clips_for_every_seed_and_index(root: Path) -> None:
    clips, others = views(root), views(root, seed=9)
    evaluation = EvaluationClips(clips.source, CLIP_SPEC, CLASSES, 1)
    assert torch.equal(clips.pixels(2, 0), evaluation[2].clips)
    assert torch.equal(clips.pixels(2, 1), others.pixels(2, 1))
    assert not torch.equal(clips.pixels(2, 1), clips.pixels(2, 2))
    numbers = {
        next(n for n in range(3) if torch.equal(batch.clips, clips.pixels(2, n)))
        for batch in (clips[ClipKey(epoch, 0, 2)] for epoch in range(30))
    }
    assert numbers == {0, 1, 2}
    for number in range(3):
        source = clips.source.label(2)
        mirrored = {"move left": "move right", "move right": "move left"}.get(source, source)
        assert CLASSES[clips._label(2, number)] in (source, mirrored)


def test_a_copy_of_the_files_has_the_same_views(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*.mp4"):
        os.utime(path, (1, 1))
    clips, copies = views(root), views(tmp_path / "copy")
    assert clips.key(5) != copies.key(5)
    assert torch.equal(clips.pixels(5, 1), copies.pixels(5, 1))


def test_views_are_for_clips_that_are_stored() -> None:
    source = open_source({"source": "puppets", "length": 4}, "data.train")
    with pytest.raises(UsageError, match="set kept: true"):
        TrainingClips(source, CLIP_SPEC, AugmentationConfig(views=1), source.labels, 0)

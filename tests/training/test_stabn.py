"""TrainingModule with two losses, with gradient accumulation, and evaluation by evenly placed samples."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import glocal
from glocal.datasets.puppets import Puppets
from glocal.evaluation import Accuracy
from glocal.models import Model
from glocal.models.stabn import STABN
from glocal.training import read_recipe, train
from glocal.training.clips import EvaluationClips
from glocal.training.metrics_log import MetricsLog, read_metrics
from glocal.training.optimization import total_loss
from glocal.training.run import clip_spec_of
from glocal.training.sampling import evaluation_starts
from glocal.training.sources import PuppetSource
from glocal.video import ClipSpec
from helpers.networks import Small3d, seeded

RECIPE = """
model: {name: st-abn/resnext3d-small, clip: {frames: 8, size: 32, short_side: 32, fps: 8}}
data:
  train: {source: puppets, size: 32, frames: 8, length: 13}
  val: {source: puppets, split: val, size: 32, frames: 16, length: 3}
  samples: 2
optimizer: {lr: 0.05, accumulate: 2}
schedule: {name: plateau, patience: 0}
run: {epochs: 2, batch: 2, workers: 0, save_every: 1}
"""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def rows(run: Path) -> list[list[str]]:
    rows = read_metrics(run / "metrics.csv")
    return [row for row in rows if not row[2].startswith("speed/")]


def test_the_loss_is_the_sum_of_both_branches() -> None:
    network = seeded(glocal.load_model("st-abn/resnext3d-small", num_classes=4).network).eval()
    clips, labels = torch.randn(3, 3, 16, 32, 32), torch.tensor([0, 3, 1])
    with torch.no_grad():
        attended = network.attend(clips)
        parts = [
            -x.log_softmax(1)[range(3), labels].mean() for x in (attended.logits, attended.attention_logits)
        ]
        assert float(total_loss(network, clips, labels)) == pytest.approx(float(sum(parts)), rel=1e-5)
        plain = seeded(Small3d()).eval()
        expected = F.cross_entropy(plain(clips), labels, label_smoothing=0.1)
        assert float(total_loss(plain, clips, labels, smoothing=0.1)) == pytest.approx(float(expected))


def test_a_run_trains_resumes_exactly_and_is_loaded(file: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Six batches of two clips an epoch make three steps; the run stops in the middle of a step."""
    recipe = read_recipe(file)
    best = train(recipe, tmp_path / "whole")
    write = MetricsLog.write

    def stop(self: MetricsLog, step: int, epoch: int, measures: dict[str, float]) -> None:
        if step == 9:
            raise RuntimeError("power cut")
        write(self, step, epoch, measures)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "write", stop)
        with pytest.raises(RuntimeError, match="power cut"):
            train(recipe, tmp_path / "stopped")
    train(recipe, tmp_path / "stopped", resume=True)
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")
    assert len([row for row in rows(tmp_path / "whole") if row[2] == "train/batch_loss"]) == 12
    model = glocal.load_model(best)
    assert isinstance(model.network, STABN)
    assert model.name == "st-abn/resnext3d-small"
    fresh = glocal.load_model(model.name, labels=model.labels, clip=model.clip).network
    moved = {
        name.split(".")[0]
        for name, parameter in model.network.named_parameters()
        if not torch.equal(parameter, dict(fresh.named_parameters())[name])
    }
    assert moved == {"backbone", "attention", "fusion"}


def test_accumulated_batches_make_the_step_of_a_large_one(
    file: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    class Plain(nn.Module):
        """Without batch norm, whose statistics are those of a batch."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv3d(3, 4, 3), nn.Linear(4, 20)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.conv(x).relu().mean((2, 3, 4)))

    def load(
        name: str, weights: None, labels: tuple[str, ...], new_head: bool, clip: ClipSpec, seed: int
    ) -> Model:
        network = Plain()
        network.fc = nn.Linear(4, len(labels))
        return Model(name, network, {}, labels, clip)

    monkeypatch.setattr("glocal.training.run.load_model", load)
    changes = [
        "data.val=null",
        "data.samples=null",
        "run.epochs=1",
        "data.train.length=8",
        "schedule.name=constant",
    ]
    for name, batch in (("small", ["run.batch=2"]), ("large", ["run.batch=4", "optimizer.accumulate=1"])):
        train(read_recipe(file, [*changes, *batch]), tmp_path / name)
    from safetensors.torch import load_file

    small, large = (load_file(tmp_path / name / "last.safetensors") for name in ("small", "large"))
    torch.manual_seed(0)
    start = Plain().conv.weight
    assert not torch.allclose(small["conv.weight"], start, atol=1e-4)
    for key in small:
        assert torch.allclose(small[key], large[key], atol=1e-6), key


def test_dropout_is_what_the_recipe_says(file: Path, tmp_path: Path, monkeypatch: Any) -> None:
    seen: list[set[float]] = []

    def fit(recipe: Any, model: Model, *rest: Any, **options: Any) -> Path:
        seen.append({m.p for m in model.network.modules() if isinstance(m, nn.Dropout)})
        return tmp_path

    monkeypatch.setattr("glocal.training.trainer.fit", fit)
    train(read_recipe(file), tmp_path / "own")
    train(read_recipe(file, ["model.dropout=0.2"]), tmp_path / "less")
    train(read_recipe(file, ["model.name=resnext3d-small"]), tmp_path / "backbone")
    assert seen == [{0.5}, {0.2}, {0.0}]


@pytest.mark.parametrize(
    ("points", "samples", "starts"),
    [(100, None, [0, 32, 64, 68]), (100, 1, [34]), (100, 2, [0, 68]), (100, 3, [0, 34, 68]), (20, 2, [0, 0])],
)
def test_samples_are_evenly_placed(points: int, samples: int | None, starts: list[int]) -> None:
    assert evaluation_starts(np.arange(points), ClipSpec(frames=32), samples) == starts


def test_the_probabilities_of_a_videos_samples_are_averaged() -> None:
    model = glocal.load_model(
        "st-abn/resnext3d-small", num_classes=4, clip=ClipSpec(8, size=32, short_side=32)
    )
    seeded(model.network)
    puppets = Puppets("test", 2, frames=20, size=32)
    labels = list(puppets.actions)
    clips = EvaluationClips(PuppetSource(puppets), model.clip, labels, samples=2)
    assert clips.clips == [(0, 0), (0, 12), (1, 0), (1, 12)]
    accuracy = Accuracy(4)
    probabilities = []
    for number in range(4):
        batch = clips[number]
        with torch.no_grad():
            logits = model.network(batch.clips[None])
        probabilities.append(logits.softmax(1)[0])
        accuracy.update(logits, batch.labels[None] % 4, batch.clip_indices[None], batch.video_indices[None])
    pairs = [(probabilities[0] + probabilities[1]) / 2, (probabilities[2] + probabilities[3]) / 2]
    right = [int(p.argmax()) == labels.index(puppets[i].action) % 4 for i, p in enumerate(pairs)]
    assert accuracy.compute()["video_top1"] == sum(right) / 2


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_published_recipe_has_the_papers_settings(version: str) -> None:
    recipe = read_recipe(Path(__file__).parents[2] / "recipes" / f"st-abn-something-{version}.yaml")
    clip_spec, how = clip_spec_of(recipe), recipe.optimizer
    assert (how.name, how.lr, how.momentum, how.weight_decay) == ("sgd", 0.01, 0.9, 5e-4)
    assert (recipe.schedule.name, recipe.schedule.factor) == ("plateau", 0.1)
    assert (recipe.run.batch * how.accumulate, clip_spec.frames, clip_spec.size) == (64, 32, 224)
    assert recipe.model.dropout == 0.5
    assert (recipe.model.name, recipe.model.weights) == ("st-abn/slow-50", "imagenet")
    one = read_recipe(
        Path(__file__).parents[2] / "recipes" / f"st-abn-something-{version}.yaml",
        ["run.devices=1", "run.batch=8", "optimizer.accumulate=8", "data.samples=2"],
    )
    assert one.run.batch * one.optimizer.accumulate == 64


def test_the_loss_is_imported_without_lightning() -> None:
    """`make bench` has an environment without it."""
    code = "import sys, glocal.training.optimization; print('lightning' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"

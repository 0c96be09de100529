"""Whole runs: what they leave behind, how they resume, in one process and in two."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import glocal
from glocal.cli import main
from glocal.errors import InputError, UsageError, WriteError
from glocal.evaluation import Accuracy
from glocal.training import read_recipe, train
from glocal.training.checkpointing import epoch_score
from glocal.training.clips import EvaluationClips
from glocal.training.metrics_log import MetricsLog, read_metrics
from glocal.training.module import TrainingModule
from glocal.training.sources import open_source
from glocal.training.trainer import _read_position
from glocal.utils.files import locked_folder
from helpers.moving_squares import CLASSES, write_squares

RECIPE = """
model: {{name: "gated/resnext3d-small:layer2+layer4", clip: {{frames: 8, size: 32, short_side: 32}}}}
data:
  train: {{source: folder, root: {root}, split: train}}
  val: {{source: folder, root: {root}, split: val}}
optimizer: {{lr: 0.05}}
run: {{epochs: 3, batch: 4, workers: 0, save_every: 2}}
"""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("squares")
    write_squares(write_squares(root, "train", 5), "val", 2)
    path = root / "recipe.yaml"
    path.write_text(RECIPE.format(root=root))
    return path


@pytest.fixture(scope="module")
def run(recipe: Path) -> Path:
    """A run of 3 epochs of 5 batches."""
    out = recipe.parent / "run"
    best = train(read_recipe(recipe), out)
    assert best == out / "best.safetensors"
    return out


def test_the_best_epoch_has_the_highest_accuracy_and_of_several_the_lowest_loss(run: Path) -> None:
    epochs: dict[int, dict[str, float]] = {}
    for _, epoch, measure, value in read_metrics(run / "metrics.csv"):
        if measure.startswith("val/"):
            epochs.setdefault(int(epoch), {})[measure] = float(value)
    found = json.loads((run / "best.json").read_text())["measures"]["epoch"]
    assert found == 1 + max(epochs, key=lambda epoch: epoch_score(epochs[epoch]) or (0, 0))
    same = [{"val/video_top1": 0.94, "val/loss": loss} for loss in (0.19, 0.17)]
    assert (
        epoch_score(same[1]) > epoch_score(same[0]) > epoch_score({"val/video_top1": 0.93, "val/loss": 0.1})
    )
    assert epoch_score({"train/loss": 0.1}) is None


def rows_without_speed(run: Path) -> list[list[str]]:
    return [row for row in read_metrics(run / "metrics.csv") if not row[2].startswith("speed/")]


def losses(run: Path) -> dict[int, float]:
    return {
        int(s): float(v)
        for s, _, measure, v in read_metrics(run / "metrics.csv")
        if measure == "train/batch_loss"
    }


def start(recipe: Path, out: Path, *changes: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "glocal", "train", str(recipe), *changes, "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )


def test_a_run_leaves_weights_cards_logs_and_its_recipe(run: Path, recipe: Path) -> None:
    assert {path.name for path in run.iterdir()} == {
        "best.json",
        "best.safetensors",
        "confusion-val.csv",
        "last.ckpt",
        "last.json",
        "last.safetensors",
        "metrics.csv",
        "recipe.yaml",
        "tensorboard",
    }
    assert list(losses(run)) == list(range(1, 16))
    rows = read_metrics(run / "metrics.csv")
    assert {measure for _, _, measure, _ in rows} == {
        "train/batch_loss",
        "train/lr",
        "train/loss",
        "speed/clips_per_second",
        "speed/waiting",
        "val/loss",
        "val/clip_top1",
        "val/video_top1",
    }
    epochs = [float(value) for _, _, measure, value in rows if measure == "train/loss"]
    batches = list(losses(run).values())
    assert epochs == pytest.approx([sum(batches[i : i + 5]) / 5 for i in (0, 5, 10)])
    card = json.loads((run / "last.json").read_text())
    assert card["labels"] == list(CLASSES)
    assert card["measures"]["epoch"] == 3
    assert card["recipe"]["optimizer"]["lr"] == 0.05
    assert read_recipe(run / "recipe.yaml") == read_recipe(recipe)
    with (run / "confusion-val.csv").open() as file:
        header, *table = csv.reader(file)
    assert header == ["truth", *CLASSES]
    assert [row[0] for row in table] == list(CLASSES)
    assert all(sum(map(int, row[1:])) == 2 for row in table)
    assert any(file.stat().st_size > 500 for file in (run / "tensorboard").iterdir())


def val_loss(run: Path, recipe: Path) -> float:
    """The loss of the last weights on the validation clips, without Lightning."""
    model = glocal.load_model(run / "last.safetensors")
    options = read_recipe(recipe).data.val
    assert options is not None
    clips = EvaluationClips(open_source(options, "data.val"), model.clip, model.labels)
    accuracy = Accuracy(len(model.labels))
    for batch in torch.utils.data.DataLoader(clips, 3):
        with torch.no_grad():
            accuracy.update(model.network(batch.clips), batch.labels, batch.clip_indices, batch.video_indices)
    return accuracy.compute()["loss"]


def test_the_cards_measures_are_those_of_the_weights(run: Path, recipe: Path) -> None:
    model = glocal.load_model(run / "last.safetensors")
    assert model.name == "gated/resnext3d-small:layer2+layer4"
    assert model.labels == CLASSES
    assert model.clip.frames == 8
    measures = json.loads((run / "last.json").read_text())["measures"]
    assert val_loss(run, recipe) == pytest.approx(measures["val/loss"], rel=1e-5)


def test_a_trained_network_explains(run: Path, recipe: Path) -> None:
    video = recipe.parent / "val" / "move up" / "0.mp4"
    explanation = glocal.explain(glocal.load_model(run / "best.safetensors"), video)
    assert explanation.attention.shape == (10, 32, 32)
    assert explanation.predictions[0].label in CLASSES


def test_a_killed_run_resumes_as_if_it_had_never_stopped(run: Path, recipe: Path) -> None:
    """Killed in the second epoch, with a process that reads ahead, and gone on with by this process."""
    out = recipe.parent / "killed"
    process = start(recipe, out, "run.workers=1")
    try:
        deadline = time.monotonic() + 120
        while len(losses(out)) < 8:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert (
        not (out / "last.json").exists()
        or json.loads((out / "last.json").read_text())["measures"]["epoch"] < 3
    )
    train(read_recipe(recipe, ["run.workers=1"]), out, resume=True)
    assert losses(out) == losses(run)
    assert rows_without_speed(out) == rows_without_speed(run)
    for name in ("best.safetensors", "last.safetensors", "best.json", "confusion-val.csv"):
        mine, other = (out / name).read_bytes(), (run / name).read_bytes()
        assert mine == other or name == "best.json"


@pytest.mark.parametrize("steps", [4, 5, 7])
def test_a_run_stopped_after_any_batch_resumes(
    steps: int, run: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = recipe.parent / f"stopped-{steps}"
    write = MetricsLog.write

    def stop(self: MetricsLog, step: int, epoch: int, measures: dict[str, float]) -> None:
        if step > steps:
            raise RuntimeError("power cut")
        write(self, step, epoch, measures)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "write", stop)
        with pytest.raises(RuntimeError, match="power cut"):
            train(read_recipe(recipe), out)
    assert len(losses(out)) == steps
    train(read_recipe(recipe), out, resume=True)
    assert losses(out) == losses(run)
    assert (out / "last.safetensors").read_bytes() == (run / "last.safetensors").read_bytes()


def test_plateau_accumulation_dropout_and_clipping_resume_too(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ["schedule.name=plateau", "schedule.patience=0", "schedule.warmup=1", "run.save_every=1"]
    changes += ["optimizer.accumulate=2", "optimizer.clip_norm=1", "optimizer.label_smoothing=0.1"]
    changes += ["run.epochs=2", "run.batch=2", "run.clips_per_epoch=11", "optimizer.lr=0.3"]
    whole, stopped = recipe.parent / "plateau", recipe.parent / "plateau-stopped"
    train(read_recipe(recipe, changes), whole)
    write = MetricsLog.write

    def stop(self: MetricsLog, step: int, epoch: int, measures: dict[str, float]) -> None:
        if step == 8:
            raise RuntimeError("power cut")
        write(self, step, epoch, measures)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "write", stop)
        with pytest.raises(RuntimeError):
            train(read_recipe(recipe, changes), stopped)
    train(read_recipe(recipe, changes), stopped, resume=True)
    assert list(losses(whole)) == list(range(1, 11))
    assert rows_without_speed(stopped) == rows_without_speed(whole)


def test_two_processes_share_the_batches_and_the_evaluation(recipe: Path, run: Path) -> None:
    out = recipe.parent / "two"
    process = start(recipe, out, "run.devices=2", "run.strategy=ddp", "run.accelerator=cpu", "run.epochs=2")
    printed, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    steps = [int(row[0]) for row in read_metrics(out / "metrics.csv") if row[2] == "train/batch_loss"]
    assert steps == list(range(1, 11)), "as many steps as one process"
    assert losses(out)[1] == pytest.approx(losses(run)[1], rel=0.5)
    measures = json.loads((out / "last.json").read_text())["measures"]
    assert val_loss(out, recipe) == pytest.approx(measures["val/loss"], rel=1e-5), "each clip counts once"
    assert printed.count("epoch 2 of 2") == 1
    assert printed.count("the best weights are in") == 1


def test_a_backbone_that_was_trained_starts_a_gated_network(recipe: Path) -> None:
    first, second = recipe.parent / "backbone", recipe.parent / "gated"
    short = ["run.epochs=1", "run.clips_per_epoch=4"]
    train(read_recipe(recipe, ["model.name=resnext3d-small", "data.val=null", *short]), first)
    assert json.loads((first / "best.json").read_text())["measures"].keys() == {"epoch", "train/loss"}
    changes = [f"model.weights={first}/best.safetensors", "optimizer.lr=1e-9", "data.test.source=folder"]
    changes += [f"data.test.root={recipe.parent}", "data.test.split=val", "run.precision=bf16-mixed"]
    best = train(read_recipe(recipe, [*changes, *short]), second)
    weights, gated = glocal.load_model(first / "best.safetensors"), glocal.load_model(best)
    assert torch.allclose(weights.network.conv1.weight, gated.network.backbone.conv1.weight, atol=1e-6)
    measures = json.loads(best.with_suffix(".json").read_text())["measures"]
    assert measures["test/video_top1"] == measures["val/video_top1"]
    assert (second / "confusion-test.csv").exists()


def test_frozen_modules_keep_their_weights_and_statistics(recipe: Path) -> None:
    changes = ["model.name=st-abn/slow-small", "run.epochs=1", "model.dropout=0.2", "model.frozen=[backbone]"]
    changes.append("run.precision=bf16-mixed")
    out = recipe.parent / "frozen"
    best = train(read_recipe(recipe, changes), out)
    trained = glocal.load_model(best).network.state_dict()
    start = glocal.load_model(
        "st-abn/slow-small", labels=sorted(CLASSES), clip=glocal.load_model(best).clip, seed=0
    ).network.state_dict()
    changed = {key for key in trained if not torch.equal(trained[key], start[key])}
    assert not {key for key in changed if key.startswith("backbone.")}
    assert {
        "fusion.0.weight",
        "attention.maps.0.weight",
        "attention.stage.0.res_blocks.0.branch2.norm_a.running_mean",
    } <= changed
    for wrong, sentence in (
        ("[backbones]", "Did you mean 'backbone'"),
        ("[backbone, attention, fusion]", "no weight to train"),
    ):
        with pytest.raises(UsageError, match=sentence):
            train(
                read_recipe(recipe, [*changes, f"model.frozen={wrong}"]), recipe.parent / f"wrong{len(wrong)}"
            )


def test_a_folder_holds_one_run(run: Path, recipe: Path) -> None:
    with pytest.raises(UsageError, match=r"holds a run already; resume it \(--resume\)"):
        train(read_recipe(recipe), run)
    with pytest.raises(UsageError, match=r"another recipe, which differs in optimizer\.lr"):
        train(read_recipe(recipe, ["optimizer.lr=1"]), run, resume=True)
    before = (run / "last.safetensors").read_bytes()
    assert train(read_recipe(recipe, ["run.workers=1"]), run, resume=True) == run / "best.safetensors"
    assert (run / "last.safetensors").read_bytes() == before, "a finished run stays as it is"


def test_a_loss_that_explodes_is_named(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no longer finite after \d+ batches; lower optimizer\.lr"):
        train(read_recipe(recipe, ["optimizer.lr=1e30", "schedule.name=constant"]), tmp_path / "exploded")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_weights_that_are_not_finite_are_named_and_not_kept(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(self: TrainingModule, *batch: Any) -> None:
        with torch.no_grad():
            next(self.network.parameters()).fill_(torch.inf)

    monkeypatch.setattr(TrainingModule, "on_train_batch_end", spoil)
    one_batch = ["run.clips_per_epoch=4", "schedule.name=constant"]
    with pytest.raises(InputError, match="the loss on the val clips is not finite; lower"):
        train(read_recipe(recipe, one_batch), tmp_path / "measured")
    with pytest.raises(InputError, match="weights are no longer finite after epoch 1; lower"):
        train(read_recipe(recipe, ["data.val=null", *one_batch]), tmp_path / "unmeasured")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_run_that_cannot_start_is_refused(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not suit this machine"):
        train(read_recipe(recipe, ["run.accelerator=gpu", "run.devices=2"]), tmp_path / "gpu")
    with pytest.raises(UsageError, match=r"20 clips an epoch do not fill a batch of 32; lower run\.batch"):
        train(read_recipe(recipe, ["run.batch=32"]), tmp_path / "empty")


def test_the_command_answers_mistakes_in_one_sentence(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(recipe), "optimizer.lrr=1"]) == 2
    assert capsys.readouterr().err.strip().endswith("Did you mean 'lr'?")
    assert main(["train", str(recipe), "data.train.root=/nowhere", "--out", str(recipe.parent / "x")]) == 1
    assert "cannot be read (No such file or directory)" in capsys.readouterr().err
    assert main(["train", "none.yaml"]) == 1


def test_measures_that_cannot_be_logged_are_said_to_be_so(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    with open("/dev/full", "w", buffering=1) as full:
        log._rows = csv.writer(full)
        with pytest.raises(WriteError, match=r"metrics\.csv cannot be written \(No space left on device\)"):
            log.write(1, 0, {"val/loss": 1.0})
        with contextlib.suppress(OSError):
            full.close()
    log.close()


def test_a_second_training_in_a_folder_is_refused(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glocal.training.run.PATIENCE", 0.1)
    with locked_folder(tmp_path, "training"):
        for resume in (False, True):
            with pytest.raises(InputError, match="another training writes into"):
                train(read_recipe(recipe), tmp_path, resume=resume)
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    state = tmp_path / "last.ckpt"
    state.write_bytes(b"half a state")
    with pytest.raises(InputError, match=r"last\.ckpt is damaged; start a new run"):
        _read_position(state)
    state.unlink()
    state.mkdir()
    with pytest.raises(InputError, match=r"last\.ckpt cannot be read \(Is a directory\); start a new run"):
        _read_position(state)

"""Paper B's tables, against plain loops."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import glocal
from glocal.benchmark import Cache
from glocal.cli import main
from glocal.datasets.puppets import ACTIONS, PuppetClip, Puppets
from glocal.models.card import Card, save_network
from glocal.models.registry import find_entry
from glocal.models.stabn import TransformedSTABN, invert_attention
from glocal.papers import TableContext
from glocal.papers.attention_swaps import CASES
from glocal.papers.attention_truth import PuppetPointing, measure_pointing
from glocal.papers.something_something import V1, V2, other_methods, published_accuracy, published_inversions
from glocal.papers.training_cache import TrainedNetwork
from glocal.papers.videos import accuracy, source_of
from glocal.video import ClipSpec
from helpers.networks import seeded

NAME = "st-abn/resnext3d-small"
CLIP_SPEC = ClipSpec(8, size=32, short_side=32, fps=8.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of an ST-ABN that takes 8 frames of 32 × 32, with a card that names its data."""
    torch.manual_seed(0)
    network = seeded(glocal.load_model(NAME, labels=ACTIONS, clip=CLIP_SPEC).network)
    path = tmp_path_factory.mktemp("trained") / "best.safetensors"
    recipe = {"data": {"test": {"source": "puppets", "size": 32, "frames": 8, "kept": True}}}
    save_network(path, network, Card(NAME, ACTIONS, CLIP_SPEC, recipe=recipe))
    return path


def asked(table: str, model: Path, out: Path, *more: str) -> list[str]:
    return ["table", table, "--model", str(model), "--out", str(out), "--quiet", *more]


def read(path: Path) -> list[list[str]]:
    with path.open() as file:
        return list(csv.reader(file))


INVERTED = {
    "neither inverted": (False, False),
    "spatial inverted": (True, False),
    "temporal inverted": (False, True),
    "both inverted": (True, True),
}


def test_table_2_counts_right_videos_of_each_case(trained: Path, tmp_path: Path) -> None:
    assert main(asked("paper-b/2", trained, tmp_path, "--clips", "8")) == 0
    header, *rows = read(tmp_path / "paper-b-2-puppets.csv")
    assert header == ["method", "top-1", "top-5", "drop", "drop from", "drop to"]
    assert [row[0] for row in rows] == list(CASES)
    model = glocal.load_model(trained)
    clips = list(Puppets("test", 8, size=32, frames=8))
    for row, (case, which) in zip(rows, INVERTED.items(), strict=False):
        network = TransformedSTABN(model.network, invert_attention(*which))
        right, among = [], []
        for clip in clips:
            mean = torch.tensor(np.ascontiguousarray(clip.frames)).permute(3, 0, 1, 2)[None] / 255
            with torch.no_grad():
                best = network(mean).topk(5).indices[0].tolist()
            right.append(best[0] == clip.label)
            among.append(clip.label in best)
        assert row[0] == case
        assert [float(row[1]), float(row[2])] == pytest.approx([np.mean(right), np.mean(among)], abs=1e-9)
    own = float(rows[0][1])
    for row in rows[1:]:
        assert float(row[3]) == pytest.approx(own - float(row[1]))
        assert float(row[4]) <= float(row[3]) <= float(row[5])


def test_table_1_has_a_row_for_one_and_for_two_samples(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = asked("paper-b/1", trained, tmp_path, "--clips", "6")
    assert main(arguments) == 0
    rows = read(tmp_path / "paper-b-1-puppets.csv")
    assert [row[0] for row in rows[1:]] == [f"{NAME}, 8 frames", f"{NAME}, 8×2 frames"]

    def fail(*arguments: object) -> None:
        raise AssertionError("what is kept is not computed again")

    monkeypatch.setattr("glocal.papers.videos._count_correct", fail)
    assert main(arguments) == 0


def test_accuracy_in_pieces_is_that_of_all(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = glocal.load_model(trained)
    cache = Cache(tmp_path / "cells")
    context = TableContext("puppets", None, str(trained), None, None, "cpu", 7, {}, tmp_path, cache)
    source, facts = source_of(context, model, str(trained), "test", frames=16)

    def plain(clips: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"": model.network(clips)}

    whole = accuracy(context, model, source, facts, plain, samples=2)
    monkeypatch.setattr("glocal.papers.videos.CHUNK", 3)
    assert accuracy(context, model, source, facts, plain, samples=2)[""] == pytest.approx(whole[""])


def test_something_something_is_read_from_its_folder(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four clips of version 1, in a copy laid out as it is published."""
    name, classes = "something-something-v1", ("Opening something", "Closing something")
    root = tmp_path / "root"
    rng = np.random.default_rng(0)
    for clip in range(4):
        folder = root / f"20bn-{name}" / str(clip)
        folder.mkdir(parents=True)
        for frame in range(12):
            noise = rng.integers(0, 255, (32, 40, 3), np.uint8)
            cv2.imwrite(str(folder / f"{frame + 1:05d}.jpg"), noise)
    (root / f"{name}-labels.csv").write_text("\n".join(classes))
    (root / f"{name}-validation.csv").write_text("\n".join(f"{i};{classes[i % 2]}" for i in range(4)))
    torch.manual_seed(0)
    network = seeded(glocal.load_model(NAME, labels=classes, clip=CLIP_SPEC).network)
    save_network(tmp_path / "two.safetensors", network, Card(NAME, classes, CLIP_SPEC))
    command = asked("paper-b/1", tmp_path / "two.safetensors", tmp_path, "--data", name, "--root", str(root))
    assert main(command) == 0
    header, *rows = read(tmp_path / f"paper-b-1-{name}.csv")
    assert header == ["method", "top-1", "top-1 paper", "top-5", "top-5 paper"]
    published = [row for row in rows if row[0].startswith("st-abn/slow-")]
    assert [(row[1], row[2]) for row in published] == [
        ("", "0.459"),
        ("", "0.533"),
        ("", "0.474"),
        ("", "0.55"),
    ]
    for row in rows[:2]:
        assert float(row[1]) in (0, 0.25, 0.5, 0.75, 1)
    assert main(asked("paper-b/2", trained, tmp_path, "--data", name, "--root", str(root))) == 2
    assert "has no class 'Closing something'" in capsys.readouterr().err
    assert main(asked("paper-b/2", trained, tmp_path, "--data", name)) == 2
    assert "give it as --root" in capsys.readouterr().err


def test_seeds_are_networks_trained_alike(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean over one network twice is that network's figure, without spread."""
    seen = []

    def pretend(context: TableContext, network: str) -> list[TrainedNetwork]:
        seen.append(network)
        return [TrainedNetwork(trained, {})] * context.options["seeds"]

    monkeypatch.setattr("glocal.papers.stabn_models.train_seeds", pretend)
    for name, column in (("paper-b/2", "top-1"), ("paper-b/3", "hit_max")):
        asking = ["table", name, "--out", str(tmp_path), "--clips", "2", "--quiet"]
        assert main([*asking, "--model", str(trained)]) == 0
        path = tmp_path / f"{name.replace('/', '-')}-puppets.csv"
        one = read(path)
        assert main([*asking, "seeds=2"]) == 0
        header, *rows = read(path)
        for row, alone in zip(rows, one[1:], strict=True):
            assert row[header.index(column)] == alone[one[0].index(column)]
            assert float(row[header.index(f"± {column}")]) == 0
    assert seen == ["st-abn/resnext3d-small"] * 2


def test_seeds_are_trained_on_puppets_alone(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = asked("paper-b/2", trained, tmp_path, "--data", "something-something-v1", "seeds=3")
    assert main(command) == 2
    assert "seeds=… trains on puppets" in capsys.readouterr().err


def test_networks_without_attention_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("paper-b/2", "paper-b/3"):
        assert main(["table", name, "--model", "resnext3d-small", "--out", str(tmp_path)]) == 2
        assert "give --model st-abn/" in capsys.readouterr().err


def test_pointing_measures_a_planted_attention(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention that lies in the figure's box, in the frames of the act alone, is perfect."""
    clips = [Puppets("test", 20, size=64, frames=10, distractor="none", occlusion=0.0)[i] for i in (0, 1)]
    shown = iter([clip for clip in clips for _ in range(2)])

    class Planted:
        def __init__(self, clip: PuppetClip) -> None:
            start, end = clip.span
            self.temporal = np.zeros(10)
            self.temporal[start:end] = 1
            self.relevance = -self.temporal
            self.attention = np.zeros((10, 64, 64), np.float32)
            for frame, (x0, y0, x1, y1) in zip(self.attention, clip.actors[0].boxes, strict=True):
                frame[y0:y1, x0:x1] = 1

    monkeypatch.setattr("glocal.papers.attention_truth.explain", lambda *a, **k: Planted(next(shown)))
    found = measure_pointing(glocal.load_model(trained), clips)
    own, cam = found["M_t and M_s"].compute(), found["3DCAM"].compute()
    assert (own["AUROC"], own["AUROC in a clip"], own["hit_max"]) == (1, 1, 1)
    assert own["MaxBoxAcc 0.7"] == pytest.approx(1)
    assert cam["AUROC"] == 0
    blank = found["middle of the video, full frame"].compute()
    areas = [
        (x1 - x0) * (y1 - y0) / 64**2
        for clip in clips
        for x0, y0, x1, y1 in clip.actors[0].boxes[slice(*clip.span)].tolist()
        if x1 > x0
    ]
    assert blank["hit_max"] == pytest.approx(np.mean(areas)), "chance"


def test_table_3_runs(trained: Path, tmp_path: Path) -> None:
    assert main(asked("paper-b/3", trained, tmp_path, "--clips", "2")) == 0
    header, own, cam, trivial = read(tmp_path / "paper-b-3-puppets.csv")
    assert header[1:4] == ["AUROC", "AUROC in a clip", "hit_max"]
    assert 0 <= float(own[1]) <= 1


def test_published_figures_stand_beside_the_runs_that_they_are_of() -> None:
    assert published_accuracy("st-abn/slow-50", 32, 2, V1) == {"top-1": 0.533, "top-5": 0.82}
    assert published_accuracy("st-abn/slow-50", 8, 2, V1) == {}
    assert published_accuracy("st-abn/resnext3d-101", 32, 2, V1) == {}
    assert published_inversions("st-abn/slow-50", 32, 2, V2)[3] == (0.142, 0.335)
    for model, frames, samples in (
        ("st-abn/slow-101", 32, 2),
        ("st-abn/slow-50", 8, 2),
        ("st-abn/slow-50", 32, 1),
    ):
        assert published_inversions(model, frames, samples, V1) == ()
    assert other_methods("puppets") == {}
    assert len(other_methods(V1)) == 23
    assert len(other_methods(V2)) == 14
    assert other_methods(V2)["CPNet, ResNet-34, 24 frames"] == {"top-1": 0.577, "top-5": 0.84}
    assert "CPNet, ResNet-34, 24 frames" not in other_methods(V1)


def test_an_st_abn_on_the_slow_pathway_takes_the_papers_clips() -> None:
    for name in ("st-abn/slow-50", "st-abn/slow-101"):
        clip_spec = find_entry(name).clip_spec
        assert (clip_spec.frames, clip_spec.stride, clip_spec.size) == (32, 1, 224)
    assert find_entry("slow-50").clip_spec.frames == find_entry("gated/slow-50").clip_spec.frames == 8


def test_of_two_figures_the_right_one_gets_more_attention_or_not() -> None:
    (clip,) = Puppets(
        "test", 1, task="cue-worn", frames=8, size=48, fps=5.0, distractor="none", occlusion=0.0
    )
    right, wrong, single = PuppetPointing(), PuppetPointing(), PuppetPointing()
    over_time = np.ones(8)
    right.update(clip, over_time, clip.actors[0].mask.astype(np.float32) + 1)
    wrong.update(clip, over_time, clip.actors[1].mask.astype(np.float32) + 1)
    assert right.compute()["right figure"] == 1
    assert wrong.compute()["right figure"] == 0
    (alone,) = Puppets("test", 1, frames=8, size=48, distractor="none")
    single.update(alone, over_time, np.ones((8, 48, 48), np.float32))
    assert "right figure" not in single.compute()

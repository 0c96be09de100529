"""Actions in real untrimmed videos, as a command."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from glocal.cli import main
from glocal.models import Model
from glocal.papers.detection import UntrimmedVideo, frame_truth, is_ambiguous, score_row
from glocal.video import ClipSpec, write_video

LABELS = ("Diving", "Run")


def brightness_model() -> Model:
    """Class 0 is a bright picture, class 1 a dark one."""
    conv = nn.Conv3d(3, 1, 1, bias=False)
    head = nn.Linear(1, 2)
    nn.init.constant_(conv.weight, 1 / 3)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[4.0], [-4.0]]))
        head.bias.copy_(torch.tensor([-1.0, 1.0]))
    network = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), head).eval()
    spec = ClipSpec(frames=4, short_side=16, size=16, mean=(0.0,) * 3, std=(1.0,) * 3)
    return Model("brightness", network, {"relu": "1"}, LABELS, spec, "some")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A video of 4 seconds that is bright from second 1 to 3, with the annotations of both data sets."""
    frames = np.full((32, 32, 32, 3), 20, np.uint8)
    frames[8:24] = 220
    folder = tmp_path / "thumos"
    for name in ("annotation", "multithumos/annotations"):
        (folder / name).mkdir(parents=True)
    write_video(folder / "video_test_0000001.mp4", frames, 8.0)
    (folder / "annotation/Diving_test.txt").write_text("video_test_0000001 1.0 3.0\n")
    (folder / "annotation/Ambiguous_test.txt").write_text("video_test_0000001 3.2 4.0\n")
    (folder / "multithumos/annotations/Diving.txt").write_text("video_test_0000001 1.0 3.0\n")
    (folder / "multithumos/annotations/Run.txt").write_text("video_test_0000001 0.0 4.0\n")
    (folder / "multithumos/annotations/Jump.txt").write_text("video_test_0000001 0.0 4.0\n")
    return folder


@pytest.mark.parametrize("data", ["thumos14", "multithumos"])
def test_actions_are_found_in_a_folder_as_it_is_published(
    data: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glocal.papers.table.load_model", lambda *_, **__: brightness_model())
    command = ["table", "detection", "--data", data, "--root", str(root), "--out", str(tmp_path), "--quiet"]
    assert main(command) == 0
    header, *rows = (tmp_path / f"detection-{data}.csv").read_text().splitlines()
    columns = header.split(",")
    values = {row.split(",")[0]: dict(zip(columns[1:], row.split(",")[1:], strict=True)) for row in rows}
    assert set(values) == {"windows that stop at cuts", "plain windows", "whole video (trivial)"}
    plain, whole = values["plain windows"], values["whole video (trivial)"]
    if data == "thumos14":
        assert float(plain["mAP@0.5"]) == 1
        assert float(whole["mAP@0.5"]) == 1, "half of the video is the action"
        assert float(whole["mAP@0.7"]) == 0
        assert float(plain["mAP of frames"]) > 0.9 > float(whole["mAP of frames"])
    else:
        assert float(whole["mAP@0.7"]) == 0.5, "Run lasts as long as the video"
    again = []
    monkeypatch.setattr("glocal.papers.detection.detect", lambda *_: again.append(0))
    assert main(command) == 0
    assert again == [], "what has been computed is kept"


def test_a_network_of_other_actions_is_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["table", "detection", "--data", "thumos14", "--out", str(tmp_path)]
    assert main([*command, "--root", str(root), "--model", "puppets/gated"]) == 1
    assert "(Diving" in capsys.readouterr().err
    assert main([*command, "--model", "puppets/gated"]) == 2
    assert "needs --root" in capsys.readouterr().err


def test_what_lies_in_an_ambiguous_passage_counts_neither_way() -> None:
    video = UntrimmedVideo(Path("v"), ((0.0, 2.0, "a"),), ((3.0, 5.0),))
    assert is_ambiguous((3.5, 5.5, 0.9, "a"), video)
    assert not is_ambiguous((4.5, 6.0, 0.9, "a"), video), "only a third of it"
    assert not is_ambiguous((1.5, 5.0, 0.9, "a"), video), "it touches an action of its class"
    assert is_ambiguous((2.8, 5.0, 0.9, "b"), video)
    facts = {
        "segments": [(3.0, 5.0, 0.9, "a"), (0.0, 2.0, 0.5, "a")],
        "scores": {"a": [0.1, 0.2]},
        "times": [1.0, 4.0],
    }
    assert score_row("plain windows", [facts], [video], ["a"]).values["mAP@0.7"] == 1
    clear = UntrimmedVideo(Path("v"), video.actions)
    assert score_row("plain windows", [facts], [clear], ["a"]).values["mAP@0.7"] == 0.5


def test_a_frame_has_every_action_that_holds_at_its_time() -> None:
    video = UntrimmedVideo(Path("v"), ((0.0, 1.0, "a"), (1.0, 2.0, "b"), (3.0, 3.5, "a")))
    truth = frame_truth(np.array([0.0, 1.0, 2.5, 3.0]), video, ["a", "b"])
    assert truth.tolist() == [[True, False], [True, True], [False, False], [True, False]]

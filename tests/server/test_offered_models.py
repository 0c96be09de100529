"""Models of one's own on the server: files and modules are found from the folder of each job."""

import io
import json
import textwrap
from pathlib import Path

import pytest

from glocal.cli import main
from glocal.cli.options import ModelChoice
from glocal.cli.serve import offered_models
from glocal.errors import UsageError
from glocal.server.catalog import open_catalog
from glocal.server.job import OfferedModel, Task
from glocal.server.limits import Limits
from glocal.server.queue import JobQueue
from helpers.jobs import TASK, wait
from helpers.serving import write_clip

LIMITS = Limits(wall=120.0)
CODE = """
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv3d(3, 4, 3), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.conv(x).relu().mean((2, 3, 4))).softmax(1)
"""
CHOICE = ModelChoice(
    labels="labels.txt", outputs="softmax", clip={"frames": 4, "size": 16, "mean": [0, 0, 0]}
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a file and a package that make a network."""
    (tmp_path / "nets.py").write_text(textwrap.dedent(CODE))
    (tmp_path / "served_package").mkdir()
    (tmp_path / "served_package" / "nets.py").write_text(textwrap.dedent(CODE))
    (tmp_path / "labels.txt").write_text("run\nwalk\njump\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explained(folder: Path, offered: OfferedModel) -> dict[str, str]:
    """The report of a clip that the server explains by a model."""
    options = {**TASK.options, "layers": ()}
    queue = JobQueue(folder / "results", LIMITS, 1)
    try:
        with open(write_clip(folder / "clip.mp4", frames=6), "rb") as clip:
            job = queue.add(Task("clip.mp4", offered, "cpu", options), io.BytesIO(clip.read()))
        wait(lambda: job.ended)
        assert job.state == "done", job.result
        facts: dict[str, str] = json.loads((job.folder / "report.json").read_text())
        return facts
    finally:
        queue.close()


@pytest.mark.parametrize(
    ("name", "title"), [("nets.py:Net", "nets.py:Net"), ("served_package.nets:Net",) * 2]
)
def test_a_factory_explains_clips_in_the_folder_of_a_job(
    folder: Path, name: str, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (offered,) = offered_models((name,), CHOICE)
    monkeypatch.chdir("/")
    catalog = open_catalog([offered], "cpu", LIMITS)
    (row,) = catalog["models"]
    assert (row["name"], row["labels"], row["frames"]) == (title, ["run", "walk", "jump"], 4)
    assert "is code, which is run" in catalog["warnings"][0]
    facts = explained(folder, OfferedModel(**row["offer"]))
    assert facts["model"] == title
    assert str(folder) not in json.dumps(facts)
    assert {prediction["label"] for prediction in facts["predictions"]} == {"run", "walk", "jump"}  # type: ignore[index]


def test_paths_are_resolved_when_the_server_starts(folder: Path) -> None:
    for name in ("nets.ckpt", "lr=0.1.safetensors", "kinetics400"):
        (folder / name).touch() if "." in name else (folder / name).mkdir()
    (offered,) = offered_models(("nets.py:Net=nets.ckpt",), ModelChoice(labels="labels.txt"))
    assert offered.name == f"{folder / 'nets.py'}:Net"
    assert offered.weights == str(folder / "nets.ckpt")
    assert offered.labels == str(folder / "labels.txt")
    (offered,) = offered_models(("lr=0.1.safetensors",), ModelChoice())
    assert (offered.name, offered.weights, offered.key) == (
        str(folder / "lr=0.1.safetensors"),
        None,
        "lr=0.1",
    )
    (offered,) = offered_models(("slow-50=kinetics400",), ModelChoice())
    assert (offered.name, offered.weights) == ("slow-50", "kinetics400"), "the folder is not meant"
    (offered,) = offered_models(("served_package",), ModelChoice())
    assert (offered.name, offered.key) == (str(folder / "served_package"), "served_package")
    assert [m.key for m in offered_models(("puppets/gated", "lab/net-1.5"), ModelChoice())] == [
        "puppets/gated",
        "lab/net-1.5",
    ]


@pytest.mark.parametrize("models", [(), ("c3d", "i3d-rgb")])
def test_options_of_one_model_need_one_model(models: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="are those of one --model; name one, or start a server for each"):
        offered_models(models, CHOICE)


def test_a_factory_that_fails_ends_the_server_in_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--port", "0", "--out", str(folder / "out"), "--model", "nets.py:Nat"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "has no factory 'Nat'. Did you mean 'Net'?" in line

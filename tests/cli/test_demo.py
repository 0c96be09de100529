"""`glocal demo` on fewer clips, and the packaged networks on clips that they have never seen."""

import json
import re
from pathlib import Path

import pytest
import torch

import glocal
from glocal.cli import demo, demo_clips, main
from glocal.datasets.puppets import Puppets
from glocal.models.names import packaged_models
from glocal.training.clips import EvaluationClips
from glocal.training.sources import PuppetSource


@pytest.fixture
def shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, str]:
    monkeypatch.setattr(demo_clips, "SHOWN", (8,))
    monkeypatch.setattr(demo_clips, "MEASURED", 2)
    assert main(["demo", "--out", str(tmp_path)]) == 0
    return tmp_path / "demo", capsys.readouterr().out


def test_the_demo_leaves_a_page_and_tells_votes_truth_and_baselines(shown: tuple[Path, str]) -> None:
    folder, out = shown
    stem = "punch-explained"
    assert {f"{stem}.{suffix}" for suffix in ("html", "mp4", "json", "npz")} <= {
        p.name for p in folder.iterdir()
    }
    facts = json.loads((folder / f"{stem}.json").read_text())
    assert facts["model"] == "puppets/gated"
    assert list(facts["votes"]) == ["conv", "layer1", "layer2", "layer3", "layer4"]
    for gate in facts["votes"]:
        assert re.search(rf"^  {gate} ", out, re.MULTILINE)
    for row in ("full frame (trivial)", "Gaussian centre prior (trivial)", "Sum 3DCAM (all layers)"):
        assert row in out
    assert "2 clips" in out
    if demo.packaged_media() and demo_clips.IMAGE_MODEL in demo_clips.networks_with_installed_weights():
        path = Path(demo.packaged_media()[0])
        real = json.loads((folder / f"{path.stem}-explained.json").read_text())
        assert real["model"] == "efficientnet-lite0"
        assert re.search(rf"^{path.name}: .* → .*{path.stem}-explained.html$", out, re.MULTILINE)
        assert "efficientnet-lite0 knows 1000 kinds of objects" in out
    assert str(folder / f"{stem}.html") in out


def test_the_real_clip_is_the_first_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("first_media", "second_media"):
        (tmp_path / package / "data").mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text("raise ImportError('not to be imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(demo, "REAL", (("first_media", "data/a.mp4"), ("second_media", "data/b.jpg")))
    assert demo.packaged_media() == []
    for package, file in reversed(demo.REAL):
        (tmp_path / package / file).touch()
        assert demo.packaged_media() == [str(tmp_path / package / file)]


@pytest.mark.parametrize("name", sorted(name for name in packaged_models() if name.startswith("puppets/")))
def test_a_packaged_network_names_actions_that_it_has_not_seen(name: str) -> None:
    """Chance is 1 in 20."""
    model = glocal.load_model(name)
    clips = EvaluationClips(
        PuppetSource(Puppets("test", 60, size=72, scale=(0.3, 1.0), seed=9)), model.clip, model.labels
    )
    with torch.no_grad():
        logits = torch.cat([model.network(clips[number].clips[None]) for number in range(60)])
    right = float((logits.argmax(1) == torch.arange(60) % 20).float().mean())
    assert right > 0.75

"""Cards: a trained network is loaded by its path alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import glocal
from glocal.errors import InputError, UsageError, WriteError
from glocal.models import Model, load_model
from glocal.models.card import Card, read_card, save_network
from glocal.video import ClipSpec

CLIP_SPEC = ClipSpec(frames=8, size=32, short_side=32, fps=10.0)
LABELS = ("sit", "stand up", "läuft")


def trained(folder: Path, name: str = "gated/resnext3d-small:layer2+layer4") -> tuple[Model, Path]:
    torch.manual_seed(0)
    model = load_model(name, labels=LABELS, clip=CLIP_SPEC)
    path = folder / "best.safetensors"
    save_network(path, model.network, Card(model.name, model.labels, model.clip, 7, {"val/video_top1": 0.5}))
    return model, path


def test_a_trained_network_is_read_back_by_its_path_alone(tmp_path: Path) -> None:
    model, path = trained(tmp_path)
    clips = torch.randn(2, 3, 8, 32, 32)
    for name in (path, str(path), path.with_suffix(".json")):
        again = glocal.load_model(name)
        assert (again.name, again.labels, again.clip) == (model.name, LABELS, CLIP_SPEC)
        assert again.weights == str(path)
        with torch.no_grad():
            assert torch.equal(again.network(clips), model.network(clips))


def test_a_card_beside_the_weights_sets_labels_and_clip_spec_of_a_named_model(tmp_path: Path) -> None:
    model, path = trained(tmp_path)
    again = load_model("gated/resnext3d-small:layer4+layer2", path)
    assert (again.labels, again.clip) == (LABELS, CLIP_SPEC)
    other = load_model(model.name, path.with_suffix(".json"), labels=["a", "b", "c"])
    assert other.labels == ("a", "b", "c")
    new = load_model(model.name, path, num_classes=5, new_head=True)
    assert (len(new.labels), new.clip) == (5, CLIP_SPEC)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"best{suffix}").mkdir()
    with pytest.raises(WriteError, match=rf"best\{suffix} cannot be written \(Is a directory\)"):
        trained(tmp_path)


def test_a_backbones_card_is_used_for_a_gated_network_on_it(tmp_path: Path) -> None:
    _, path = trained(tmp_path, "resnext3d-small")
    model = load_model("gated/resnext3d-small", path)
    assert (model.labels, model.clip) == (LABELS, CLIP_SPEC)
    assert model.weights == f"{path}, new gates of 3 classes"
    assert model.network.gates["conv"].in_features == 16 * 4, "made for 8 frames"


def test_a_card_of_another_model_is_not_used(tmp_path: Path) -> None:
    _, path = trained(tmp_path)
    with pytest.raises(InputError, match="does not fit resnet3d-50"):
        load_model("resnet3d-50", path)


def test_a_damaged_card_is_refused_with_the_reason(tmp_path: Path) -> None:
    _, path = trained(tmp_path)
    card = path.with_suffix(".json")
    content = json.loads(card.read_text())
    assert content["clip"]["fps"] == 10
    for change, message in [
        ({"labels": "sit"}, r"labels must be a list, each item a text, not 'sit'"),
        ({"clip": {**content["clip"], "frames": 0}}, "frames must be at least 1"),
        ({"clip": {**content["clip"], "frame": 1}}, r"no key 'frame'.*Did you mean 'frames'"),
        ({"model": None}, "model must be a text"),
    ]:
        card.write_text(json.dumps({**content, **change}))
        with pytest.raises(InputError, match=message):
            load_model(path)
    card.write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        load_model(path)
    card.unlink()
    with pytest.raises(UsageError, match=r"has no card best\.json beside it"):
        load_model(path)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        load_model(path)


def test_cards_round_trip(tmp_path: Path) -> None:
    card = Card("resnext3d-small", LABELS, CLIP_SPEC, 9, {"val/loss": 0.25}, {"run": {"epochs": 3}}, "0.1.0")
    card.write(tmp_path / "card.json")
    assert read_card(tmp_path / "card.json") == card
    flow = replace(card, clip=ClipSpec(frames=8, modality="flow", range=(-1, 1)))
    flow.write(tmp_path / "card.json")
    assert read_card(tmp_path / "card.json") == flow

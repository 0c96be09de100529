"""The zoo and how models are asked for."""

from pathlib import Path

import pytest
import torch

from glocal.errors import InputError, UsageError
from glocal.models import MODELS, Model, label_list, load_model, model_names, summary
from glocal.models.zoo import TORCHVISION_TO_SLOW, shapes
from glocal.video.clip_spec import ClipSpec


def test_every_model_of_the_public_surface_is_there() -> None:
    assert model_names() == [
        "resnext3d-101",
        "resnet3d-50",
        "resnext3d-small",
        "resnext3d-small-flow",
        "slow-50",
        "slow-101",
        "i3d-rgb",
        "i3d-flow",
        "i3d-two-stream",
        "c3d",
        "r3d-18",
        "r2plus1d-18",
        "resnet2d-50",
        "gated/resnext3d-101",
        "gated/resnet3d-50",
        "gated/resnext3d-small",
        "gated/resnext3d-small-flow",
        "gated/slow-50",
        "gated/slow-101",
        "gated/i3d-rgb",
        "gated/i3d-flow",
        "st-abn/resnext3d-101",
        "st-abn/resnet3d-50",
        "st-abn/resnext3d-small",
        "st-abn/resnext3d-small-flow",
        "st-abn/slow-50",
        "st-abn/slow-101",
        "st-abn/i3d-rgb",
        "st-abn/i3d-flow",
        "st-abn/c3d",
        "st-abn/r3d-18",
        "st-abn/r2plus1d-18",
        "puppets/gated",
        "puppets/resnext3d",
        "puppets/resnext3d-80k",
        "puppets/st-abn",
    ]


@pytest.mark.parametrize("name", list(MODELS))
def test_entries_agree_with_their_networks(name: str) -> None:
    entry = MODELS[name]
    with torch.device("meta"):
        network = entry.build(entry.classes)
    for path in entry.layers.values():
        network.get_submodule(path)
    shaped = {
        key.rpartition(".")[0] for key, shape in shapes(entry, 3).items() if shape != shapes(entry, 2)[key]
    }
    assert shaped == set(entry.head), "what depends on the number of classes, and nothing else"
    assert network.get_submodule(entry.head[0]).weight.shape[0] == entry.classes
    assert not entry.labels or len(label_list(entry.labels)) == entry.classes
    assert all(len(files) == max(1, len(entry.streams)) for files in entry.weights.values())
    assert all(item.url or item.page for files in entry.weights.values() for item in files)
    assert [entry.rename(key) for key in shapes(entry, 2)] == list(shapes(entry, 2)), "own keys stay"


def test_paper_a_explains_these_layers() -> None:
    assert list(MODELS["resnext3d-101"].layers) == ["conv", "layer1", "layer2", "layer3", "layer4"]
    assert list(MODELS["i3d-rgb"].layers) == ["Conv3d_1a_7x7", "Mixed_3c", "Mixed_4f", "Mixed_5c"]
    assert MODELS["i3d-two-stream"].layers["flow.Mixed_3c"] == "flow.Mixed_3c"
    assert list(MODELS["c3d"].layers) == ["conv1", "conv2", "conv3", "conv4", "conv5"]


def test_random_weights_have_the_published_classes_unless_told_otherwise() -> None:
    model = load_model("i3d-flow")
    assert (model.name, model.weights, model.labels) == ("i3d-flow", "random", label_list("kinetics400"))
    assert (model.clip.modality, model.clip.fps) == ("flow", 25.0)
    assert not model.network.training
    assert load_model("i3d-flow", classes=51).labels == label_list("hmdb51")
    named = load_model("i3d-flow", labels=["walk", "run"])
    assert named.labels == ("walk", "run")
    assert named.network(torch.zeros(1, 2, 8, 32, 32)).shape == (1, 2)


def test_the_order_of_resnet3d_50s_classes_is_unknown() -> None:
    assert len(load_model("resnet3d-50").labels) == 700
    assert load_model("resnet3d-50").labels[0] == "class 0"


def test_unknown_models_and_weights_are_named_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no model 'i3d-rbg', only resnext3d-101.*Did you mean 'i3d-rgb'"):
        load_model("i3d-rbg")
    with pytest.raises(UsageError, match=r"no file kinetics, .*only kinetics400.*Did you mean 'kinetics400'"):
        load_model("i3d-rgb", "kinetics")
    with pytest.raises(UsageError, match=r"no file .*missing\.pth"):
        load_model("i3d-rgb", tmp_path / "missing.pth")
    with pytest.raises(UsageError, match="takes 1 checkpoints, not 2"):
        load_model("i3d-rgb", [tmp_path, tmp_path])


def test_contradicting_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="2 labels for 3 classes"):
        load_model("i3d-rgb", labels=["a", "b"], classes=3)
    for arguments in ({"classes": 0}, {"classes": -1}, {"labels": []}):
        with pytest.raises(UsageError, match="at least 1 class"):
            load_model("i3d-rgb", **arguments)
    with pytest.raises(UsageError, match="device 'moon' cannot be used"):
        load_model("i3d-rgb", classes=2, device="moon")


def test_names_of_weights_come_before_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLOCAL_CACHE", str(tmp_path / "cache"))
    Path("kinetics400").write_text("not weights")
    with pytest.raises(InputError, match=r"resnext-101-kinetics\.pth can only be downloaded by hand"):
        load_model("resnext3d-101", "kinetics400")


def test_a_file_saved_by_hand_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GLOCAL_CACHE", str(tmp_path))
    torch.manual_seed(0)
    original = MODELS["resnet3d-50"].build(700)
    torch.save({"arch": "resnet-50", "state_dict": original.state_dict()}, tmp_path / "r3d50_K_200ep.pth")
    model = load_model("resnet3d-50", "kinetics700")
    assert model.weights == "kinetics700"
    assert torch.equal(model.network.fc.weight, original.fc.weight)


def test_image_keys_become_those_of_the_slow_pathway() -> None:
    """All keys of torchvision's ResNet-50 have a place in slow-50."""
    assert TORCHVISION_TO_SLOW
    renamed = {MODELS["slow-50"].rename(key) for key in shapes(MODELS["resnet2d-50"], 2)}
    assert renamed == set(shapes(MODELS["slow-50"], 2))


def test_mmaction_keys_become_those_of_c3d() -> None:
    public = [f"backbone.conv{i}.conv.weight" for i in ("1a", "2a", "3a", "3b", "4a", "4b", "5a", "5b")]
    public += ["backbone.fc6.weight", "backbone.fc7.weight", "cls_head.fc_cls.weight"]
    renamed = {MODELS["c3d"].rename(key) for key in public}
    assert renamed == {key for key in shapes(MODELS["c3d"], 2) if key.endswith("weight")}


def test_the_summary_has_a_row_for_each_model() -> None:
    rows = {row["name"]: row for row in summary()}
    assert list(rows) == model_names()
    assert rows["i3d-rgb"]["parameters"] == 12_697_264
    assert rows["i3d-rgb"]["clip"]["frames"] == 64
    assert rows["slow-50"]["weights"] == ["kinetics400", "imagenet"]
    assert rows["c3d"]["classes"] == 101


def test_a_network_of_the_user_is_a_model_too() -> None:
    network = torch.nn.Sequential(torch.nn.Conv3d(3, 2, 3), torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten())
    model = Model(
        name="mine",
        network=network,
        layers={"conv": network[0]},
        labels=("a", "b"),
        clip=ClipSpec(frames=8, mean=(0.5,) * 3, std=(0.5,) * 3),
    )
    assert model.weights == "custom"

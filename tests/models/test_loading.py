"""Models by name: classes, seeds, refusals, logits."""

from pathlib import Path

import pytest
import torch

from glocal.errors import InputError, UsageError
from glocal.models import MODELS, Model, find_entry, label_list, load_model
from glocal.video.clip_spec import ClipSpec
from helpers.networks import Small3d, seeded


def test_random_weights_have_the_published_classes_by_default() -> None:
    model = load_model("i3d-flow")
    assert (model.name, model.weights, model.labels) == ("i3d-flow", "random", label_list("kinetics400"))
    assert (model.clip.modality, model.clip.fps) == ("flow", 25.0)
    assert not model.network.training
    assert load_model("i3d-flow", num_classes=51).labels == label_list("hmdb51")
    named = load_model("i3d-flow", labels=["walk", "run"])
    assert named.labels == ("walk", "run")
    assert named.network(torch.zeros(1, 2, 8, 32, 32)).shape == (1, 2)


def test_the_order_of_resnet3d_50s_classes_is_unknown() -> None:
    assert len(load_model("resnet3d-50").labels) == 700
    assert load_model("resnet3d-50").labels[0] == "class 0"


def test_unknown_models_and_weights_are_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown model 'i3d-rbg'\. Did you mean 'i3d-rgb'\? Models: c3d, "):
        load_model("i3d-rbg")
    with pytest.raises(UsageError, match=r"no file kinetics, .*only kinetics400.*Did you mean 'kinetics400'"):
        load_model("i3d-rgb", "kinetics")
    with pytest.raises(UsageError, match=r"no file .*missing\.pth"):
        load_model("i3d-rgb", tmp_path / "missing.pth")
    with pytest.raises(UsageError, match="takes 1 checkpoints, not 2"):
        load_model("i3d-rgb", [tmp_path, tmp_path])


def test_contradicting_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="2 labels for 3 classes"):
        load_model("i3d-rgb", labels=["a", "b"], num_classes=3)
    for arguments in ({"num_classes": 0}, {"num_classes": -1}, {"labels": []}):
        with pytest.raises(UsageError, match="at least 1 class"):
            load_model("i3d-rgb", **arguments)
    with pytest.raises(UsageError, match="device 'moon' cannot be used"):
        load_model("i3d-rgb", num_classes=2, device="moon")


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


def test_a_network_of_the_user_is_a_model_too() -> None:
    network = torch.nn.Sequential(torch.nn.Conv3d(3, 2, 3), torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten())
    model = Model(
        name="mine",
        network=network,
        layer_paths={"conv": "0"},
        labels=("a", "b"),
        clip=ClipSpec(frames=8, mean=(0.5,) * 3, std=(0.5,) * 3),
    )
    assert model.weights == "custom"
    assert model.layers == {"conv": network[0]}


NAMES = ["resnext3d-small", "r3d-18", "gated/resnext3d-small:layer2+layer4", "st-abn/resnext3d-small"]


@pytest.mark.parametrize("name", NAMES)
def test_random_weights_are_those_of_manual_seed(name: str) -> None:
    entry = find_entry(name)
    for seed in (0, 7):
        torch.manual_seed(seed)
        expected = entry.build(3).state_dict()
        loaded = load_model(name, num_classes=3, seed=seed).network.state_dict()
        assert loaded.keys() == expected.keys()
        assert all(torch.equal(loaded[key], tensor) for key, tensor in expected.items())


def test_the_seed_of_random_weights_is_zero_and_global_random_numbers_go_on(tmp_path: Path) -> None:
    torch.manual_seed(5)
    first, second = torch.rand(3), torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), first)
    default = load_model("resnext3d-small", num_classes=3)
    assert torch.equal(torch.rand(3), second)
    again, other = (load_model("resnext3d-small", num_classes=3, seed=seed) for seed in (0, 1))
    assert torch.equal(default.network.fc.weight, again.network.fc.weight)
    assert not torch.equal(default.network.fc.weight, other.network.fc.weight)
    file = tmp_path / "weights.pth"
    torch.save(default.network.state_dict(), file)
    torch.manual_seed(5)
    head = load_model("resnext3d-small", file, num_classes=4, new_head=True).network.fc.weight
    assert torch.equal(torch.rand(3), first)
    same = load_model("resnext3d-small", file, num_classes=4, new_head=True).network.fc.weight
    assert torch.equal(head, same)


def test_logits_need_neither_eval_mode_nor_no_grad() -> None:
    network = seeded(Small3d()).train()
    model = Model("small", network, {"conv": "relu1"}, tuple("abcde"), ClipSpec(frames=8))
    clips = torch.randn(2, 3, 8, 16, 16, dtype=torch.float64)
    logits = model.logits(clips)
    assert logits.shape == (2, 5)
    assert logits.dtype == torch.float32
    assert not logits.requires_grad
    assert network.training
    with torch.no_grad():
        assert torch.equal(logits, network.eval()(clips.float()))


def test_logits_of_two_streams() -> None:
    model = load_model("i3d-two-stream", num_classes=4)
    clips = [torch.randn(1, channels, 8, 32, 32) for channels in (3, 2)]
    with torch.no_grad():
        assert torch.equal(model.logits(clips), model.network(clips))


def test_a_models_repr_is_one_short_line() -> None:
    model = load_model("gated/resnext3d-small:layer3+layer4", num_classes=7)
    assert repr(model) == (
        "Model('gated/resnext3d-small:layer3+layer4', weights='random', 7 classes, rgb 16×112×112, "
        "layers=conv, layer1, layer2, layer3, layer4)"
    )
    assert "1000 classes, rgb 224×224 image" in repr(load_model("resnet2d-50"))


def test_clips_of_another_number_of_channels_are_refused() -> None:
    grey = ClipSpec(16, mean=(0.5,), std=(0.5,))
    with pytest.raises(UsageError, match="takes rgb clips of 3 channels, and clip describes rgb clips of 1"):
        load_model("r3d-18", clip=grey)

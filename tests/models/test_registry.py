"""Entries of networks, their variants, and how they are looked up."""

import pytest
import torch
from torch import nn

from glocal.errors import UsageError
from glocal.models import MODELS, ModelEntry, find_entry, label_list, load_model, model_names, summary
from glocal.models.registry import network_names
from glocal.video.clip_spec import ClipSpec


def test_every_model_of_the_public_surface_is_there() -> None:
    assert model_names() == [
        "c3d",
        "efficientnet-lite0",
        "efficientnet-lite0-i3d",
        "efficientnet-lite0-r2plus1d",
        "efficientnet-lite0-r2plus1d-flow",
        "efficientnet-lite0-difference",
        "i3d-rgb",
        "i3d-flow",
        "i3d-two-stream",
        "r3d-18",
        "r2plus1d-18",
        "resnext3d-101",
        "resnet3d-50",
        "resnext3d-small",
        "resnext3d-small-flow",
        "resnet2d-50",
        "slow-50",
        "slow-101",
        "slow-small",
        "gated/efficientnet-lite0-i3d",
        "gated/efficientnet-lite0-r2plus1d",
        "gated/efficientnet-lite0-r2plus1d-flow",
        "gated/efficientnet-lite0-difference",
        "gated/i3d-rgb",
        "gated/i3d-flow",
        "gated/i3d-two-stream",
        "gated/resnext3d-101",
        "gated/resnet3d-50",
        "gated/resnext3d-small",
        "gated/resnext3d-small-flow",
        "gated/slow-50",
        "gated/slow-101",
        "gated/slow-small",
        "st-abn/c3d",
        "st-abn/efficientnet-lite0-i3d",
        "st-abn/efficientnet-lite0-r2plus1d",
        "st-abn/efficientnet-lite0-r2plus1d-flow",
        "st-abn/efficientnet-lite0-difference",
        "st-abn/i3d-rgb",
        "st-abn/i3d-flow",
        "st-abn/r3d-18",
        "st-abn/r2plus1d-18",
        "st-abn/resnext3d-101",
        "st-abn/resnet3d-50",
        "st-abn/resnext3d-small",
        "st-abn/resnext3d-small-flow",
        "st-abn/slow-50",
        "st-abn/slow-101",
        "st-abn/slow-small",
        "fights/changes",
        "puppets/gated",
        "puppets/resnext3d",
        "puppets/resnext3d-80k",
        "puppets/st-abn",
    ]


@pytest.mark.parametrize("name", network_names())
def test_entries_agree_with_their_networks(name: str) -> None:
    entry = find_entry(name)
    with torch.device("meta"):
        network = entry.build(entry.num_classes)
    for path in entry.layers.values():
        network.get_submodule(path)
    two, three = entry.state_shapes(2), entry.state_shapes(3)
    differing = {key.rpartition(".")[0] for key, shape in three.items() if shape != two[key]}
    assert differing == set(entry.classifier), "these modules depend on the number of classes, and no others"
    assert network.get_submodule(entry.classifier[0]).weight.shape[0] == entry.num_classes
    assert not entry.labels or len(label_list(entry.labels)) == entry.num_classes
    assert all(len(files) == max(1, len(entry.streams)) for files in entry.weights.values())
    assert all(file.url or file.page for files in entry.weights.values() for file in files)
    assert [entry.rename_key(key) for key in two] == list(two), "the network's own keys are not renamed"


def test_paper_a_explains_these_layers() -> None:
    assert list(MODELS["resnext3d-101"].layers) == ["conv", "layer1", "layer2", "layer3", "layer4"]
    assert list(MODELS["i3d-rgb"].layers) == ["Conv3d_1a_7x7", "Mixed_3c", "Mixed_4f", "Mixed_5c"]
    assert MODELS["i3d-two-stream"].layers["flow.Mixed_3c"] == "flow.Mixed_3c"
    assert list(MODELS["c3d"].layers) == ["conv1", "conv2", "conv3", "conv4", "conv5"]


def test_image_keys_become_those_of_the_slow_pathway() -> None:
    """All keys of torchvision's ResNet-50 have a place in slow-50."""
    slow = MODELS["slow-50"]
    assert slow.key_renames
    assert {slow.rename_key(key) for key in MODELS["resnet2d-50"].state_shapes(2)} == set(
        slow.state_shapes(2)
    )


def test_mmaction_keys_become_those_of_c3d() -> None:
    public = [f"backbone.conv{i}.conv.weight" for i in ("1a", "2a", "3a", "3b", "4a", "4b", "5a", "5b")]
    public += ["backbone.fc6.weight", "backbone.fc7.weight", "cls_head.fc_cls.weight"]
    renamed = {MODELS["c3d"].rename_key(key) for key in public}
    assert renamed == {key for key in MODELS["c3d"].state_shapes(2) if key.endswith("weight")}


def test_the_summary_has_a_row_for_each_model() -> None:
    rows = {row["name"]: row for row in summary()}
    assert list(rows) == model_names()
    assert rows["i3d-rgb"]["parameters"] == 12_697_264
    assert rows["i3d-rgb"]["clip"]["frames"] == 64
    assert rows["slow-50"]["weights"] == ["kinetics400", "imagenet"]
    assert rows["c3d"]["classes"] == 101


def plain(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv3d(3, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, num_classes))


def test_a_network_that_is_no_backbone_has_no_variants() -> None:
    entry = ModelEntry("plain", "Plain", "", plain, {"conv": "0"}, ClipSpec(frames=4), 3, classifier=("3",))
    with MODELS.override("plain", entry):
        assert [name for name in network_names() if "plain" in name] == ["plain"]
        assert list(load_model("plain").layers) == ["conv"]
        for name in ("gated/plain", "st-abn/plain"):
            with pytest.raises(UsageError, match=f"unknown model '{name}'"):
                find_entry(name)


def test_a_backbone_that_is_added_has_its_variants() -> None:
    backbone = MODELS["resnext3d-small"]
    entry = ModelEntry(
        "other",
        "Other",
        "",
        backbone.build,
        backbone.layers,
        backbone.clip_spec,
        3,
        gates={"last": "layer4"},
    )
    with MODELS.override("other", entry):
        assert [name for name in model_names() if "other" in name] == [
            "other",
            "gated/other",
            "st-abn/other",
        ]
        assert list(load_model("gated/other", num_classes=2).network.gates) == ["last"]

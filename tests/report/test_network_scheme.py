"""The scheme of a network: blocks, shapes, connections, and its drawing."""

from pathlib import Path

import pytest
from torch import Tensor, nn

import glocal
from glocal.cli import main
from glocal.report.network_scheme import Scheme, network_scheme
from glocal.report.scheme_drawing import draw_scheme


def titles_that_lead_to(scheme: Scheme, title: str) -> list[str]:
    (number,) = [index for index, block in enumerate(scheme.blocks) if block.title.startswith(title)]
    return [scheme.blocks[link.start].title for link in scheme.connections if link.end == number]


def shapes(scheme: Scheme) -> dict[str, str]:
    return {block.title: block.shape for block in scheme.blocks}


def test_a_plain_network_has_its_layers_and_what_3dcam_makes_of_them() -> None:
    scheme = network_scheme(glocal.load_model("puppets/resnext3d"))
    assert scheme.title == "puppets/resnext3d: 0.9 million parameters"
    assert shapes(scheme) == {
        "clip": "3×16×64×64",
        "conv": "16×16×32×32",
        "layer1": "64×16×16×16",
        "layer2": "128×8×8×8",
        "layer3": "256×4×8×8",
        "layer4": "512×2×8×8",
        "mean, linear": "20",
        "3DCAM, enlarged": "16×64×64",
        "sum: the attribution": "16×64×64",
    }
    assert titles_that_lead_to(scheme, "mean, linear") == ["layer4"]
    assert titles_that_lead_to(scheme, "sum") == 5 * ["3DCAM, enlarged"]


def test_a_gated_network_has_a_gate_at_each_layer_that_has_one() -> None:
    scheme = network_scheme(glocal.load_model("gated/resnext3d-small:layer2+layer4", num_classes=7))
    gates = [block for block in scheme.blocks if block.role == "gate"]
    assert [(gate.row, gate.shape) for gate in gates] == [(3, "512 → 7"), (5, "512 → 7")]
    assert titles_that_lead_to(scheme, "sum of the gates") == 2 * ["ReLU, mean, linear"]
    assert "mean, linear" not in shapes(scheme)


def test_an_st_abn_has_its_branch_beside_the_features_that_it_weights() -> None:
    scheme = network_scheme(glocal.load_model("st-abn/slow-small", num_classes=5))
    found = shapes(scheme)
    assert found["layer3: features f"] == "128×16×8×8"
    assert found["layer4, stride 1"] == "256×16×8×8"
    assert found["a map for each class"] == "5×16×8×8"
    assert found["spatial attention M_s"] == "1×16×8×8"
    assert found["temporal attention M_t"] == "1×16×1×1"
    fused = titles_that_lead_to(scheme, "(1 + M_s)")
    assert fused == ["layer3: features f", "spatial attention M_s", "temporal attention M_t"]
    assert titles_that_lead_to(scheme, "layer4, stride 1") == ["layer3: features f"]


def test_two_streams_stand_side_by_side() -> None:
    scheme = network_scheme(glocal.load_model("gated/i3d-two-stream:layer2+layer3", num_classes=3))
    assert titles_that_lead_to(scheme, "mean of both") == 2 * ["sum of the gates"]
    clips = [(block.title, block.shape) for block in scheme.blocks if block.role == "clip"]
    assert clips == [("rgb clip", "3×64×224×224"), ("flow clip", "2×64×224×224")]


def test_a_network_of_ones_own_is_run_once() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv3d(3, 4, 3, stride=2, padding=1), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.fc(self.conv(x).mean((2, 3, 4)))
            return logits

    clip = glocal.ClipSpec(8, short_side=16, size=16)
    model = glocal.as_model(Net(), layers=["conv"], clip=clip, labels=["a", "b"])
    assert shapes(network_scheme(model))["conv"] == "4×4×8×8"


def test_blocks_do_not_overlap_and_stay_inside_the_picture() -> None:
    scheme = network_scheme(glocal.load_model("puppets/st-abn"))
    figure = draw_scheme(scheme)
    (axes,) = figure.axes
    boxes = [patch.get_window_extent().extents for patch in axes.patches[: len(scheme.blocks)]]
    width, height = figure.get_size_inches() * figure.dpi
    for index, (x0, y0, x1, y1) in enumerate(boxes):
        assert 0 < x0 < x1 < width
        assert 0 < y0 < y1 < height
        for left, bottom, right, top in boxes[:index]:
            assert x1 < left or right < x0 or y1 < bottom or top < y0


def test_the_command_writes_a_picture_and_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure", "network", "puppets/gated", "--out", str(tmp_path)]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"puppets-gated-network.{kind}" for kind in ("png", "pdf", "svg")}
    svg = (tmp_path / "puppets-gated-network.svg").read_text("utf-8")
    assert ">512 → 20</text>" in svg.replace("\n", "")
    assert capsys.readouterr().err == ""
    assert main(["figure", "network", "puppets/gated", "--model", "slow-small"]) == 2
    assert "name it once" in capsys.readouterr().err
    assert main(["figure", "classes"]) == 2
    assert "shows a video" in capsys.readouterr().err

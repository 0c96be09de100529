"""Paper A's tables of layers, from the networks themselves."""

from pathlib import Path

import pytest
import torch
from torch import nn

from glocal.benchmark.tables import Table
from glocal.cli import main
from glocal.models.output_shapes import output_shapes
from glocal.papers import layer_shapes
from glocal.papers.layer_shapes import I3D, RESNEXT


def test_shapes_are_those_of_the_outputs() -> None:
    network = nn.Sequential(nn.Conv3d(3, 5, 3, stride=2), nn.ReLU())
    shapes = output_shapes(network, torch.zeros(1, 3, 9, 21, 31), ["0", "1"])
    assert shapes == dict.fromkeys(("0", "1"), (1, 5, 4, 10, 15))
    assert not network[0].weight.is_meta
    assert not network[0]._forward_hooks


@pytest.mark.parametrize(("table", "layers"), [("paper-a/1", RESNEXT), ("paper-a/2", I3D)])
def test_the_networks_have_the_papers_sizes_but_for_the_stem(
    table: str, layers: tuple[layer_shapes.PublishedLayer, ...], tmp_path: Path
) -> None:
    assert main(["table", table, "--out", str(tmp_path), "--quiet"]) == 0
    lines = (tmp_path / f"{table.replace('/', '-')}-no-data.csv").read_text().splitlines()
    assert len(lines) == 1 + len(layers)
    header = lines[0].split(",")
    for line, layer in zip(lines[1:], layers, strict=True):
        row = dict(zip(header, line.split(","), strict=True))
        assert row["layer"] == layer.name
        assert row["T×H×W paper"] == layer.shape
        if layer.name == "Conv3d 1a 7×7" and layers is RESNEXT:
            assert row["T×H×W"] == "16×112×112"
        elif layer.shape:
            assert row["T×H×W"] == layer.shape
        assert bool(row["explained as"]) == bool(layer.layer)


def test_the_papers_mistakes_are_noted() -> None:
    table: Table = layer_shapes.shapes_table("i3d-rgb", I3D, layer_shapes.GATE_NOTE)
    assert "no such layer" in table.notes[-1]

"""Maps of layers are kept on the grid of their layer, and read at the size of the clip."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import glocal
from glocal.attribution.aggregation import upsampler
from glocal.explanation.layer_grid import reduce
from glocal.explanation.volume import Volume
from glocal.models import Model
from helpers.networks import Small2d, Small3d, seeded


@pytest.mark.parametrize(
    ("grid", "size"),
    [
        ((7, 9), (56, 75)),
        ((1, 1), (16, 16)),
        ((5, 5), (5, 13)),
        ((3, 8), (64, 8)),
        ((29, 2), (30, 3)),
        ((56, 28), (112, 112)),
    ],
)
def test_maps_read_from_a_coarser_grid_are_those_that_attribution_interpolates(grid: Any, size: Any) -> None:
    maps = torch.rand(4, *grid)
    expected = upsampler(size)(maps)
    volume = Volume(size=size)
    volume.extend(maps.numpy())
    assert np.abs(np.stack([*volume]) - expected.numpy()).max() < 2e-5
    reduced = reduce(expected, grid)
    assert reduced is not None
    assert (reduced - maps).abs().max() < 1e-4


def test_maps_that_are_not_interpolated_are_not_reduced() -> None:
    maps = torch.rand(2, 16, 16)
    assert reduce(maps, (4, 4)) is None
    assert reduce(maps, (16, 16)) is None
    assert reduce(maps, (32, 4)) is None


def model_of(network: Any, **form: Any) -> Model:
    clip = glocal.ClipSpec(**{"frames": 8, "short_side": 32, "size": 32, **form})
    return glocal.as_model(seeded(network), clip)


@pytest.fixture(scope="module")
def video() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (20, 48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("method", ["gradcam", "layercam", "hirescam"])
def test_layers_are_stored_on_their_own_grid(video: np.ndarray, method: str, tmp_path: Path) -> None:
    explanation = glocal.explain(model_of(Small3d()), video, method=method, overlap=0.5)
    shapes = {name: volume.grid for name, volume in explanation.layer_volumes.items()}
    assert set(shapes.values()) == {(16, 22), (8, 11), (4, 6)}
    saved = glocal.Explanation.load(explanation.save(tmp_path, "clip"))
    with np.load(tmp_path / "clip.npz") as arrays:
        for name, grid in shapes.items():
            assert arrays[f"layers/{name}"].shape == (20, *grid)
    for name, maps in explanation.layers.items():
        assert maps.shape == (20, 48, 64)
        assert np.abs(saved.layers[name] - maps).max() < 0.006


def test_maps_read_are_those_of_the_clip(video: np.ndarray) -> None:
    model = model_of(Small3d(), size=48, short_side=48)
    explanation = glocal.explain(model, video[:8], cuts="none", target=1, weighting="none", method="3dcam")
    mean, std = (torch.tensor(values).view(3, 1, 1, 1) for values in (model.clip.mean, model.clip.std))
    clip = (torch.from_numpy(video[:8]).permute(3, 0, 1, 2) / 255 - mean) / std
    attribution = glocal.attribute(model.network, clip[None], list(model.layer_paths.values()), target=1)
    for (name, maps), path in zip(explanation.layers.items(), model.layer_paths.values(), strict=True):
        assert np.abs(maps - attribution.layers[path][0].numpy()).max() < 0.004, name


@pytest.mark.parametrize("first", [True, False])
def test_a_method_that_is_not_interpolated_in_some_windows_is_kept_whole(
    video: np.ndarray, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    calls = []

    def formula(activation: Tensor, gradient: Tensor, upsample: Any) -> Tensor:
        calls.append(activation)
        maps: Tensor = upsample(activation.abs().sum(1))
        return maps**2 if (len(calls) <= 3) is first else maps

    method: Any = glocal.METHODS["gradcam"]
    with glocal.METHODS.override("gradcam", replace(method, formula=formula)):
        explanation = glocal.explain(model_of(Small3d()), video, method="gradcam", overlap=0.5, cuts="none")
    assert len(calls) > 3
    for volume in explanation.layer_volumes.values():
        assert volume[0].shape == volume[19].shape == (32, 43)
        assert volume.grid == (32, 43)


def test_products_of_interpolated_maps_are_kept_whole(video: np.ndarray) -> None:
    explanation = glocal.explain(model_of(Small3d()), video, method="3dcam")
    *early, last = [volume.grid for volume in explanation.layer_volumes.values()]
    assert early == [(32, 43)] * 2
    assert last == (4, 6), "its gradient is the same everywhere"


def test_an_image_network_stores_its_layers_on_their_grids(video: np.ndarray) -> None:
    model = model_of(Small2d(), image=True, frames=1)
    explanation = glocal.explain(model, video, method="layercam", overlap=0)
    grids = [volume.grid for volume in explanation.layer_volumes.values()]
    assert grids == [(32, 43), (16, 21), (8, 11)]


def test_a_volume_of_different_grids_is_read_at_its_size() -> None:
    volume = Volume(levels=255, size=(4, 4))
    for side in (2, 4):
        volume.append(np.ones((side, side), np.float32))
    assert volume.grid == (4, 4)
    assert [maps.shape for maps in volume.on_grid()] == [(2, 4, 4)]
    assert volume[0].shape == (4, 4)

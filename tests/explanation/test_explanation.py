"""What is saved is what was explained, and loads again."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glocal
from glocal.errors import InputError
from glocal.explanation.volume_file import GEOMETRY
from glocal.video import Geometry
from helpers.networks import Small3d, seeded


@pytest.fixture(scope="module")
def explanation() -> Any:
    network = seeded(Small3d()).eval()
    model = glocal.Model(
        "small",
        network,
        {"conv": "relu1", "layer1": "layer1"},
        ("ant", "bee", "<b>cat</b>", "dög", "eel"),
        glocal.ClipSpec(frames=8, short_side=32, size=32, mean=(0.4,) * 3),
    )
    frames = np.random.default_rng(0).integers(0, 255, (13, 40, 56, 3), np.uint8)
    return glocal.explain(model, frames, target="dög", counterfactual=True, method="3dcam")


def test_the_json_is_as_documented(explanation: Any, tmp_path: Path) -> None:
    facts = json.loads(explanation.save(tmp_path, "clip").read_text("utf-8"))
    assert {"glocal", "video", "model", "weights", "method", "aggregate", "layers", "predictions"} <= set(
        facts
    )
    assert facts["video"] == {"path": "array", "width": 56, "height": 40, "fps": 25.0, "frames": 13}
    assert facts["target"] == {"label": "dög", "index": 3, "counterfactual": True}
    assert facts["layers"] == ["conv", "layer1"]
    assert set(facts["predictions"][0]) == {"label", "index", "score"}
    assert [f["frame"] for f in facts["frames"]] == list(range(13))
    assert facts["frames"][1]["time"] == 0.04
    boxes = explanation.boxes(0.5)
    for row, found in zip(facts["frames"], boxes, strict=True):
        assert set(row) == {"frame", "time", "relevance", "relevant", "boxes"}
        assert 0 <= row["relevance"] <= 1
        assert [b["box"] for b in row["boxes"]] == [list(b[:4]) for b in found]
        for x0, y0, x1, y1 in (b["box"] for b in row["boxes"]):
            assert 0 <= x0 < x1 <= 56
            assert 0 <= y0 < y1 <= 40


def test_the_npz_times_its_scale_is_the_attention(explanation: Any, tmp_path: Path) -> None:
    path = explanation.save(tmp_path, "clip").with_suffix(".npz")
    with np.load(path) as arrays:
        assert arrays["attention"].dtype == arrays["layers/conv"].dtype == np.uint8
        assert arrays["attention"].shape == arrays["layers/conv"].shape == (13, 32, 45)
        grid = np.stack(list(explanation.volume))
        assert np.abs(arrays["attention"] * arrays["scale"] - grid).max() <= 0.5 / 255 + 1e-6
        geometry = Geometry(*(tuple(arrays[f"geometry/{name}"].tolist()) for name in GEOMETRY))
    assert geometry == explanation.geometry
    attention = glocal.load_attention(path)
    assert attention.shape == (13, 40, 56)
    assert np.abs(attention - explanation.attention).max() <= 0.5 / 255 + 1e-6


def test_the_maps_of_layers_can_be_left_out(explanation: Any, tmp_path: Path) -> None:
    path = explanation.save(tmp_path, "clip", layer_maps=False)
    with np.load(path.with_suffix(".npz")) as arrays:
        assert set(arrays) == {"attention", "scale", *(f"geometry/{name}" for name in GEOMETRY)}
    loaded = glocal.Explanation.load(path)
    assert loaded.layer_volumes == {}
    assert np.abs(loaded.attention - explanation.attention).max() <= 0.5 / 255 + 1e-6
    assert json.loads(path.read_text("utf-8"))["layers"] == ["conv", "layer1"]
    assert "<html" in glocal.report.page_html(loaded, None)


def test_files_of_the_first_version_still_load(explanation: Any, tmp_path: Path) -> None:
    path = explanation.save(tmp_path, "clip").with_suffix(".npz")
    old = {"attention": np.rint(explanation.attention * 255).astype(np.uint8), "scale": np.float32(1 / 255)}
    with np.load(path) as arrays:
        old |= {"grid/attention": arrays["attention"], "grid_scale/attention": arrays["scale"]}
        for name in ("conv", "layer1"):
            old[f"grid/layers/{name}"] = arrays[f"layers/{name}"]
            old[f"grid_scale/layers/{name}"] = arrays[f"layer_scales/{name}"]
    new, attention = glocal.Explanation.load(path.with_suffix(".json")), glocal.load_attention(path)
    np.savez_compressed(path, **old)
    loaded = glocal.Explanation.load(path.with_suffix(".json"))
    assert np.array_equal(loaded.attention, new.attention)
    assert np.array_equal(loaded.layers["layer1"], new.layers["layer1"])
    assert np.array_equal(glocal.load_attention(path), attention)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"hello"])
def test_what_holds_no_attribution_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    np.savez(tmp_path / "y.npz", attention=np.zeros((2, 3, 4)), scale=1.0)
    for name in ("x.npz", "y.npz", "none.npz"):
        with pytest.raises(InputError, match=name):
            glocal.load_attention(tmp_path / name)


def test_the_npz_can_be_left_out(explanation: Any, tmp_path: Path) -> None:
    explanation.save(tmp_path, "clip", npz=False)
    assert [p.name for p in tmp_path.iterdir()] == ["clip.json"]


def test_save_and_load_round_trip(explanation: Any, tmp_path: Path) -> None:
    loaded = glocal.Explanation.load(explanation.save(tmp_path, "clip"))
    by_maps = glocal.Explanation.load(tmp_path / "clip.npz")
    assert np.array_equal(by_maps.attention[:], loaded.attention[:])
    assert np.abs(loaded.attention - explanation.attention).max() < 0.5 / 255 + 1e-4
    assert list(loaded.layers) == ["conv", "layer1"]
    for name, maps in explanation.layers.items():
        assert np.abs(loaded.layers[name] - maps).max() < 0.004
    for field in (
        "video",
        "model",
        "weights",
        "method",
        "aggregate",
        "predictions",
        "target",
        "geometry",
        "notes",
    ):
        assert getattr(loaded, field) == getattr(explanation, field)


@pytest.mark.parametrize("damage", ["missing", "text", "no npz", "other json", "cut npz"])
def test_what_is_no_explanation_is_one_sentence(explanation: Any, tmp_path: Path, damage: Any) -> None:
    path = explanation.save(tmp_path, "clip")
    npz = path.with_suffix(".npz")
    if damage == "missing":
        path.unlink()
    elif damage == "text":
        path.write_text("hello")
    elif damage == "no npz":
        npz.unlink()
    elif damage == "other json":
        path.write_text("[1, 2]")
    else:
        npz.write_bytes(npz.read_bytes()[:1000])
    with pytest.raises(InputError, match="clip"):
        glocal.Explanation.load(path)


def test_a_folder_that_cannot_be_made_is_one_sentence_and_leaves_nothing(
    explanation: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written \(.*\); choose another folder"):
        explanation.save(tmp_path / "file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_interrupt_leaves_no_half_file(
    explanation: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(glocal.Explanation, "as_dict", interrupt)
    with pytest.raises(KeyboardInterrupt):
        explanation.save(tmp_path / "out", "clip")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["clip.npz"]


def test_it_is_data_with_a_short_repr(explanation: Any) -> None:
    assert repr(explanation) == "<Explanation against 'dög' in 'array': 13 frames, small, 3dcam>"
    assert repr(explanation.volume) == "<Volume of 13 maps 32×45>"
    with pytest.raises(dataclasses.FrozenInstanceError):
        explanation.model = "another"
    moved = explanation.with_path("clip.mp4")
    assert (moved.video.path, moved.video.frames, explanation.video.path) == ("clip.mp4", 13, "array")


def test_files_name_no_folders_of_the_machine(explanation: Any, tmp_path: Path) -> None:
    video = tmp_path / "private" / "clip.mp4"
    video.parent.mkdir()
    video.write_bytes(b"")
    named = dataclasses.replace(
        explanation.with_path(str(video)), weights=f"{tmp_path}/best.pth, new head of 5 classes"
    )
    text = named.save(tmp_path / "out", "clip").read_text("utf-8")
    facts = json.loads(text)
    assert str(tmp_path) not in text
    assert (facts["video"]["path"], facts["weights"]) == ("clip.mp4", "best.pth, new head of 5 classes")
    loaded = glocal.Explanation.load(tmp_path / "out" / "clip.json")
    assert Path(loaded.video.path).samefile(video), "it is looked for where it was, seen from the file"
    full = json.loads(named.save(tmp_path / "out", "full", full_paths=True).read_text("utf-8"))
    assert full["video"]["path"] == str(video)

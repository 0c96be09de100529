"""The localization tables: figures against plain loops, one pass a clip, and resuming."""

import csv
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import glocal
from glocal.benchmark import Sample, sample_measurer
from glocal.benchmark.box_measures import JoinedMeasures, MaxBoxMeasure, PointMeasures
from glocal.benchmark.sample_sets import find_sample_set
from glocal.benchmark.window_maps import WindowMaps
from glocal.cli import main
from glocal.errors import UsageError
from glocal.evaluation import inclusive_boxes
from glocal.evaluation.statistics import bootstrap_statistic
from glocal.localization import auto_threshold, boxes, iou
from glocal.models import Model
from glocal.papers import paper_a, tables
from glocal.papers.localization import paper_explainers, row_name
from helpers.reference_maxbox import max_box_acc
from helpers.video_files import encode

MODEL = "resnext3d-small"
NUMBERS = range(3, 9)


def run(out: Path, table: str, *changes: str, clips: int = 2) -> dict[str, dict[str, str]]:
    """Rows of the CSV by method, of all actors."""
    code = main(
        ["table", table, *changes, "--model", MODEL, "--clips", str(clips), "--out", str(out), "--quiet"]
    )
    assert code == 0
    (file,) = out.glob(f"{table.replace('/', '-')}-*.csv")
    return {row["method"]: row for row in csv.DictReader(file.open()) if not row.get("group")}


@pytest.fixture(autouse=True)
def few_clips_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glocal.benchmark.sample_sets.FITTED", 2)


def samples_of_table(number: int = 2) -> tuple[Model, list[Sample]]:
    torch.manual_seed(0)
    model = glocal.load_model(MODEL)
    return model, find_sample_set(model, "puppets", clips=number, source=MODEL).samples


def attention_of(model: Model, sample: Sample, **how: list[str]) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """By the public road: one window, the frame's own geometry."""
    footage = sample.load()
    target = sample.class_index(model.labels)
    explanation = glocal.explain(
        model, footage.video, target="top1" if target is None else target, method="3dcam", **how
    )
    return explanation.attention, footage.boxes


def test_max_box_acc_is_that_of_the_reference_on_the_explanation(tmp_path: Path) -> None:
    rows = run(tmp_path, "paper-a/6", "refined=false")
    model, clips = samples_of_table()
    for title, how in (("Sum 3DCAM (all layers)", {}), ("3DCAM (layer1)", {"layers": ["layer1"]})):
        maps, truths = [], []
        for sample in clips:
            attention, truth = attention_of(model, sample, **how)
            for frame, true in truth.items():
                maps.append(attention[frame] / max(attention[frame].max(), 1e-30))
                truths.append(inclusive_boxes(true).tolist())
        expected, _ = max_box_acc(maps, truths, (0.3, 0.5, 0.7), False)
        found = [float(rows[title][str(delta)]) for delta in expected]
        assert found == pytest.approx(list(expected.values()), abs=0.06)  # 8 bits of slightly other maps
        average = float(rows[title]["average"])
        assert average == pytest.approx(sum(expected.values()) / len(expected), abs=0.06)


def test_acc_is_that_of_the_boxes(tmp_path: Path) -> None:
    rows = run(tmp_path, "paper-a/4", "refined=false")
    _, clips = samples_of_table()
    hits = []
    for sample in clips:
        footage = sample.load()
        whole = (0, 0, footage.video.width, footage.video.height)
        hits += [max(iou(whole, box) for box in true) >= 0.5 for true in footage.boxes.values()]
    assert float(rows["full frame (trivial)"]["Acc 0.5"]) == np.mean(hits)
    best = max(float(row["Acc 0.5"]) for name, row in rows.items() if "trivial" in name)
    row = rows["Sum 3DCAM (all layers)"]
    assert float(row["over best trivial"]) == pytest.approx(float(row["Acc 0.5"]) - best)
    assert float(row["Acc 0.5 paper"]) == 0.127


def test_one_pass_a_clip_serves_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    true_pass = sample_measurer.explain_window
    monkeypatch.setattr(
        sample_measurer, "explain_window", lambda *args: passes.append(args) or true_pass(*args)
    )
    first = run(tmp_path, "paper-a/3", "refined=false")
    assert len(passes) == 2
    assert {"Grad-CAM (layer4)", "Sum 3DCAM (conv+layer1)", "Auto 3DCAM (all layers)"} < set(first)
    again = run(tmp_path, "paper-a/3", "refined=false")
    run(tmp_path, "paper-a/5", "refined=false")
    run(tmp_path, "paper-a/8", "refined=false")
    assert len(passes) == 2, "tables of the same measures share what is kept"
    assert again == first
    run(tmp_path, "paper-a/3", "refined=false", clips=3)
    assert len(passes) == 3
    run(tmp_path, "paper-a/3", "refined=false", "target=top1", clips=3)
    assert len(passes) == 3, "the best class is explained where the network has no class of the clips"


def test_an_interrupted_table_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_pass, calls = sample_measurer.explain_window, []

    def failing(*args: Any) -> WindowMaps:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return true_pass(*args)

    monkeypatch.setattr(sample_measurer, "explain_window", failing)
    assert (
        main(
            ["table", "paper-a/3", "refined=false", "--model", MODEL, "--clips", "2", "--out", str(tmp_path)]
        )
        == 130
    )
    run(tmp_path, "paper-a/3", "refined=false")
    assert len(calls) == 3


def test_rows_can_be_named(tmp_path: Path) -> None:
    rows = run(tmp_path, "paper-a/6", "methods=gradcam@layer4,layercam/auto", "refine=motion", clips=1)
    assert [name for name in rows if "trivial" not in name] == [
        "Grad-CAM (layer4)",
        "Grad-CAM (layer4) + motion",
        "Auto LayerCAM (all layers)",
        "Auto LayerCAM (all layers) + motion",
    ]


def test_refinements_are_rows_with_gain_and_cost(tmp_path: Path) -> None:
    rows = run(tmp_path, "paper-a/6", clips=1)
    base, row = rows["Auto LayerCAM (all layers)"], rows["Auto LayerCAM (all layers) + flow"]
    assert float(row["gain"]) == pytest.approx(float(row["average"]) - float(base["average"]))
    assert float(row["ms a frame"]) > 0
    assert base["gain"] == ""


def test_small_and_large_actors_are_told_apart(tmp_path: Path) -> None:
    run(tmp_path, "paper-a/6", "refined=false")
    rows = list(csv.DictReader((tmp_path / "paper-a-6-puppets.csv").open()))
    assert [row["group"] for row in rows if row["method"] == "full frame (trivial)"] == [
        "",
        "smaller actors",
        "larger actors",
    ]
    small, large = (row for row in rows if row["method"] == "full frame (trivial)" and row["group"])
    assert float(small["average"]) <= float(large["average"])


def ucf24(root: Path) -> Path:
    """Two clips in the layout of UCF24, a square that moves; one is not there."""
    boxes, frames = [], []
    for t in range(20):
        frame = np.full((240, 320, 3), 60, np.uint8)
        frame[50:150, 40 + 5 * t : 140 + 5 * t] = 220
        frames.append(frame)
        boxes.append([40 + 5 * t, 50, 100, 100])
    clip = {
        "label": 2,
        "numf": 20,
        "annotations": [{"label": 2, "sf": 0, "ef": 20, "boxes": np.array(boxes, np.int16)}],
    }
    names = ["Biking/v_Biking_g01_c01", "Biking/v_Biking_g01_c02", "Biking/v_Biking_g02_c01"]
    (root / "Biking").mkdir(parents=True)
    for name in names[::2]:
        encode(root / f"{name}.avi", frames, codec="mpeg4")
    (root / "pyannot.pkl").write_bytes(pickle.dumps(dict.fromkeys(names, clip)))
    (root / "testlist01.txt").write_text("\n".join(f"{name}.avi" for name in names[:2]))
    return root


def test_ucf24_from_its_own_layout(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = str(ucf24(tmp_path / "data"))
    options = ["--data", "ucf24", "--root", root, "--model", MODEL, "--out", str(tmp_path), "--quiet"]
    assert main(["table", "paper-a/6", "refined=false", *options]) == 0
    rows = {row["method"]: row for row in csv.DictReader((tmp_path / "paper-a-6-ucf24.csv").open())}
    full, fixed = rows["full frame (trivial)"], rows["best fixed centred box (trivial)"]
    assert float(full["0.1"]) == 1  # 10,000 of 76,800 pixels
    assert float(full["0.2"]) == 0
    assert float(fixed["0.3"]) > 0
    assert float(rows["Sum 3DCAM (conv+layer1)"]["average paper"]) == 0.395
    assert "1 of 2" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--data", "ucf24"], 2, "--root"),
        (["target=best"], 2, "true or top1"),
        (["--data", "hmdb51"], 2, "made from"),
        (["--data", "ucf24", "--root", "nowhere"], 1, "nowhere"),
    ],
)
def test_wrong_usage_is_one_sentence(
    arguments: list[str], code: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["table", "paper-a/6", *arguments, "--model", MODEL, "--clips", "1", "--out", str(tmp_path)])
        == code
    )
    error = capsys.readouterr().err
    assert sentence in error


def test_every_localization_table_of_the_paper_is_there() -> None:
    found = tables()
    for number in NUMBERS:
        assert "puppets" in found[f"paper-a/{number}"].data


def names(layers: int) -> dict[str, str]:
    return {f"layer{place}": f"layer{place}" for place in range(layers)}


def test_every_published_row_is_made() -> None:
    layers = names(5)
    made = {row_name(row, list(layers)) for row in paper_explainers(layers, refined=False)}
    for number in NUMBERS:
        assert set(getattr(paper_a, f"TABLE_{number}")) <= made


def test_published_averages_fit_their_rows() -> None:
    """The paper's own averages, within its rounding but for rows that it averaged otherwise."""
    for table in (paper_a.TABLE_6, paper_a.TABLE_7):
        for figures in table.values():
            values = [value for column, value in figures.items() if column != "average"]
            assert np.mean(values) == pytest.approx(figures["average"], abs=0.006)


def test_the_box_of_a_frame_lies_at_the_clips_own_threshold() -> None:
    volume = np.zeros((2, 16, 16), np.float32)
    volume[:, 4:8, 4:10] = 1
    volume[:, 4:8, 10:14] = 0.2
    measure = PointMeasures(("Acc 0.5",), "Acc 0.5")
    count = measure.count(volume, [(0, np.array([[4.0, 4, 10, 8]]))], True)
    assert boxes(volume[0], auto_threshold(volume))[0][:4] == (4, 4, 10, 8)
    assert measure.compute([count]) == {"Acc 0.5": 1.0}


def test_measures_side_by_side_are_those_of_each() -> None:
    maps = np.random.default_rng(0).random((3, 12, 12), np.float32)
    true = [(place, np.array([[2.0, 3, 8, 9]])) for place in range(3)]
    families = (MaxBoxMeasure((0.3, 0.5)), PointMeasures(("hit_max", "Acc 0.5"), "hit_max"))
    both = JoinedMeasures(*families)
    assert both.columns == ("0.3", "0.5", "average", "hit_max", "Acc 0.5")
    assert both.judge == "average"
    found = both.compute([both.count(maps, true, True), both.count(maps[:1], true[:1], False)])
    alone = [f.compute([f.count(maps, true, True), f.count(maps[:1], true[:1], False)]) for f in families]
    assert found == alone[0] | alone[1]


def test_a_users_own_clips_with_boxes(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), np.uint8)
    glocal.video.write_video(tmp_path / "one.mp4", frames, 8)
    (tmp_path / "mine.csv").write_text("path,label\none.mp4,juggling\n")
    (tmp_path / "mine.boxes.csv").write_text(
        "path,frame,x0,y0,x1,y1\n" + "".join(f"one.mp4,{frame},0,0,32,48\n" for frame in range(6))
    )
    options = ["--data", "csv", "--root", str(tmp_path / "mine.csv"), "--out", str(tmp_path), "--quiet"]
    assert main(["table", "paper-a/6", "refined=false", "--model", MODEL, *options]) == 0
    rows = {row["method"]: row for row in csv.DictReader((tmp_path / "paper-a-6-csv.csv").open())}
    full = rows["full frame (trivial)"]
    assert [float(full[delta]) for delta in ("0.3", "0.5", "0.7")] == [1, 1, 0]


def test_frames_that_the_network_did_not_see_are_measured_between_those_that_it_saw(tmp_path: Path) -> None:
    """At 8 of 24 frames a second, frames 0, 3, 6, 9 are seen; the boxes are in 1, and in 11 behind the last."""
    frames = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3), np.uint8)
    glocal.video.write_video(tmp_path / "one.mp4", frames, 24)
    (tmp_path / "mine.csv").write_text("path,label\none.mp4,juggling\n")
    (tmp_path / "mine.boxes.csv").write_text(
        "path,frame,x0,y0,x1,y1\none.mp4,1,0,0,64,48\none.mp4,11,0,0,9,9\n"
    )
    options = ["--data", "csv", "--root", str(tmp_path / "mine.csv"), "--out", str(tmp_path), "--quiet"]
    assert main(["table", "paper-a/6", "refined=false", "--model", "puppets/gated", *options]) == 0
    rows = {row["method"]: row for row in csv.DictReader((tmp_path / "paper-a-6-csv.csv").open())}
    assert float(rows["full frame (trivial)"]["0.5"]) == 0.5


def test_maps_between_two_are_interpolated() -> None:
    maps = np.array([0.0, 1, 3], np.float32)[:, None, None].repeat(2, 2)
    found = sample_measurer._interpolated(maps, np.array([0, 0.25, 1, 1.5, 2]))
    assert found[:, 0, 0].tolist() == [0, 0.25, 1, 2, 3]


XML = """<annotation><size><width>96</width><height>80</height></size>
<object><name>n01440764</name><bndbox><xmin>10</xmin><ymin>20</ymin><xmax>59</xmax><ymax>69</ymax></bndbox></object>
</annotation>"""


def test_images_of_ilsvrc_from_their_own_layout(tmp_path: Path) -> None:
    root = tmp_path / "ILSVRC"
    images, xml = root / "Data/CLS-LOC/val", root / "Annotations/CLS-LOC/val"
    images.mkdir(parents=True)
    xml.mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 256, (80, 96, 3), np.uint8)
    cv2.imwrite(str(images / "ILSVRC2012_val_00000001.JPEG"), picture)
    (xml / "ILSVRC2012_val_00000001.xml").write_text(XML)
    options = ["--data", "ilsvrc", "--root", str(root), "--out", str(tmp_path), "--quiet"]
    assert main(["table", "paper-a/7", "refined=false", *options]) == 0
    rows = {row["method"]: row for row in csv.DictReader((tmp_path / "paper-a-7-ilsvrc.csv").open())}
    full = rows["full frame (trivial)"]
    assert float(full["0.3"]) == 1  # 2,500 of 7,680 pixels
    assert float(full["0.5"]) == 0
    assert float(rows["Sum 3DCAM (layer2+layer3+layer4)"]["average paper"]) == 0.598
    assert float(rows["optical-flow magnitude (trivial)"]["average"]) == 0


@pytest.mark.parametrize("layers", [1, 2, 4, 5])
def test_what_is_refined_has_a_row_without(layers: int) -> None:
    rows = paper_explainers(names(layers), refined=True)
    assert len({row.name for row in rows}) == len(rows)
    assert all(replace(row, refinements=()).name in [other.name for other in rows] for row in rows)


def test_what_is_wrong_with_the_papers_figures_follows_from_them() -> None:
    assert paper_a.TABLE_5[paper_a.MEAN]["Acc2 0.6"] > paper_a.TABLE_4[paper_a.MEAN]["Acc 0.6"]
    assert "cannot be" in paper_a.REMARKS[5][0]
    for row, average in (("3dcam one 0", 0.158), ("3dcam one 2", 0.363), ("3dcam one 3", 0.362)):
        figures = paper_a.TABLE_6[row]
        values = [value for column, value in figures.items() if column != "average"]
        assert round(float(np.mean(values)), 3) == average
        assert f"{average}" in paper_a.REMARKS[6][0]
        assert f"{figures['average']}" in paper_a.REMARKS[6][0]


def test_ilsvrc_takes_the_plain_text_metadata_from_another_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Class numbers become the names of the model's classes, and the true class can be explained."""
    root, metadata = tmp_path / "images", tmp_path / "metadata"
    metadata.mkdir()
    root.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    cv2.imwrite(str(root / "a.JPEG"), noise)
    for name, line in {
        "image_ids": "a.JPEG",
        "class_labels": "a.JPEG,1",
        "image_sizes": "a.JPEG,50,40",
        "localization": "a.JPEG,5,5,30,30",
    }.items():
        (metadata / f"{name}.txt").write_text(f"{line}\n")
    model = glocal.load_model("resnet2d-50", labels=["tench", "goldfish"])
    (sample,) = find_sample_set(model, "ilsvrc", root, annotations=metadata).samples
    assert sample.label == "goldfish"
    assert sample.load().boxes[0].tolist() == [[5, 5, 31, 31]]
    with pytest.raises(UsageError, match="leave out annotations"):
        find_sample_set(model, "surveillance-fight", root, annotations=metadata)


def test_a_figure_that_is_no_mean_gets_its_interval_by_drawing_clips() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    found = bootstrap_statistic(values, lambda drawn: max(drawn) * sum(drawn) / len(drawn), resamples=2000)
    assert found.mean == pytest.approx(4 / 6)
    assert found.low == pytest.approx(2 / 6)
    assert found.high == pytest.approx(1)

"""Exports are opened by readers of their own, and say what was found."""

import contextlib
import io
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from PIL import Image

from glocal.explanation.parts import VideoFacts
from glocal.localization import ClassLocalization, Localization, ScoredBox, Segment, Tube
from glocal.localization.exports import EXPORTS
from glocal.localization.exports.cvat import TOLERANCE, key_frames


def localized(name: str = "walk", label: str = "walk <b>", frames: int = 12) -> Localization:
    boxes = [[ScoredBox(2 * t, 5, 2 * t + 20, 45, 0.5)] for t in range(frames)]
    boxes[3] = []
    tube = Tube(2, tuple(ScoredBox(2 * t, 5, 2 * t + 20, 45, 0.5) for t in range(2, 9)), 0.5)
    last = Tube(8, tuple(ScoredBox(50, 1, 60, 9, 0.2) for _ in range(8, frames)), 0.2)
    segment = Segment(0.25, 1.5, 0.75, label, 2, 12)
    found = ClassLocalization(label, 4, 0.9, 0.35, boxes, (tube, last), (segment,))
    times = (np.arange(frames) / 8).tolist()
    return Localization(name, VideoFacts(f"clips/{name}.mp4", 96, 64, 8.0, len(times)), times, (found,))


def test_coco_is_opened_by_pycocotools(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    videos = [localized("a", "walk"), localized("b", "jump")]
    ((name, text),) = EXPORTS["coco"](videos).items()
    (tmp_path / name).write_text(text, "utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        read = coco.COCO(str(tmp_path / name))
        results = read.loadRes(read.dataset["annotations"])
    assert [c["name"] for c in read.loadCats(read.getCatIds())] == ["jump", "walk"]
    assert len(read.getImgIds()) == 24
    assert len(results.getAnnIds()) == len(read.getAnnIds()) == 22
    (image,) = [i for i in read.loadImgs(read.getImgIds()) if i["file_name"] == "b/000005.jpg"]
    assert (image["width"], image["height"]) == (96, 64)
    (annotation,) = read.loadAnns(read.getAnnIds(imgIds=[image["id"]]))
    assert annotation["bbox"] == [10, 5, 20, 40]
    assert read.loadCats(annotation["category_id"])[0]["name"] == "jump"
    mask = read.annToMask({**annotation, "segmentation": [[10, 5, 30, 5, 30, 45, 10, 45]]})
    assert (mask.sum(), annotation["area"]) == (800, 800)


def test_activitynet_has_the_form_of_its_evaluation_server() -> None:
    ((_, text),) = EXPORTS["activitynet"]([localized("a"), localized("b")]).items()
    answer = json.loads(text)
    assert set(answer) == {"version", "results", "external_data"}
    assert list(answer["results"]) == ["a", "b"]
    for detections in answer["results"].values():
        for detection in detections:
            assert set(detection) == {"label", "score", "segment"}
            start, end = detection["segment"]
            assert 0 <= start < end
    assert answer["results"]["b"] == [{"label": "walk <b>", "score": 0.75, "segment": [0.25, 1.5]}]


def test_pictures_keep_their_names_and_have_no_moments() -> None:
    box = ScoredBox(2, 5, 22, 45, 0.5)
    part = ClassLocalization("walk", 4, 0.9, 0.35, [[box]], (), (Segment(0, 0.04, 0.7, "walk", 0, 1),))
    picture = Localization("still", VideoFacts("/photos/still.PNG", 96, 64, 25.0, 1), [0.0], (part,))
    assert picture.is_image
    assert not localized("a").is_image
    (image,) = json.loads(EXPORTS["coco"]([picture])["coco.json"])["images"]
    assert image["file_name"] == "still.PNG"
    assert set(EXPORTS["yolo"]([picture])) == {"yolo/data.yaml", "yolo/labels/still.txt"}
    assert list(
        json.loads(EXPORTS["activitynet"]([picture, localized("b")])["activitynet.json"])["results"]
    ) == ["b"]
    with pytest.warns(UserWarning, match="label-studio takes videos"):
        files = EXPORTS["label-studio"]([picture, localized("b")])
    (task,) = json.loads(files["label-studio.json"])
    assert task["data"]["video"].endswith("b.mp4")


def read_cvat(text: str) -> list[tuple[str, int, int, np.ndarray]]:
    """The tracks as CVAT reads them: key frames, linear interpolation between, until a box is outside."""
    root = Xml.fromstring(text)
    assert root.findtext("version") == "1.1"
    task = root.find("meta/task")
    assert task.findtext("mode") == "interpolation"
    size = int(task.findtext("size"))
    labels = [label.findtext("name") for label in task.findall("labels/label")]
    tracks = []
    for number, track in enumerate(root.findall("track")):
        assert track.get("id") == str(number)
        assert track.get("label") in labels
        keys = []
        for box in track.findall("box"):
            assert {box.get(flag) for flag in ("keyframe", "outside", "occluded")} <= {"0", "1"}
            assert 0 <= int(box.get("frame")) < size
            corners = [box.get(side) for side in ("xtl", "ytl", "xbr", "ybr")]
            assert all(re.fullmatch(r"\d+\.\d\d", corner) for corner in corners)
            if box.get("keyframe") == "1":
                keys.append((int(box.get("frame")), box.get("outside"), [float(c) for c in corners]))
        frames = [frame for frame, _, _ in keys]
        assert frames == sorted(set(frames))
        assert all(outside == "0" for _, outside, _ in keys[:-1])
        ends = keys[-1][0] if keys[-1][1] == "1" else size
        span = np.arange(frames[0], ends)
        columns = np.array([corners for _, _, corners in keys]).T
        shown = np.stack([np.interp(span, frames, column) for column in columns], 1)
        tracks.append((track.get("label"), frames[0], ends, shown))
    return tracks


def test_cvat_shows_the_tubes() -> None:
    files = EXPORTS["cvat"]([localized("a"), localized("b")])
    assert list(files) == ["a.cvat.xml", "b.cvat.xml"]
    (label, start, end, shown), (_, second, until, _) = read_cvat(files["a.cvat.xml"])
    assert (label, start, end, second, until) == ("walk <b>", 2, 9, 8, 12)
    true = np.array([(2 * t, 5, 2 * t + 20, 45) for t in range(2, 9)])
    assert np.abs(shown - true).max() <= TOLERANCE


def test_key_frames_are_few_and_enough() -> None:
    straight = [ScoredBox(3 * t, 5, 3 * t + 9, 20, 1.0) for t in range(30)]
    assert key_frames(straight) == [0, 29]
    bent = [ScoredBox(3 * abs(t - 12), 5, 3 * abs(t - 12) + 9, 20, 1.0) for t in range(30)]
    assert key_frames(bent) == [0, 12, 29]
    assert key_frames(straight[:1]) == [0]
    rng = np.random.default_rng(0)
    path = rng.integers(-4, 5, (60, 2)).cumsum(0) + 300
    wild = [ScoredBox(x, y, x + 10, y + 10, 1.0) for x, y in path.tolist()]
    keys = key_frames(wild)
    corners = np.array([b[:4] for b in wild])
    drawn = np.stack([np.interp(np.arange(60), keys, column[keys]) for column in corners.T], 1)
    assert np.abs(drawn - corners).max() <= TOLERANCE


def test_a_label_that_xml_cannot_hold() -> None:
    text = EXPORTS["cvat"]([localized("a", "tab\tbell\x07 & <x>")])["a.cvat.xml"]
    assert Xml.fromstring(text).find("track").get("label") == "tab bell  & <x>"


def test_a_name_that_is_no_unicode() -> None:
    for export in EXPORTS.values():
        for text in export([localized("latin1-\udce9")]).values():
            assert text.encode("utf-8")


def test_nothing_found_is_a_valid_file() -> None:
    nothing = ClassLocalization("walk", 0, 0.1, 0.5, [[]] * 3, (), ())
    video = Localization("empty", VideoFacts("empty.mp4", 8, 8, 8.0, 3), (0.0, 0.125, 0.25), (nothing,))
    assert json.loads(EXPORTS["coco"]([video])["coco.json"])["annotations"] == []
    assert json.loads(EXPORTS["activitynet"]([video])["activitynet.json"])["results"] == {"empty": []}
    assert read_cvat(EXPORTS["cvat"]([video])["empty.cvat.xml"]) == []


def moved(frames: int = 12) -> list[Localization]:
    """Two videos, of which one has frames of low relevance and two classes."""
    first, second = localized("a b", "walk", frames), localized("b", "jump", frames)
    (part,) = first.per_class
    quiet = replace(part, is_relevant=[t >= 2 for t in range(frames)])
    other = ClassLocalization("jump", 9, 0.05, 0.35, [[]] * frames, (), ())
    return [replace(first, per_class=(quiet, other)), second]


def test_frames_of_low_relevance_have_no_box_in_exports() -> None:
    coco = json.loads(EXPORTS["coco"](moved())["coco.json"])
    assert len(coco["annotations"]) == 9 + 11
    yolo = EXPORTS["yolo"](moved())
    assert "yolo/labels/a b_000002.txt" in yolo
    assert not {"yolo/labels/a b_000001.txt", "yolo/labels/a b_000003.txt"} & set(yolo)


def test_yolo_is_opened_by_supervision(tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision")
    for name, text in EXPORTS["yolo"](moved()).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    yolo = tmp_path / "yolo"
    (yolo / "images").mkdir()
    for frame, video in itertools.product(range(12), ("a b", "b")):
        Image.new("RGB", (96, 64)).save(yolo / "images" / f"{video}_{frame:06d}.jpg")
    read = supervision.DetectionDataset.from_yolo(
        str(yolo / "images"), str(yolo / "labels"), str(yolo / "data.yaml")
    )
    assert read.classes == ["jump", "walk"]
    boxes = {Path(path).stem: found for path, found in read.annotations.items()}
    assert len(boxes) == 24
    assert boxes["a b_000005"].xyxy == pytest.approx(np.array([[10, 5, 30, 45]]), abs=1e-3)
    assert boxes["a b_000005"].class_id.tolist() == [1]
    assert len(boxes["b_000003"]) == 0


def test_mot_is_opened_by_motmetrics(tmp_path: Path) -> None:
    motmetrics = pytest.importorskip("motmetrics")
    files = EXPORTS["mot"](moved())
    assert list(files) == ["a b.mot.txt", "b.mot.txt"]
    (tmp_path / "a.txt").write_text(files["a b.mot.txt"])
    read = motmetrics.io.loadtxt(str(tmp_path / "a.txt"), fmt="mot15-2D")
    assert len(read) == 7 + 4
    row = read.loc[(6, 1)]
    assert row[["X", "Y", "Width", "Height", "Confidence"]].tolist() == [10, 5, 20, 40, 0.5]
    assert read.loc[12].index.tolist() == [2]


def label_studio_files() -> tuple[list[dict[str, Any]], str]:
    files = EXPORTS["label-studio"](moved())
    return json.loads(files["label-studio.json"]), files["label-studio.xml"]


def test_label_studio_tasks_fit_their_interface_and_its_schema() -> None:
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    tasks, config = label_studio_files()
    reader = interface.LabelInterface(config)
    reader.validate()
    for task in tasks:
        assert reader.validate_task({"data": task["data"]})
        (prediction,) = task["predictions"]
        tracks = [result for result in prediction["result"] if result["type"] != "timelinelabels"]
        assert reader.validate_prediction({**prediction, "result": tracks}, return_errors=True) == []
        moments = [result for result in prediction["result"] if result["type"] == "timelinelabels"]
        for moment in moments:  # the kit has no model of their values, and refuses them all
            control = reader.get_control(moment["from_name"])
            assert (control.tag, control.to_name) == ("TimelineLabels", [moment["to_name"]])
            assert set(moment["value"]["timelinelabels"]) <= set(control.labels)


def test_label_studios_own_converter_reads_the_tracks() -> None:
    video = pytest.importorskip("label_studio_sdk._extensions.label_studio_tools.postprocessing.video")
    (task, _), _ = label_studio_files()
    tracks = [
        r for r in video.extract_key_frames(task["predictions"][0]["result"]) if "sequence" in r["value"]
    ]
    assert len(tracks) == 2
    frames = {entry["frame"]: entry for entry in tracks[0]["value"]["sequence"]}
    assert sorted(frames) == list(range(3, 10)), "frames 2 to 8, counted from 1"
    for frame, entry in frames.items():
        corners = [
            entry[side] * pixels / 100
            for side, pixels in (("x", 96), ("y", 64), ("width", 96), ("height", 64))
        ]
        assert corners == pytest.approx([2 * (frame - 1), 5, 20, 40], abs=TOLERANCE)
    assert max(entry["frame"] for entry in tracks[1]["value"]["sequence"]) == 12


def test_label_studio_gets_moments_and_the_videos_name() -> None:
    (task, other), config = label_studio_files()
    assert task["data"] == {"video": "/data/local-files/?d=a%20b.mp4"}
    (moment,) = [r for r in task["predictions"][0]["result"] if r["type"] == "timelinelabels"]
    assert moment["value"] == {"ranges": [{"start": 3, "end": 12}], "timelinelabels": ["walk"]}
    assert [label.get("value") for label in Xml.fromstring(config).iter("Label")] == ["jump", "walk"] * 2
    assert other["predictions"][0]["score"] == 0.9

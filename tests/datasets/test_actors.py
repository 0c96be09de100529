"""UCF24 and JHMDB: a box for every actor in every frame."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from glocal.datasets import DATASETS, jhmdb, ucf24
from glocal.errors import InputError, UsageError
from glocal.localization import iou
from glocal.video import read_video
from helpers.dataset_files import CLIP, write_jhmdb, write_ucf24
from helpers.moving_squares import square


def test_the_annotations_of_ucf24_hold_what_is_published(shared: Path) -> None:
    clips = ucf24.read_annotations(shared / "annotations" / "ucf24" / "pyannot.pkl")
    assert len(clips) == 3194
    assert {clip.label for clip in clips.values()} == set(ucf24.CLASSES)
    assert len(ucf24.CLASSES) == 24
    assert sum(len(clip.tubes) for clip in clips.values()) == 4458
    assert sum(len(tube) for clip in clips.values() for tube in clip.tubes) == 573_862
    juggling = clips["SoccerJuggling/v_SoccerJuggling_g23_c01"]
    truth = json.loads((shared / "clips" / "ucf24" / "v_SoccerJuggling_g23_c01.boxes.json").read_text())
    assert juggling.frames == 240
    (tube,) = juggling.tubes
    assert [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in tube.values()] == truth["boxes"]
    assert list(tube) == list(range(truth["start"], truth["end"]))


def test_both_files_of_ucf24_say_the_same(shared: Path) -> None:
    folder = shared / "annotations" / "ucf24"
    assert ucf24.read_annotations(folder / "pyannot.pkl") == ucf24.read_annotations(
        folder / "finalAnnots.mat"
    )


def test_the_full_frame_scores_on_ucf24_what_is_known(shared: Path) -> None:
    folder = shared / "annotations" / "ucf24"
    records = DATASETS["ucf24"].list_records(folder, "test", fold=1)
    assert len(records) == 910
    assert len(DATASETS["ucf24"].list_records(folder, "train", fold=1)) == 3194 - 910
    area = np.array(
        [
            max((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes)
            for record in records
            for boxes in record.boxes.values()
        ]
    )
    assert len(area) == 138_527
    scores = [float((area / (320 * 240) >= d).mean()) for d in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)]
    assert scores == pytest.approx([0.781, 0.597, 0.318, 0.137, 0.065, 0.027], abs=5e-4)


def test_the_boxes_of_jhmdb_give_what_is_known(shared: Path) -> None:
    file = shared / "annotations" / "jhmdb" / "boxes-split1-test.json"
    records = DATASETS["jhmdb"].list_records(shared, "test", annotations=file)
    assert len(records) == 268
    assert all(record.label in record.path.name for record in records)
    assert {record.label for record in records} == set(jhmdb.CLASSES)
    boxes = [box for record in records for found in record.boxes.values() for box in found]
    assert len(boxes) == 9126
    overlaps = np.array([iou((0, 0, 320, 240), box) for box in boxes])
    assert (overlaps >= 0.5).mean() == pytest.approx(0.104, abs=5e-4)
    assert (overlaps >= 0.6).mean() == pytest.approx(0.078, abs=5e-4)
    assert min(min(record.boxes) for record in records) == 0


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64])
def test_boxes_of_ucf24_are_converted_without_overflow(tmp_path: Path, kind: type) -> None:
    write_ucf24(tmp_path, kind)
    (record,) = DATASETS["ucf24"].read(tmp_path, "test")
    assert record.boxes == {3: ((200, 100, 300, 220),), 4: ((210, 100, 310, 220), (100, 50, 150, 110))}
    assert (record.label, record.frames, record.size) == ("Basketball", 10, (320, 240))
    assert read_video(record.path).frames == 10
    (other,) = DATASETS["ucf24"].read(tmp_path, "train")
    assert (other.label, other.frames, other.tubes) == ("Biking", None, ())


def test_ucf24_finds_its_files_where_they_are_published(tmp_path: Path) -> None:
    write_ucf24(tmp_path)
    (tmp_path / "splitfiles").mkdir()
    (tmp_path / "ucfTrainTestlist").mkdir()
    (tmp_path / "pyannot.pkl").rename(tmp_path / "splitfiles" / "pyannot.pkl")
    (tmp_path / "testlist01.txt").unlink()
    (tmp_path / "ucfTrainTestlist" / "testlist01.txt").write_text(f"{CLIP}.avi\n")
    assert [r.label for r in DATASETS["ucf24"].read(tmp_path, "test")] == ["Basketball"]
    file = tmp_path / "splitfiles" / "pyannot.pkl"
    assert len(DATASETS["ucf24"].read(tmp_path, "test", annotations=file)) == 1


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (CLIP, {"ef": 9}, r"pyannot\.pkl, key 'Basketball.*frames 3 to 9 with boxes of shape \(2, 4\)"),
        (CLIP, {"sf": "a"}, r"pyannot\.pkl, key 'Basketball"),
        (CLIP, {"boxes": "none"}, "expected label, numf and annotations"),
        ("../../etc/v_x", {}, r"pyannot\.pkl, key '\.\./\.\./etc/v_x'"),
        ("../v_.._x", {}, "must be the name of a file below"),
    ],
)
def test_annotations_of_ucf24_that_do_not_fit_are_named(
    tmp_path: Path, name: str, change: dict[str, object], message: str
) -> None:
    tube = {"label": 0, "sf": 3, "ef": 5, "boxes": np.ones((2, 4), np.uint8), **change}
    content = {name: {"label": 0, "numf": 9, "annotations": [tube]}}
    (tmp_path / "pyannot.pkl").write_bytes(pickle.dumps(content, 3))
    (tmp_path / "testlist01.txt").write_text("")
    with pytest.raises(InputError, match=message):
        DATASETS["ucf24"].list_records(tmp_path, "train")


def test_boxes_of_jhmdb_are_tight_around_the_mask(tmp_path: Path) -> None:
    write_jhmdb(tmp_path)
    (record,) = DATASETS["jhmdb"].read(tmp_path, "test", fold=2)
    assert (record.path.name, record.label) == ("two_jump", "jump")
    assert record.boxes == {t: ((2 + t, 5, 10 + t, 9),) for t in range(3)}
    assert (record.size, record.frames) == ((32, 32), 4)
    video = read_video(record.path, record.fps)
    assert video.frames == 4
    assert np.array_equal(video[2], square("move right", 1, frames=4)[2])
    (plain,) = DATASETS["jhmdb"].read(tmp_path, "train", boxes=False)
    assert (plain.path.name, plain.tubes) == ("one_jump", ())


def test_a_clip_without_a_sound_mask_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_jhmdb(tmp_path)
    mask = tmp_path / "puppet_mask" / "jump" / "two_jump" / "puppet_mask.mat"
    whole = mask.read_bytes()
    for content in (b"", whole[:200], b"nonsense" * 40):
        mask.write_bytes(content)
        with pytest.raises(InputError, match=r"puppet_mask\.mat.*1 of 1 items cannot be used"):
            DATASETS["jhmdb"].read(tmp_path, "test")
    scipy.io.savemat(mask, {"other": np.zeros(3)})
    with pytest.raises(InputError, match="holds 'part_mask'"):
        DATASETS["jhmdb"].read(tmp_path, "test")
    mask.unlink()
    list_ = tmp_path / "splits" / "jump_test_split1.txt"
    list_.write_text("one_jump.avi 2\ntwo_jump.avi 2\n")
    assert [record.path.name for record in DATASETS["jhmdb"].read(tmp_path, "test")] == ["one_jump"]
    assert "1 of 2 items cannot be used and are left out" in caplog.text
    assert str(mask) in caplog.text
    with pytest.raises(InputError, match=r"puppet_mask\.mat cannot be read"):
        DATASETS["jhmdb"].read(tmp_path, "test", strict=True)


def test_lists_and_boxes_of_jhmdb_that_do_not_fit_are_named(tmp_path: Path) -> None:
    write_jhmdb(tmp_path)
    list_ = tmp_path / "splits" / "jump_test_split1.txt"
    for line in ("one_jump.avi 3", "one_jump.avi", "../../../etc/passwd 1", "/etc/passwd 1"):
        list_.write_text(f"\n{line}\n")
        with pytest.raises(
            InputError, match=r"jump_test_split1\.txt, line 2|must be the name of a file below"
        ):
            DATASETS["jhmdb"].list_records(tmp_path, "train", boxes=False)
    boxes = tmp_path / "boxes.json"
    for text, message in (
        ('{"a": {"label": 0, "boxes": {}}}', "key 'a': expected a label from 1 to 21"),
        ('{"a": {"label": 1, "boxes": {"0": [[0, 0, 1, 1]]}}}', "frame 0"),
        ('{"a": {"label": 1, "boxes": {"1": [[0, 0, 1]]}}}', "key 'a'"),
        ('{"a": {"label": 1, "boxes": {"1": []}}}', "key 'a'"),
        ("[]", "must hold a dict"),
        ("{}", "lists no clips"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ):
        boxes.write_text(text)
        with pytest.raises(InputError, match=message):
            DATASETS["jhmdb"].list_records(tmp_path, "test", annotations=boxes)
    with pytest.raises(UsageError, match=r"fold must be one of 1, 2, 3, not 4"):
        DATASETS["jhmdb"].list_records(tmp_path, "test", fold=4)
    with pytest.raises(
        UsageError, match=r"split must be one of train, test, not 'tests'\. Did you mean 'test'"
    ):
        DATASETS["jhmdb"].list_records(tmp_path, "tests")

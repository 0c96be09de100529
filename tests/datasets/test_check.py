"""What `glocal datasets check` finds in a copy with planted faults, and what it leaves alone."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from glocal.cli import main
from glocal.datasets import DATASETS
from glocal.datasets.check import check_dataset
from glocal.datasets.puppets import Puppets, export
from glocal.errors import InputError, UsageError
from glocal.video import write_video
from helpers.dataset_files import CLIP, film, put, write_jhmdb, write_ucf24, write_ucf101
from helpers.moving_squares import square, write_squares

SOUND = {"annotations": 0, "missing": 0, "broken": 0, "mislabelled": 0, "unchecked": 0, "extra": 0}


def test_a_sound_copy_is_sound(tmp_path: Path) -> None:
    write_ucf101(tmp_path)
    report = check_dataset(DATASETS["ucf101"], tmp_path, decode=True, fold=1)
    assert report.counts == SOUND
    assert (report.items, report.files, report.passed) == (3, 3, True)
    report = check_dataset(DATASETS["ucf101"], tmp_path)
    assert report.counts == {**SOUND, "unchecked": 4}
    assert report.passed


def test_planted_faults_are_found_each_in_its_kind(tmp_path: Path) -> None:
    write_ucf101(tmp_path)
    (tmp_path / "Archery" / "v_Archery_g01_c01.avi").rename(tmp_path / "Biking" / "v_Archery_g01_c01.avi")
    (tmp_path / "Biking" / "v_Biking_g01_c01.avi").unlink()
    (tmp_path / "Biking" / "v_Biking_g02_c01.avi").write_bytes(b"")
    film(tmp_path / "Biking" / "other.avi")
    film(tmp_path / "Biking" / ".hidden.avi")
    put(tmp_path / "Biking" / "notes.txt", "")
    report = check_dataset(DATASETS["ucf101"], tmp_path, fold=1)
    assert not report.passed
    assert {(problem.kind, Path(problem.path).name) for problem in report.problems} == {
        ("mislabelled", "v_Archery_g01_c01.avi"),
        ("missing", "v_Biking_g01_c01.avi"),
        ("broken", "v_Biking_g02_c01.avi"),
        ("extra", "other.avi"),
    }
    (misplaced,) = [f for f in report.problems if f.kind == "mislabelled"]
    assert misplaced.message == f"it should lie in {tmp_path / 'Archery'}."


def test_damage_is_found_by_decoding(tmp_path: Path) -> None:
    write_ucf101(tmp_path)
    whole = (tmp_path / "Biking" / "v_Biking_g01_c01.avi").read_bytes()
    (tmp_path / "Biking" / "v_Biking_g01_c01.avi").write_bytes(b"nonsense" * 100)
    (tmp_path / "Biking" / "v_Biking_g02_c01.avi").write_bytes(whole[: len(whole) // 2])
    assert check_dataset(DATASETS["ucf101"], tmp_path, fold=1).passed
    report = check_dataset(DATASETS["ucf101"], tmp_path, decode=True, fold=1)
    broken = {Path(f.path).name for f in report.problems if f.kind == "broken"}
    assert broken == {"v_Biking_g01_c01.avi", "v_Biking_g02_c01.avi"}


def test_boxes_and_spans_outside_of_the_video_are_found(tmp_path: Path) -> None:
    write_ucf24(tmp_path)
    report = check_dataset(DATASETS["ucf24"], tmp_path, fold=1)
    assert report.counts == SOUND
    decoded = [f.message for f in check_dataset(DATASETS["ucf24"], tmp_path, decode=True, fold=1).problems]
    assert "it has 64×64 pixels, not 320×240 as annotated." in decoded
    assert "boxes are empty or reach beyond the picture in 2 frames, first in frame 3." in decoded

    tube = {"label": 0, "sf": 9, "ef": 11, "boxes": np.array([[300, 0, 21, 9], [0, 0, 0, 5]], np.int32)}
    content = {CLIP: {"label": 0, "numf": 10, "annotations": [tube]}}
    (tmp_path / "pyannot.pkl").write_bytes(pickle.dumps(content, 3))
    found = [
        f.message
        for f in check_dataset(DATASETS["ucf24"], tmp_path, fold=1).problems
        if f.kind == "mislabelled"
    ]
    assert found == [
        "boxes are empty or reach beyond the picture in 2 frames, first in frame 9.",
        "it has 10 frames, but a box in frame 10.",
    ]


def test_spans_beyond_the_end_are_found(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", square("move up", 0, frames=10), 10)
    put(tmp_path / "clips.csv", "path,label,start,end\na.mp4,x,0,1\na.mp4,y,0.5,9\na.mp4,z,2,\n")
    report = check_dataset(DATASETS["csv"], tmp_path / "clips.csv", decode=True)
    assert (report.items, report.files) == (3, 1)
    assert [f.message for f in report.problems] == [
        "it ends after 1.00 seconds, but 'y' goes from 0.5 to 9.",
        "it ends after 1.00 seconds, but 'z' goes from 2 to inf.",
    ]


def test_labels_that_the_data_set_does_not_have_are_found(tmp_path: Path) -> None:
    write_ucf24(tmp_path)
    content = {"Flying/v_Flying_g01_c01": {"label": 0, "numf": 9, "annotations": []}}
    (tmp_path / "pyannot.pkl").write_bytes(pickle.dumps(content, 3))
    found = [f.message for f in check_dataset(DATASETS["ucf24"], tmp_path, fold=1).problems]
    assert "'Flying' is not a class of ucf24." in found


def test_broken_masks_and_empty_folders_of_frames_are_found(tmp_path: Path) -> None:
    write_jhmdb(tmp_path)
    assert check_dataset(DATASETS["jhmdb"], tmp_path, decode=True).counts == SOUND
    (tmp_path / "puppet_mask" / "jump" / "one_jump" / "puppet_mask.mat").write_bytes(b"x")
    for frame in (tmp_path / "Rename_Images" / "jump" / "two_jump").iterdir():
        frame.unlink()
    report = check_dataset(DATASETS["jhmdb"], tmp_path)
    assert report.counts == {**SOUND, "annotations": 1, "broken": 1}


def test_any_folder_is_a_split_of_ones_own_clips(tmp_path: Path) -> None:
    write_squares(tmp_path, "mine", 1)
    report = check_dataset(DATASETS["folder"], tmp_path, decode=True)
    assert (report.counts, report.files) == (SOUND, 4)


def test_annotations_that_do_not_fit_are_a_finding_and_a_wrong_root_an_error(tmp_path: Path) -> None:
    export(Puppets("test", 1, size=32, frames=5), tmp_path, masks=False)
    assert check_dataset(DATASETS["puppets"], tmp_path).counts == {**SOUND, "unchecked": 2}
    put(tmp_path / "val.json", "[")
    assert check_dataset(DATASETS["puppets"], tmp_path).counts == {**SOUND, "unchecked": 1, "annotations": 1}
    (tmp_path / "empty").mkdir()
    assert not check_dataset(DATASETS["puppets"], tmp_path / "empty").passed
    with pytest.raises(InputError, match="does not exist"):
        check_dataset(DATASETS["puppets"], tmp_path / "none")
    with pytest.raises(UsageError, match="'puppets' has no option 'fold'"):
        check_dataset(DATASETS["puppets"], tmp_path, fold=1)
    with pytest.raises(UsageError, match=r"unknown data set 'ucf25'.*Did you mean 'ucf24'"):
        DATASETS["ucf25"]


def test_the_command_lists_checks_and_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["hmdb51"]["folds"] == [1, 2, 3]
    assert main(["datasets"]) == 0
    assert set(rows) <= set(capsys.readouterr().out.split())

    out = tmp_path / "puppets"
    export_ = ["datasets", "export", "puppets", "--out", str(out), "--count", "2", "--size", "48x32"]
    assert main([*export_, "--frames", "6", "--fps", "5", "--no-masks"]) == 0
    records = DATASETS["puppets"].read(out, "test")
    assert [(r.size, r.frames) for r in records] == [((48, 32), 6)] * 2
    assert main(export_) == 2
    assert "holds an export of 'test' already" in capsys.readouterr().err
    assert main(["datasets", "check", "puppets", str(out), "--decode"]) == 0
    assert "2 items in 2 files: 0 annotations, 0 missing" in capsys.readouterr().out

    records[0].path.unlink()
    assert main(["datasets", "check", "puppets", str(out), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["counts"]["missing"] == 1
    assert [f["path"] for f in said["findings"] if f["kind"] == "missing"] == [str(records[0].path)]
    assert main(["datasets", "check", "puppet", str(out)]) == 2

    long = ["datasets", "export", "puppets", "--out", str(tmp_path / "long"), "--untrimmed"]
    assert main([*long, "--count", "1", "--size", "32", "--split", "val", "--quiet"]) == 0
    assert len(DATASETS["puppets"].read(tmp_path / "long", "val")) >= 2
    assert main([*long, "--frames", "9"]) == 2
    assert main(["datasets", "export", "puppets", "--out", str(tmp_path / "x"), "--size", "big"]) == 2

"""Every data set is a source of clips for training."""

import os
from pathlib import Path

import numpy as np
import pytest

from glocal.datasets import DATASETS
from glocal.errors import InputError, UsageError
from glocal.training import sources
from glocal.training.sources import SOURCES, open_source
from glocal.video import read_video
from glocal.video.video import Video
from helpers.dataset_files import film, put, write_ilsvrc, write_jhmdb, write_ucf24, write_ucf101


def test_all_data_sets_are_sources() -> None:
    assert set(SOURCES) == {*DATASETS, "puppet-transitions"}


def test_a_fold_and_a_split_are_chosen_in_the_recipe(tmp_path: Path) -> None:
    write_ucf101(tmp_path)
    options = {"source": "ucf101", "root": str(tmp_path), "split": "test", "fold": 1}
    source = open_source(options, "data.test", labels=["Archery", "Biking"])
    assert (len(source), source.label(0), len(source.times(0))) == (1, "Biking", 10)
    assert source.read(0, np.array([3]))[0].shape == (32, 32, 3)
    for change, message in (
        ({"fold": 4}, r"data\.test: fold must be one of 1, 2, 3, not 4"),
        ({"fold": "one"}, r"data\.test\.fold must be a whole number"),
        ({"folds": 1}, r"data\.test has no key 'folds'.*Did you mean 'fold'"),
        ({"split": "val"}, r"data\.test: split must be one of train, test, not 'val'"),
        ({"kept": "yes"}, r"data\.test\.kept must be true or false"),
        ({"source": "ucf11"}, r"data\.test\.source must be one of .*Did you mean 'ucf101'"),
    ):
        with pytest.raises(UsageError, match=message):
            open_source({**options, **change}, "data.test")
    with pytest.raises(UsageError, match=r"data\.test lacks the key 'root'"):
        open_source({"source": "ucf101"}, "data.test")
    with pytest.raises(InputError, match=r"classInd\.txt cannot be read"):
        open_source({"source": "ucf101", "root": str(tmp_path / "none")}, "data.test")


def test_frames_images_and_videos_are_sources_alike(tmp_path: Path) -> None:
    write_jhmdb(tmp_path / "jhmdb")
    (tmp_path / "jhmdb" / "puppet_mask").rename(tmp_path / "masks")  # training needs none
    write_ucf24(tmp_path / "ucf24")
    write_ilsvrc(tmp_path)
    put(tmp_path / "thumos" / "annotation" / "Diving_val.txt", "video_validation_0000007 0.08 0.2\n")
    film(tmp_path / "thumos" / "video_validation_0000007.mp4")
    for options, frames, label in (
        ({"source": "jhmdb", "root": str(tmp_path / "jhmdb"), "fold": 3}, 4, "jump"),
        ({"source": "ucf24", "root": str(tmp_path / "ucf24"), "split": "test"}, 10, "Basketball"),
        ({"source": "ilsvrc", "root": str(tmp_path)}, 1, "n01440764"),
        ({"source": "thumos14", "root": str(tmp_path / "thumos")}, 3, "Diving"),
    ):
        source = open_source(options, "data.train")
        assert (len(source), len(source.times(0)), source.label(0)) == (1, frames, label)
    assert open_source({"source": "jhmdb", "root": str(tmp_path / "jhmdb")}, "x").times(0)[
        1
    ] == pytest.approx(1 / 30)


def test_missing_clips_are_named_up_to_a_point_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film(tmp_path / "here.mp4")
    rows = "".join(f"gone{i}.mp4,a\n" for i in range(30))
    table = put(tmp_path / "clips.csv", f"path,label\nhere.mp4,a\n{rows}")
    assert len(open_source({"source": "csv", "path": str(table)}, "data.train")) == 1
    assert caplog.text.count("is missing") == 10
    assert "30 of 31 clips cannot be read and are left out" in caplog.text


def test_a_video_is_decoded_once_for_all_runs_of_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(tmp_path / "a.mp4")
    table = put(tmp_path / "clips.csv", "path,label\na.mp4,a\n")
    paths: list[Path] = []

    def counted(path: Path, fps: float | None) -> Video:
        paths.append(path)
        return read_video(path, fps)

    monkeypatch.setattr(sources, "read_video", counted)
    for _ in range(2):
        assert len(open_source({"source": "csv", "path": str(table)}, "data.train").times(0)) == 10
    assert paths == [tmp_path / "a.mp4"]
    os.utime(tmp_path / "a.mp4", (1, 1))
    open_source({"source": "csv", "path": str(table)}, "data.train")
    assert len(paths) == 2


def test_the_folds_of_the_fights_are_rows_of_their_table(shared: Path) -> None:
    root = shared / "datasets" / "surveillance-fight"
    list_records = SOURCES["csv"]
    rows = list_records(root / "clips.csv", only={"fold": [0, 2, 3, 4]})
    assert {r.path for r in rows} == {
        r.path for r in DATASETS["surveillance-fight"].list_records(root, "train", fold=1)
    }

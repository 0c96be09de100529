"""Puppets as files, and contact sheets of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from glocal.datasets.puppets import Puppets, UntrimmedPuppets, contact_sheet, export
from glocal.errors import InputError
from glocal.video import read_video


def test_exported_clips_read_back_with_their_truth(tmp_path: Path) -> None:
    clips = Puppets("test", 3, size=(48, 64), frames=10, fps=5.0, distractor="acting")
    annotations = json.loads(export(clips, tmp_path).read_text())
    assert annotations["actions"] == list(clips.actions)
    assert len(annotations["clips"]) == 3
    for clip, record in zip(clips, annotations["clips"], strict=True):
        path = tmp_path / record["file"]
        assert path.parent.name == clip.action.replace(" ", "_")
        assert (record["label"], record["start"], record["end"]) == (clip.label, *clip.span)
        for actor, truth in zip(clip.actors, record["actors"], strict=True):
            assert truth["boxes"] == actor.boxes.tolist()
            assert truth["actions"][0]["action"] == actor.action
        video = read_video(path)
        frames = np.stack(list(video))
        assert frames.shape == clip.frames.shape
        assert video.fps == pytest.approx(5.0)
        assert np.abs(frames.astype(int) - clip.frames).mean() < 6
        with np.load(path.with_suffix(".npz")) as masks:
            np.testing.assert_array_equal(masks["parts"], clip.parts)
            limbs = annotations["parts"]
            figure = np.isin(
                masks["parts"], [number for name in limbs if name != "thing" for number in limbs[name]]
            )
            np.testing.assert_array_equal(figure, clip.actors[0].mask)


def test_exported_untrimmed_videos_list_their_segments(tmp_path: Path) -> None:
    videos = UntrimmedPuppets("val", 1, size=32, actions_per_video=(2, 3), cuts=1.0)
    annotations = json.loads(export(videos, tmp_path, masks=False).read_text())
    (record,) = annotations["videos"]
    video = videos[0]
    assert [segment["action"] for segment in record["segments"]] == [
        segment.action for segment in video.segments
    ]
    assert record["cuts"] == list(video.cuts)
    assert read_video(tmp_path / record["file"]).frames == record["frames"] == len(video.frames)
    assert not list(tmp_path.rglob("*.npz"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        export(Puppets("test", 1, size=32), tmp_path / "file")


def test_a_contact_sheet_has_a_row_for_each_clip_and_marks_the_truth() -> None:
    clips = [Puppets("test", 9, size=48)[index] for index in (2, 5, 8)]
    plain, marked = (contact_sheet(clips, columns=4, truth=truth) for truth in (False, True))
    assert plain.shape == marked.shape == (3 * (16 + 50), 4 * 50, 3)
    assert (plain != marked).any()
    assert contact_sheet(clips[:1], columns=4, height=96).shape == (16 + 98, 4 * 98, 3)

"""Animated pictures and streams of pictures are videos."""

import contextlib
import io
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from glocal.errors import GlocalError
from glocal.video import read_video
from helpers.video_files import number, numbered

COUNT = 12
DURATIONS = [100] * 6 + [50] * 6
"""Milliseconds for which each frame is shown."""

OPTIONS = {"webp": {"lossless": True}, "gif": {}, "png": {}}


def animate(suffix: str) -> bytes:
    pictures = [PIL.Image.fromarray(numbered(index)) for index in range(COUNT)]
    file = io.BytesIO()
    pictures[0].save(
        file, suffix, save_all=True, append_images=pictures[1:], duration=DURATIONS, loop=0, **OPTIONS[suffix]
    )
    return file.getvalue()


@pytest.mark.parametrize("suffix", OPTIONS)
def test_animated_pictures_are_videos_with_their_times(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(animate(suffix))
    for source in (path, path.read_bytes()):
        video = read_video(source)
        assert not video.is_image
        assert (video.width, video.height, video.frames, video.notes) == (64, 48, COUNT, [])
        assert [number(frame) for frame in video] == list(range(COUNT))
        assert number(video[7]) == 7
        assert [number(frame) for frame in video.frames_at([1, 1, 9])] == [1, 1, 9]
        np.testing.assert_allclose(video.times, np.cumsum([0, *DURATIONS[:-1]]) / 1000)
        assert 13 < video.fps < 15


def test_a_picture_that_is_not_animated_stays_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    PIL.Image.fromarray(numbered(5)).save(path, lossless=True)
    video = read_video(path)
    assert video.is_image
    assert number(video[0]) == 5


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_damaged_animation_is_one_sentence_or_a_video(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.webp"
    data = animate("webp")
    path.write_bytes(data[: int(len(data) * share)])
    with contextlib.suppress(GlocalError):
        assert len(list(read_video(path))) == read_video(path).frames


@pytest.mark.parametrize("count", [2, 3, COUNT])
@pytest.mark.parametrize("suffix", [".mjpeg", ".avi"])
def test_pictures_that_follow_one_another_are_a_video(tmp_path: Path, count: int, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"".join(jpeg(index) for index in range(count)))
    video = read_video(path)
    frames = list(video)
    assert not video.is_image
    assert [number(frame) for frame in frames] == list(range(count))
    assert np.allclose(video.times, np.arange(count) / 25)
    assert all(np.array_equal(video[index], frame) for index, frame in enumerate(frames))


def test_a_photo_that_holds_further_pictures_is_an_image(tmp_path: Path) -> None:
    preview = tmp_path / "preview.jpg"
    preview.write_bytes(jpeg(3) + cv2.imencode(".jpg", numbered(1, 24, 32))[1].tobytes())
    stereo = tmp_path / "stereo.jpg"
    pictures = [PIL.Image.fromarray(numbered(index)) for index in (3, 4)]
    pictures[0].save(stereo, "MPO", save_all=True, append_images=pictures[1:])
    trailer = tmp_path / "trailer.jpg"
    trailer.write_bytes(jpeg(3) + b"SEFT" * 100)
    for path in (preview, stereo, trailer):
        video = read_video(path)
        assert (video.is_image, video.frames, number(video[0])) == (True, 1, 3)


def jpeg(index: int) -> bytes:
    return bytes(cv2.imencode(".jpg", numbered(index))[1].tobytes())

"""Videos whose frames are kept: decoded once while they fit into memory, the same frames in any case."""

from pathlib import Path

import numpy as np
import pytest

from glocal.video import read_video
from glocal.video.container import ContainerVideo
from glocal.video.kept import KeptVideo
from helpers.video_files import encode, number, numbered

FRAMES = 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return encode(tmp_path / "a.mp4", map(numbered, range(FRAMES)))


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    converted: list[int] = []
    to_rgb = ContainerVideo._to_rgb
    monkeypatch.setattr(
        ContainerVideo, "_to_rgb", lambda self, frame: converted.append(1) or to_rgb(self, frame)
    )
    return converted


def test_every_frame_is_converted_once(path: Path, conversions: list[int]) -> None:
    video = KeptVideo(read_video(path))
    for _ in range(3):
        assert [number(frame) for frame in video] == list(range(FRAMES))
    assert [number(frame) for frame in video.frames_at([3, 3, 17])] == [3, 3, 17]
    assert number(video[-1]) == FRAMES - 1
    assert len(conversions) == FRAMES
    video.release()
    assert number(video[5]) == 5
    assert len(conversions) == FRAMES + 1


def test_what_is_known_of_the_video_is_the_same(path: Path) -> None:
    plain, video = read_video(path), KeptVideo(read_video(path))
    assert video.expected_frames == plain.expected_frames == FRAMES
    assert np.array_equal(video.times, plain.times)
    for name in ("path", "name", "width", "height", "fps", "sample_aspect_ratio", "is_image", "notes"):
        assert getattr(video, name) == getattr(plain, name)


@pytest.mark.parametrize("declared", [None, 1, FRAMES])
def test_a_video_that_is_too_long_is_decoded_again(
    path: Path, conversions: list[int], monkeypatch: pytest.MonkeyPatch, declared: int | None
) -> None:
    monkeypatch.setattr(ContainerVideo, "expected_frames", declared)
    video = KeptVideo(read_video(path), max_bytes=7 * 48 * 64 * 3)
    for _ in range(2):
        assert [number(frame) for frame in video] == list(range(FRAMES))
    assert len(conversions) == 2 * FRAMES
    assert number(video[9]) == 9


def test_a_pass_that_stops_early_keeps_nothing(path: Path, conversions: list[int]) -> None:
    video = KeptVideo(read_video(path))
    assert number(next(iter(video))) == 0
    assert [number(frame) for frame in video] == list(range(FRAMES))
    assert len(conversions) == 1 + FRAMES

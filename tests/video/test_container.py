"""Video files come out whole, upright, in order and on time."""

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from glocal.errors import GlocalError, InputError, UsageError
from glocal.video import read_video, write_video
from glocal.video.container import _Clock
from helpers.video_files import encode, number, numbered

COUNT = 40
QUARTERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)


@pytest.fixture
def noisy() -> list[np.ndarray]:
    """Numbered frames that no decoder gets right by accident."""
    random = np.random.default_rng(0)
    return [(numbered(i) * 0.7 + random.integers(0, 76, (48, 64, 3))).astype(np.uint8) for i in range(COUNT)]


FILES = {
    "B-frames in MP4": ("a.mp4", {"b_frames": 3}),
    "open groups of pictures": (
        "a.mp4",
        {"b_frames": 3, "x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0"},
    ),
    "intra refresh": ("a.mp4", {"x264-params": "intra-refresh=1:keyint=12"}),
    "H.264 in AVI, which knows no presentation times": ("a.avi", {"b_frames": 3}),
    "MPEG-4 in AVI": ("a.avi", {"codec": "mpeg4", "b_frames": 2}),
    "MPEG-2 in a transport stream": ("a.ts", {"codec": "mpeg2video", "b_frames": 2}),
    "raw H.264": ("a.h264", {"b_frames": 3}),
    "VP9 in WebM": ("a.webm", {"codec": "libvpx-vp9", "deadline": "realtime"}),
    "animated GIF": ("a.gif", {"codec": "gif", "pix_fmt": "rgb8"}),
    "ten bits": ("a.mkv", {"pix_fmt": "yuv420p10le"}),
}


@pytest.mark.parametrize(("name", "settings"), FILES.values(), ids=FILES)
def test_any_frame_is_the_same_by_index_as_in_iteration(
    tmp_path: Path, noisy: list[np.ndarray], name: str, settings: dict
) -> None:
    video = read_video(encode(tmp_path / name, noisy, **settings))
    frames = list(video)
    assert [number(frame) for frame in frames] == list(range(COUNT))
    assert video.frames == COUNT
    assert video.notes == []
    assert np.allclose(video.times, np.arange(COUNT) / 25)
    for index in [*range(0, COUNT, 3), COUNT - 1]:
        assert np.array_equal(video[index], frames[index])
    picked = [0, 1, 1, 14, 15, 30, COUNT - 1]
    for index, frame in zip(picked, video.frames_at(picked), strict=True):
        assert np.array_equal(frame, frames[index])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_variable_frame_rates_keep_their_times(tmp_path: Path, suffix: str) -> None:
    stamps = np.cumsum(np.random.default_rng(0).integers(10, 200, COUNT))
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    path = encode(
        tmp_path / f"a{suffix}",
        map(numbered, range(COUNT)),
        codec=codec,
        b_frames=0 if codec != "libx264" else 3,
        stamps=stamps.tolist(),
        time_base=Fraction(1, 1000),
    )
    video = read_video(path)
    np.testing.assert_allclose(video.times, (stamps - stamps[0]) / 1000, atol=2e-3)
    assert number(video[17]) == 17


def test_the_pass_that_counts_frames_happens_once(
    tmp_path: Path, noisy: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(tmp_path / "a.mp4", noisy)
    iterated, counted = read_video(path), read_video(path)
    for _ in iterated:
        pass
    assert counted.frames == COUNT
    monkeypatch.setattr(type(iterated), "decoded_frames", lambda _: pytest.fail("decoded again"))
    assert iterated.frames == counted.frames == len(iterated.times) == COUNT


TURNS = {  # display matrix a, b, c, d: what it does to an upright picture is undone by
    (1, 0, 0, 1): lambda upright: upright,
    (0, 1, -1, 0): lambda upright: np.rot90(upright, 1),  # shown turned clockwise: a phone held upright
    (-1, 0, 0, -1): lambda upright: np.rot90(upright, 2),
    (0, -1, 1, 0): lambda upright: np.rot90(upright, 3),
    (-1, 0, 0, 1): lambda upright: upright[:, ::-1],
    (1, 0, 0, -1): lambda upright: upright[::-1],
    (0, 1, 1, 0): lambda upright: upright.swapaxes(0, 1),
}


@pytest.mark.parametrize(("turn", "stored"), TURNS.items(), ids=map(str, TURNS))
def test_frames_come_out_upright(tmp_path: Path, turn: tuple, stored: Callable[..., Any]) -> None:
    upright = QUARTERS.repeat(24, 0).repeat(32, 1)
    path = encode(tmp_path / "a.mp4", [np.ascontiguousarray(stored(upright))] * 3, turn=turn)
    video = read_video(path)
    assert (video.width, video.height) == (64, 48)
    for frame in video:
        assert frame.shape == (48, 64, 3)
        assert np.abs(frame[12::24, 16::32].astype(int) - QUARTERS).max() < 12


def test_turning_a_frame_turns_its_pixels_too(tmp_path: Path) -> None:
    for turn, ratio in (((1, 0, 0, 1), Fraction(4, 3)), ((0, 1, -1, 0), Fraction(3, 4))):
        path = encode(tmp_path / "a.mp4", [numbered(0)], turn=turn, pixel_ratio=Fraction(4, 3))
        assert read_video(path).sample_aspect_ratio == ratio


@pytest.mark.parametrize("size", [(47, 63), (1, 1), (2, 7), (33, 32)])
def test_odd_sizes_decode(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = [np.full((*size, 3), 90, np.uint8)] * 3
    video = read_video(encode(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt="bgr0"))
    assert (video.height, video.width) == size
    assert np.array_equal(np.stack(list(video)), np.stack(frames))


def test_a_video_of_one_frame_is_a_video(tmp_path: Path) -> None:
    video = read_video(encode(tmp_path / "a.mp4", [numbered(5)]))
    assert (video.frames, video.times.tolist(), video.is_image) == (1, [0.0], False)
    assert number(video[0]) == number(video[-1]) == 5


def test_ten_thousand_pixels_of_width_decode(tmp_path: Path) -> None:
    video = read_video(encode(tmp_path / "a.mp4", [numbered(i, 64, 10_000) for i in range(3)]))
    assert [(number(frame), frame.shape) for frame in video] == [(i, (64, 10_000, 3)) for i in range(3)]


def test_a_truncated_file_gives_the_frames_it_has(tmp_path: Path, noisy: list[np.ndarray]) -> None:
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    write_video(whole, noisy, 25)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    video = read_video(cut)
    numbers = [number(frame) for frame in video]
    assert 10 < len(numbers) < COUNT
    assert numbers[:20] == list(range(20))
    assert any(f"declares {COUNT} frames, but only {len(numbers)}" in note for note in video.notes)
    assert number(video[-1]) == numbers[-1]


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".ts", ".mkv"])
def test_damage_in_the_middle_costs_only_the_frames_around_it(
    tmp_path: Path, noisy: list[np.ndarray], suffix: str
) -> None:
    path = encode(tmp_path / f"a{suffix}", noisy, b_frames=2)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 500] = np.random.default_rng(0).integers(0, 256, 500, np.uint8).tobytes()
    path.write_bytes(bytes(data))
    video = read_video(path)
    frames = list(video)
    numbers = [number(frame) for frame in frames]
    assert numbers[:12] == list(range(12))
    assert numbers[-4:] == list(range(COUNT - 4, COUNT))
    assert all(np.array_equal(video[i], frames[i]) for i in range(0, len(frames), 5))
    if suffix == ".mp4":
        assert "damaged" in video.notes[0]


def test_a_file_cut_before_its_first_frame_is_one_sentence(tmp_path: Path, noisy: list[np.ndarray]) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, noisy, 25)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 8])
    with pytest.raises(InputError, match="cut short"):
        read_video(path)


def test_time_stamps_that_repeat_restart_or_lack_still_give_increasing_times() -> None:
    clock = _Clock(0.1, fps=10)
    stamps = [7, 8, 8, 10, None, 13, 100, 0, 1, 2]
    times = [clock.next_time(stamp) for stamp in stamps]
    np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3, 0.4, 0.6, 9.3, 9.4, 9.5, 9.6])


def test_frames_outside_the_video_are_refused(tmp_path: Path) -> None:
    video = read_video(encode(tmp_path / "a.mp4", map(numbered, range(5))))
    with pytest.raises(IndexError, match="0 to 4"):
        video[5]
    with pytest.raises(UsageError, match="0 to 4"):
        video.frames_at([0, 5])
    with pytest.raises(UsageError, match="ascending"):
        video.frames_at([3, 2])


def test_files_are_closed_however_iteration_ends(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", map(numbered, range(COUNT)), b_frames=2)
    video = read_video(path)
    for _ in itertools.islice(video, 3):
        pass
    next(iter(video.frames_at([20])))
    assert number(video[30]) == 30
    with pytest.raises(ZeroDivisionError):
        [1 // 0 for _ in video]
    opened = [Path(file.path) for file in psutil.Process().open_files()]
    assert path not in opened


def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", (numbered(i, 360, 640) for i in range(200)), gop=50)
    video = read_video(path)
    process = psutil.Process()
    sizes = [process.memory_info().rss for _ in video]
    assert max(sizes) - sizes[50] < 20 * 2**20  # all frames would take 138 MB


def test_the_tag_of_the_colour_matrix_is_followed(tmp_path: Path) -> None:
    red = np.full((64, 64, 3), (255, 0, 0), np.uint8)
    path = tmp_path / "a.mp4"
    write_video(path, [np.tile(red, (12, 12, 1))], 25)
    assert np.abs(read_video(path)[0].astype(int)[::64, ::64] - red[0, 0]).max() < 4


def test_real_clips_decode_to_what_their_authors_counted(shared: Path) -> None:
    counts = {"v_SoccerJuggling": 240, "RATRACE": 72, "Turnk": 83, "R6llTwEh07w": 303, "arm_wrestling": 280}
    for part, count in counts.items():
        (path,) = [p for p in (shared / "clips").rglob(f"*{part}*") if p.suffix in (".avi", ".mp4")]
        video = read_video(path)
        frames = list(video)
        assert len(frames) == video.frames == count
        assert np.diff(video.times).min() > 0
        for index in (0, 7, 41, count - 1):
            assert np.array_equal(video[index], frames[index])


def test_playlists_are_never_followed(tmp_path: Path) -> None:
    encode(tmp_path / "secret.mp4", map(numbered, range(3)))
    lists = {
        "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{tmp_path}/secret.mp4\n#EXT-X-ENDLIST\n",
        "a.txt": f"ffconcat version 1.0\nfile '{tmp_path / 'secret.mp4'}'\n",
        "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }
    for name, text in lists.items():
        for suffix in (Path(name).suffix, ".mp4"):
            path = (tmp_path / name).with_suffix(suffix)
            path.write_text(text)
            with pytest.raises(GlocalError, match="not a video"):
                read_video(path)


def test_frames_that_an_avi_shows_longer_are_not_missing(tmp_path: Path) -> None:
    stamps = [*range(5), *range(20, 25), *range(60, 65)]
    path = encode(tmp_path / "a.avi", [numbered(i) for i in range(15)], codec="mpeg4", stamps=stamps)
    video = read_video(path)
    assert [number(frame) for frame in video] == list(range(15))
    assert video.notes == []


@pytest.mark.parametrize("index", [slice(0, 3), 1.0, "a", [1, 2]])
def test_an_index_that_is_no_whole_number_is_refused(index: Any) -> None:
    video = read_video(np.zeros((4, 8, 8, 3), np.uint8))
    assert video[np.int64(1)].shape == (8, 8, 3)
    with pytest.raises(UsageError, match=r"the index of a frame is a whole number, not .*; frames_at reads"):
        video[index]

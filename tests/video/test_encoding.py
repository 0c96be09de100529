"""What is written is what is read back."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from glocal.errors import InputError, ResourceError, UsageError
from glocal.video import encoding, read_video, write_video
from helpers.video_files import number, numbered

CHART = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), 12.5, 29.97002997])
@pytest.mark.parametrize("count", [1, 2, 31])
def test_every_frame_is_there_at_its_time(tmp_path: Path, rate: Fraction | float, count: int) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, map(numbered, range(count)), rate)
    video = read_video(path)
    assert [number(frame) for frame in video] == list(range(count))
    assert video.fps == pytest.approx(float(rate))
    np.testing.assert_allclose(video.times, np.arange(count) / float(rate), atol=1e-4)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_uneven_times_are_kept(tmp_path: Path, suffix: str) -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(0.001, 0.3, 40))
    times -= times[0]
    path = tmp_path / f"a{suffix}"
    write_video(path, map(numbered, range(40)), 25, times=times)
    video = read_video(path)
    assert [number(frame) for frame in video] == list(range(40))
    np.testing.assert_allclose(video.times, times, atol=1e-5)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) > times[-1]  # players show the last frame


def test_frames_at_the_same_time_follow_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, map(numbered, range(4)), 25, times=[0, 0, 0.04, 0.03])
    video = read_video(path)
    assert [number(frame) for frame in video] == [0, 1, 2, 3]
    np.testing.assert_allclose(video.times, [0, 0, 0.04, 0.04], atol=1e-4)


@pytest.mark.parametrize("size", [(240, 320), (720, 1280), (237, 321)])
def test_colours_come_back(tmp_path: Path, size: tuple[int, int]) -> None:
    rows, columns = (-(-side // cells) for side, cells in zip(size, CHART.shape, strict=False))
    chart = CHART.repeat(rows, 0).repeat(columns, 1)[: size[0], : size[1]]
    path = tmp_path / "a.mp4"
    write_video(path, [chart] * 5, 25)
    frame = read_video(path)[2]
    assert frame.shape[:2] == tuple(side + side % 2 for side in size)
    difference = frame[: size[0], : size[1]].astype(int) - chart
    assert np.abs(difference).mean() < 4
    assert np.abs(difference.mean((0, 1))).max() < 0.5


@pytest.mark.parametrize(("height", "matrix", "luma"), [(240, 6, 81), (720, 1, 63)])
def test_the_colour_matrix_is_the_one_that_players_expect(
    tmp_path: Path, height: int, matrix: int, luma: int
) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, [np.full((height, 64, 3), (255, 0, 0), np.uint8)], 25)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (matrix, 1)
        assert abs(np.frombuffer(frame.planes[0], np.uint8)[0] - luma) <= 1


def test_odd_sizes_are_padded_by_repeating_the_edge(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, [np.full((33, 17, 3), 200, np.uint8)], 25, sample_aspect_ratio=Fraction(4, 3))
    video = read_video(path)
    assert (video.width, video.height, video.sample_aspect_ratio) == (18, 34, Fraction(4, 3))
    assert np.abs(video[0].astype(int) - 200).max() <= 2


def test_frames_are_taken_one_by_one(tmp_path: Path) -> None:
    alive: set[int] = set()
    most = 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            alive.discard(id(self))

    def frames() -> Iterator[np.ndarray]:
        nonlocal most
        for index in range(50):
            frame = numbered(index).view(Counted)
            alive.add(id(frame))
            most = max(most, len(alive))
            yield frame

    write_video(tmp_path / "a.mp4", frames(), 25)
    assert most <= 3


def test_an_interrupted_video_leaves_no_file(tmp_path: Path) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield numbered(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.mp4", frames(), 25)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ü#&'; %03d.mp4", "a:b.mp4", "concat:x.mp4", "two\nlines.mp4", "-y.mov"])
def test_odd_names_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(name, [numbered(3)], 25)
    assert number(read_video(tmp_path / name)[0]) == 3
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_that_cannot_be_written_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in ("missing", "file"):
        with pytest.raises(InputError, match="cannot be written"):
            write_video(tmp_path / folder / "a.mp4", [numbered(0)], 25)


def test_a_full_disk_is_one_sentence_and_leaves_no_file(tmp_path: Path) -> None:
    program = f"""
import resource, signal, numpy as np
from glocal.errors import InputError
from glocal.video import write_video
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, {resource.RLIM_INFINITY}))
random = np.random.default_rng(0)
try:
    frames = (random.integers(0, 256, (96, 128, 3), np.uint8) for _ in range(60))
    write_video({str(tmp_path / "a.mp4")!r}, frames, 25)
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "a.mp4 cannot be written" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_without_libx264_another_encoder_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoding._encoder.cache_clear()
    monkeypatch.setattr(encoding, "codecs_available", {"h264_broken", "h264", "mpeg4"})
    create = av.video.codeccontext.VideoCodecContext.create
    asked = []

    def none(name: str, mode: str) -> object:
        asked.append(name)
        return create("no such encoder", mode)

    monkeypatch.setattr(encoding, "VideoCodecContext", type("None", (), {"create": staticmethod(none)}))
    with pytest.raises(InputError, match=r"no H\.264 encoder"):
        write_video(tmp_path / "a.mp4", [numbered(0)], 25)
    assert asked == ["libx264", "h264", "h264_broken", "mpeg4"]
    encoding._encoder.cache_clear()


@pytest.mark.parametrize(("encoder", "form"), [("libvpx-vp9", "VP9"), ("mpeg4", "MPEG-4")])
def test_encoders_without_licence_fees_keep_frames_and_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: str, form: str
) -> None:
    """MPEG-4 has units of a second down to 1/65535, of which uneven times and 120000/1001 frames ask more."""
    encoding._encoder.cache_clear()
    monkeypatch.setattr(encoding, "PREFERRED", ())
    monkeypatch.setattr(encoding, "codecs_available", {encoder})
    frames, uneven = [numbered(i) for i in range(6)], [0.0, 0.011, 0.05, 0.0501, 0.2, 0.31]
    with pytest.warns(UserWarning, match=f"videos are written as {form}"):
        write_video(tmp_path / "even.mp4", frames, 120000 / 1001)
    write_video(tmp_path / "uneven.mp4", frames, 25, times=uneven)
    encoding._encoder.cache_clear()
    even = [i * 1001 / 120000 for i in range(6)]
    for name, times in (("even", even), ("uneven", uneven)):
        video = read_video(tmp_path / f"{name}.mp4")
        assert [number(frame) for frame in video] == list(range(6))
        assert video.times == pytest.approx(times, abs=2e-4)


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    cases = [
        (path, [], {}, "no frames"),
        (path, [numbered(0)], {"fps": 0}, "positive"),
        (path, [numbered(0), numbered(1)], {"times": [0.0]}, "1 times"),
        (path, [numbered(0), numbered(0, 10, 10)], {}, "frame 1"),
        (path, [numbered(0).astype(float)], {}, "uint8"),
        (path, [numbered(0)[:, :, 0]], {}, "uint8"),
        (tmp_path / "a.xyz", [numbered(0)], {}, ".mp4, .mov, .mkv"),
    ]
    for target, frames, arguments, message in cases:
        with pytest.raises(UsageError, match=message):
            write_video(target, frames, **{"fps": 25, **arguments})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("suffix", "names", "form"),
    [
        (".mp4", {"libvpx-vp9", "mpeg4"}, "vp9"),
        (".mov", {"libvpx-vp9", "mpeg4"}, "mpeg4"),
        (".mkv", {"mpeg4"}, "mpeg4"),
    ],
)
def test_a_build_of_ffmpeg_without_h264_writes_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, names: set[str], form: str
) -> None:
    """As in builds without the GPL."""
    monkeypatch.setattr(encoding, "codecs_available", names)
    monkeypatch.setattr(encoding, "PREFERRED", ())
    encoding._encoder.cache_clear()
    try:
        with pytest.warns(UserWarning, match="no H.264 encoder"):
            write_video(tmp_path / f"a{suffix}", [numbered(i) for i in range(12)], 25)
    finally:
        encoding._encoder.cache_clear()
    with av.open(str(tmp_path / f"a{suffix}")) as container:
        assert form in container.streams.video[0].codec_context.name
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [number(frame) for frame in frames] == list(range(12))


def test_the_threads_of_the_encoder_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contexts, add_stream = [], encoding._stream

    def stream(*arguments: Any) -> VideoStream:
        added = add_stream(*arguments)
        contexts.append(added.codec_context)
        return added

    monkeypatch.setattr(encoding, "_stream", stream)
    write_video(tmp_path / "a.mp4", [CHART] * 3, 10, threads=1)
    assert [context.thread_count for context in contexts] == [1]
    assert len(list(read_video(tmp_path / "a.mp4"))) == 3


def test_an_encoder_without_memory_is_not_called_a_full_disk(tmp_path: Path) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield np.zeros((16, 16, 3), np.uint8)
        raise av.error.ExternalError(542398533, "Generic error in an external library")  # x264 says no more

    with pytest.raises(
        ResourceError, match=r"a\.mp4 cannot be written: the encoder failed, as it does without"
    ):
        write_video(tmp_path / "a.mp4", frames(), 8)
    assert not list(tmp_path.iterdir())

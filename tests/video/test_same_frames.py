"""A frame is the same whenever it is decoded: by index, in iteration, in a damaged file."""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.video.stream import VideoStream

from glocal.video import demuxing, read_video
from glocal.video.demuxing import frame_checksum
from helpers.video_files import encode, number, numbered

COUNT = 40


@pytest.fixture
def noisy() -> list[np.ndarray]:
    """Numbered frames that no decoder gets right by accident."""
    random = np.random.default_rng(0)
    return [(numbered(i) * 0.7 + random.integers(0, 76, (48, 64, 3))).astype(np.uint8) for i in range(COUNT)]


@pytest.mark.parametrize("suffix", [".avi", ".mov"])
def test_frames_whose_palette_is_stored_once_are_the_same_by_index(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "pal8"
        for index in range(COUNT):
            picture = av.VideoFrame.from_ndarray((numbered(index)[..., 0], palette), format="pal8")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    video = read_video(path)
    frames = list(video)
    assert [number(frame) for frame in frames] == list(range(COUNT))
    assert [number(video[index]) for index in range(COUNT)] == list(range(COUNT))
    assert [number(frame) for frame in read_video(path).frames_at([3, 9, 9, 30])] == [3, 9, 9, 30]


def test_key_frames_that_are_none_are_seen(
    tmp_path: Path, noisy: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    video = read_video(encode(tmp_path / "a.mp4", noisy))
    frames = list(video)
    assert video._index is not None
    video._index = video._index._replace(keys=list(range(COUNT)))
    for index in (0, 5, 23, 30, COUNT - 1):
        assert np.array_equal(video[index], frames[index])


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        (".mp4", "libx264", {}),
        (".mp4", "libx264", {"slices": "4"}),
        (".avi", "libx264", {}),
        (".ts", "libx264", {"x264-params": "intra-refresh=1"}),
        (".mkv", "libx264", {}),
        (".mp4", "libx265", {"x265-params": "log-level=none:wpp=1:slices=2"}),
        (".webm", "libvpx", {"slices": "4"}),
        (".mkv", "ffv1", {"slices": "4", "level": "3", "g": "10"}),
    ],
)
def test_damaged_files_decode_as_by_one_thread(
    tmp_path: Path, noisy: list[np.ndarray], suffix: str, codec: str, options: dict[str, str]
) -> None:
    """Some decoders conceal damage without a word, and by several threads not the same each time."""
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    b_frames = 2 if codec == "libx264" else 0
    path = encode(tmp_path / f"a{suffix}", noisy, codec=codec, b_frames=b_frames, **options)
    data = bytearray(path.read_bytes())
    random = np.random.default_rng(8)  # finds a place that two of the decoders conceal without a word
    start = int(random.integers(len(data) // 5, len(data) * 4 // 5))
    data[start : start + 20] = random.bytes(20)
    path.write_bytes(bytes(data))
    compare_with_one_thread(path)


def test_one_thread_decodes(tmp_path: Path, noisy: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    decode, threads = demuxing.decode_stream, []

    def spy(container: InputContainer, stream: VideoStream, *rest: Any) -> Iterator[av.VideoFrame]:
        threads.append((stream.thread_type.name, stream.codec_context.thread_count))
        return decode(container, stream, *rest)

    monkeypatch.setattr(demuxing, "decode_stream", spy)
    video = read_video(encode(tmp_path / "a.mp4", noisy))
    assert number(video[COUNT - 1]) == len(list(video)) - 1
    assert threads == [("NONE", 1)] * len(threads) != []


def test_a_damaged_clip_decodes_as_by_one_thread(shared: Path) -> None:
    path = shared / "cases" / "damaged-not-reproducible" / "corrupt.mp4"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    compare_with_one_thread(path)


def compare_with_one_thread(path: Path) -> None:
    video = read_video(path)
    frames = list(video)
    reference = list(decode_by_one_thread(path))
    assert len(frames) == len(reference)
    for index, frame in enumerate(reference):
        assert np.array_equal(frames[index], video._to_rgb(frame))
        if index % 7 == 0:
            assert np.array_equal(video[index], frames[index])


def decode_by_one_thread(path: Path) -> Iterator[av.VideoFrame]:
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        packets = list(container.demux(stream))
        for packet in packets:
            with contextlib.suppress(av.FFmpegError):
                yield from stream.decode(packet)


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [("ffv1", "bgr0"), ("ffv1", "yuv420p10le"), ("rawvideo", "yuyv422"), ("rawvideo", "rgb565le")],
)
def test_padding_of_rows_is_no_part_of_a_frame(
    tmp_path: Path, noisy: list[np.ndarray], codec: str, pix_fmt: str
) -> None:
    pictures = [frame[:46, :50].copy() for frame in noisy]
    path = encode(tmp_path / "a.nut", pictures, codec=codec, pix_fmt=pix_fmt)
    passes = []
    for _ in range(2):
        with av.open(str(path)) as container:
            passes.append([frame_checksum(frame) for frame in container.decode(video=0)])
    assert passes[0] == passes[1]
    assert len(set(passes[0])) == COUNT


def test_frames_hidden_by_an_edit_list_are_not_missed(tmp_path: Path, noisy: list[np.ndarray]) -> None:
    path = trim(encode(tmp_path / "a.mp4", noisy, b_frames=2), tmp_path / "trimmed.mp4", 13)
    video = read_video(path)
    assert [number(frame) for frame in video] == list(range(13, COUNT))
    assert video.notes == []
    assert video.times[0] == 0
    assert number(video[20]) == 33


def test_frames_after_the_end_of_an_edit_list_are_not_missed(tmp_path: Path, noisy: list[np.ndarray]) -> None:
    path = trim(encode(tmp_path / "a.mp4", noisy), tmp_path / "trimmed.mp4", 1)
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 12
    (duration,) = struct.unpack(">I", data[entry : entry + 4])
    data[entry : entry + 4] = struct.pack(">I", duration // 2)
    path.write_bytes(bytes(data))
    video = read_video(path)
    assert 15 < video.frames < 25
    assert video.notes == []


def trim(source: Path, path: Path, frames: int) -> Path:
    """Hide the first frames as `ffmpeg -ss … -c copy` does."""
    with av.open(str(source)) as original, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(original.streams.video[0])
        offset = int(frames / 25 / original.streams.video[0].time_base)
        for packet in original.demux(video=0):
            if packet.dts is None:
                continue
            packet.pts -= offset
            packet.dts -= offset
            packet.stream = stream
            copy.mux(packet)
    return path


def test_the_default_stream_is_read_rather_than_the_largest(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_streams(path, {(96, 128): 10, (48, 64): 20}, default=1)
    video = read_video(path)
    assert (video.width, video.height, video.frames) == (64, 48, 20)


def test_a_large_still_image_beside_a_video_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_streams(path, {(96, 128): 1, (48, 64): 20}, default=0)
    video = read_video(path)
    assert (video.width, video.height, video.frames) == (64, 48, 20)


def write_streams(path: Path, frames: dict[tuple[int, int], int], default: int) -> None:
    with av.open(str(path), "w") as container:
        streams = []
        for index, (height, width) in enumerate(frames):
            disposition = av.stream.Disposition.default if index == default else av.stream.Disposition(0)
            stream = container.add_stream("libx264", rate=25, disposition=disposition)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append(stream)
        for stream, ((height, width), count) in zip(streams, frames.items(), strict=True):
            for index in range(count):
                picture = av.VideoFrame.from_ndarray(numbered(index, height, width), format="rgb24")
                picture.pts = index
                container.mux(stream.encode(picture))
            container.mux(stream.encode())

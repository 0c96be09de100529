"""Every kind of input is a video or one clear sentence."""

import os
import struct
import wave
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from glocal.errors import GlocalError, InputError, UsageError
from glocal.video import read_video
from helpers.video_files import encode, number, numbered


def sentence(source: object, **arguments: float) -> str:
    """The error that reading gives: one line that any terminal can print."""
    with pytest.raises(GlocalError) as error:
        read_video(source, **arguments)
    text = str(error.value)
    text.encode()
    assert "\n" not in text
    assert ";" in text  # what is wrong; what to do
    return text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "clip.mp4 does not exist" in sentence(tmp_path / "clip.mp4")
    assert "does not exist" in sentence(str(tmp_path / "file.mp4" / "below.mp4"))


@pytest.mark.parametrize(
    "address", ["http://example.org/a.mp4", "concat:a.mp4|b.mp4", "file:a.mp4", "pipe:0", "rtsp://x/y"]
)
def test_addresses_and_protocols_are_only_names_of_missing_files(address: str) -> None:
    assert "does not exist" in sentence(address)


@pytest.mark.parametrize("address", ["rtsp://camera/1", "rtmp://camera/live", "UDP://239.0.0.1:1234"])
def test_of_a_live_stream_it_is_said_how_to_record_it(address: str) -> None:
    text = sentence(address)
    assert "live streams are not read" in text
    assert f"ffmpeg -i {address} -t 30" in text


def test_a_folder_of_videos_points_to_batch(tmp_path: Path) -> None:
    (tmp_path / "day").mkdir()
    (tmp_path / "day" / "a.MP4").touch()
    assert f"run glocal batch {tmp_path}" in sentence(tmp_path)


def test_pictures_beside_videos_are_not_taken_for_frames(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    Image.new("RGB", (16, 16)).save(tmp_path / "cover.jpg")
    text = sentence(tmp_path)
    assert "holds videos (2) beside images (1)" in text
    assert f"run glocal batch {tmp_path}" in text
    for frame in range(2):
        Image.new("RGB", (16, 16)).save(tmp_path / f"{frame}.jpg")
    (tmp_path / "cover.jpg").unlink()
    (tmp_path / "b.mp4").unlink()
    assert read_video(tmp_path).frames == 2


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.touch()
    assert "is empty" in sentence(path)


def test_text_renamed_to_mp4_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text("once upon a time " * 1000)
    assert "not a video or image" in sentence(path)


def test_sound_without_pictures_is_told(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert "only sound" in sentence(path)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    assert "only sound" in sentence(tmp_path / "a.wav")


def test_a_song_with_a_cover_is_no_video(tmp_path: Path) -> None:
    cover = av.VideoFrame.from_ndarray(numbered(3), format="rgb24").reformat(format="yuvj420p")
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16_000)
        picture = container.add_stream("mjpeg", rate=1, disposition=av.stream.Disposition.attached_pic.value)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16_000
        container.mux(picture.encode(cover))
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    assert "only sound" in sentence(path)


def test_a_folder_without_images_is_told(tmp_path: Path) -> None:
    assert "folder without images" in sentence(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    assert "folder without images" in sentence(tmp_path)


def test_what_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(tmp_path / "clip.mp4", [numbered(0)])

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert "cannot be read (Permission denied)" in sentence(path)
    monkeypatch.setattr(Path, "stat", refuse)
    assert "Permission denied" in sentence(path)


def test_what_is_no_regular_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "neither a file nor a folder" in sentence(tmp_path / "pipe.mp4")
    assert "cannot be read" in sentence("a\0b.mp4")


@pytest.mark.parametrize(
    "name",
    [
        "Übung 1 – пример 例.mp4",
        "a#b&c=d;e'f\"g.mp4",
        "two\nlines.mp4",
        "frame%03d.mp4",
        "a?*[0-9]{x}.mp4",
        "http:x.mp4",
        "-i.mp4",
        os.fsdecode(b"bytes\xff\xfe.mp4"),
    ],
)
def test_odd_names_are_read_and_shown(tmp_path: Path, name: str) -> None:
    path = encode(tmp_path / "a.mp4", [numbered(7)]).rename(tmp_path / name)
    assert number(read_video(path)[0]) == 7
    assert number(read_video(str(path))[0]) == 7
    path.write_bytes(b"x" * 100)
    sentence(path)
    path.unlink()
    sentence(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tiff", ".ppm"])
def test_an_image_is_a_video_of_one_frame(tmp_path: Path, suffix: str) -> None:
    frame = numbered(9)
    frame[:, :, 2] //= 2
    path = tmp_path / f"picture%03d{suffix}"
    assert cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    video = read_video(path)
    assert (video.is_image, video.frames, video.width, video.height) == (True, 1, 64, 48)
    assert np.abs(video[0].astype(int) - frame).mean() < 3
    assert np.array_equal(next(iter(video)), video[0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_by_their_exif_orientation(tmp_path: Path, orientation: int) -> None:
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[:24, :32] = 255
    jpeg = cv2.imencode(".jpg", stored)[1].tobytes()
    entry = struct.pack("<HHII", 0x112, 3, 1, orientation)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    # the corner of the upright picture in which the first stored pixel lies
    bottom, right = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    frame = read_video(path)[0]
    assert frame.shape[:2] == ((48, 64) if orientation < 5 else (64, 48))
    assert frame[-4 if bottom else 4, -4 if right else 4].min() > 200
    assert frame[4 if bottom else -4, 4 if right else -4].max() < 50


def test_damaged_images_are_one_sentence(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg"):
        path = tmp_path / f"a{suffix}"
        cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
        path.write_bytes(path.read_bytes()[:1000])
        sentence(path)


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    side = 30_000
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    path = tmp_path / "bomb.png"
    rows = zlib.compress(bytes(side * 30))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    assert "too large" in sentence(path)


def test_a_named_pipe_among_images_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("0.png", "2.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    os.mkfifo(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"1\.png cannot be read \(not a regular file\)"):
        list(read_video(tmp_path))


def test_a_folder_of_images_plays_in_natural_order(tmp_path: Path) -> None:
    for index in (10, 2, 1, 20, 3):
        cv2.imwrite(str(tmp_path / f"frame{index}.png"), numbered(index))
    (tmp_path / "._frame1.png").write_bytes(b"not an image")
    (tmp_path / "readme.txt").write_text("frames")
    video = read_video(tmp_path)
    assert [number(frame) for frame in video] == [1, 2, 3, 10, 20]
    assert (video.name, video.fps, video.is_image) == (tmp_path.name, 25, False)
    assert number(video[-1]) == 20
    assert [number(frame) for frame in video.frames_at([1, 3])] == [2, 10]
    assert np.allclose(read_video(tmp_path, fps=10).times, [0, 0.1, 0.2, 0.3, 0.4])


def test_images_of_different_sizes_are_no_video(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), numbered(1))
    cv2.imwrite(str(tmp_path / "2.png"), numbered(2, 50, 60))
    with pytest.raises(InputError, match=r"2\.png is 60×50 pixels"):
        list(read_video(tmp_path))


def test_an_array_is_a_video() -> None:
    frames = np.stack([numbered(i) for i in range(4)])
    video = read_video(frames, fps=50)
    assert (video.path, video.name, video.frames, video.fps) == (None, "array", 4, 50)
    assert np.array_equal(np.stack(list(video)), frames)
    assert np.array_equal(video[2], frames[2])


@pytest.mark.parametrize(
    "array", [np.zeros((2, 4, 4, 3), int), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4, 4, 3), np.uint8)]
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(UsageError, match="uint8"):
        read_video(array)


def test_a_rate_is_only_for_what_has_none(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", [numbered(0)])
    with pytest.raises(UsageError, match="frame rate"):
        read_video(path, fps=10)
    with pytest.raises(UsageError, match="positive"):
        read_video(np.zeros((1, 4, 4, 3), np.uint8), fps=0)


def write_series(folder: Path, template: str, count: int, first: int = 1) -> None:
    for index in range(first, first + count):
        frame = (
            np.full((48, 64, 3), 128, np.uint8) if "flow" in template or "_x" in template else numbered(index)
        )
        assert cv2.imwrite(str(folder / template.format(index)), frame)


@pytest.mark.parametrize(
    ("rgb", "others"),
    [
        ("img_{:05}.png", ["flow_x_{:05}.png", "flow_y_{:05}.png"]),
        ("image_{:04}.png", ["x_{:04}.png", "y_{:04}.png"]),
        ("{:05}.png", ["flow_x_{:05}.png", "flow_y_{:05}.png"]),
        ("v_dance_{:03}_rgb.png", ["v_dance_{:03}_depth.png", "v_dance_{:03}_mask.png"]),
        ("frame{}.png", ["frame{}_flow.png"]),
    ],
)
def test_rgb_is_read_from_a_folder_of_rgb_and_flow(tmp_path: Path, rgb: str, others: list[str]) -> None:
    write_series(tmp_path, rgb, 12)
    for other in others:
        write_series(tmp_path, other, 11)
    assert [number(frame) for frame in read_video(tmp_path)] == list(range(1, 13))


@pytest.mark.parametrize(
    "templates",
    [
        ["left_{}.png", "right_{}.png"],
        ["flow_x_{}.png", "flow_y_{}.png"],
        ["{}.png", "{}.bmp"],
        ["img_{}_left.png", "img_{}_right.png"],
    ],
)
def test_a_folder_of_several_videos_is_refused(tmp_path: Path, templates: list[str]) -> None:
    for template in templates:
        write_series(tmp_path, template, 4)
    assert "several series of images" in sentence(tmp_path)


def test_series_that_follow_one_another_are_one_video(tmp_path: Path) -> None:
    write_series(tmp_path, "a_{:02}.png", 3)
    write_series(tmp_path, "b_{:02}.png", 3, 4)
    write_series(tmp_path, "flow.png", 1)
    assert read_video(tmp_path).frames == 7


def test_images_of_flow_alone_are_a_video(tmp_path: Path) -> None:
    write_series(tmp_path, "flow_{}.png", 3)
    assert read_video(tmp_path).frames == 3

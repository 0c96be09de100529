"""Videos in memory are read in every usual form, or refused in one sentence."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
import torch

from glocal.errors import GlocalError, InputError, UsageError
from glocal.video import read_video
from helpers.video_files import encode, number, numbered

COUNT = 8
FRAMES = np.stack([numbered(i) for i in range(COUNT)])
FRAMES[..., 1] //= 2

FORMS: dict[str, Callable[[], Any]] = {
    "array": lambda: FRAMES,
    "reversed array": lambda: np.ascontiguousarray(FRAMES[:, ::-1, ::-1])[:, ::-1, ::-1],
    "float array": lambda: FRAMES / 255,
    "channels before rows": lambda: FRAMES.transpose(0, 3, 1, 2),
    "channels first": lambda: FRAMES.transpose(3, 0, 1, 2),
    "alpha": lambda: np.concatenate([FRAMES, FRAMES[..., :1]], 3),
    "tensor": lambda: torch.from_numpy(FRAMES),
    "float tensor, channels before rows": lambda: torch.from_numpy(FRAMES).permute(0, 3, 1, 2) / 255,
    "float tensor, channels first": lambda: torch.from_numpy(FRAMES).permute(3, 0, 1, 2) / 255,
    "tensor with a gradient": lambda: (torch.from_numpy(FRAMES) / 255).requires_grad_(),
    "list of arrays": lambda: list(FRAMES),
    "tuple of tensors": lambda: tuple(torch.from_numpy(FRAMES).permute(0, 3, 1, 2)),
    "list of float arrays": lambda: list(FRAMES / 255),
    "pictures": lambda: [PIL.Image.fromarray(frame) for frame in FRAMES],
    "generator": lambda: (frame for frame in FRAMES),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_frames_in_memory_are_a_video(form: Callable[[], Any]) -> None:
    video = read_video(form(), fps=10)
    assert (video.width, video.height, video.frames, video.fps) == (64, 48, COUNT, 10)
    assert np.array_equal(np.stack(list(video)), FRAMES)
    assert np.array_equal(video[5], FRAMES[5])


@pytest.mark.parametrize(
    "grey",
    [FRAMES[..., 0], FRAMES[..., :1], FRAMES[:, None, :, :, 0], list(FRAMES[..., 0]), FRAMES[..., 0] / 255],
    ids=["(T, H, W)", "(T, H, W, 1)", "(T, 1, H, W)", "list of (H, W)", "float"],
)
def test_grey_frames_have_three_equal_channels(grey: Any) -> None:
    assert np.array_equal(np.stack(list(read_video(grey))), np.repeat(FRAMES[..., :1], 3, 3))


def test_half_precision_is_read_to_a_level() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        frames = np.stack(list(read_video((torch.from_numpy(FRAMES) / 255).to(dtype))))
        assert np.abs(frames.astype(int) - FRAMES).max() <= 1


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (np.zeros((3, 3, 8, 8), np.uint8), "ambiguous"),
        (np.zeros((8, 3, 8, 3), np.uint8), "ambiguous"),
        (np.zeros((3, 8, 8), np.uint8), "single image"),
        (np.zeros((8, 8, 3)), "single image"),
        (np.zeros((8, 8), np.uint8), "not \\(8, 8\\)"),
        (np.zeros((1, 4, 3, 8, 8), np.uint8), "not \\(1, 4, 3, 8, 8\\)"),
        (np.zeros((4, 8, 8, 2), np.uint8), "not \\(4, 8, 8, 2\\)"),
        (np.full((4, 8, 8, 3), -0.5), "from -0.5 to -0.5"),
        (np.full((4, 8, 8, 3), 200.0), "from 200 to 200"),
        (np.full((4, 8, 8, 3), np.nan), "from nan"),
        (np.zeros((4, 8, 8, 3), bool), "not bool"),
        (torch.zeros((4, 8, 8, 3), dtype=torch.int64), "not int64"),
        (np.array(["a.jpg"]), "not \\(1,\\)"),
        ([], "empty"),
        ([np.zeros((8, 8, 3), np.uint8), np.zeros((9, 8, 3), np.uint8)], "one size"),
        ([1, 2], "not int"),
        ([np.zeros((8, 8, 3), np.uint8), "a.jpg"], "not str"),
        ((np.zeros((2, 8, 8, 3), np.uint8), {"fps": 25}), "not dict"),
        ({"video": FRAMES}, "not dict"),
        (None, "not NoneType"),
        (7, "not int"),
        (io.StringIO("text"), "open as text"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_other_objects_are_refused_in_one_sentence(source: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as error:
        read_video(source)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


def test_a_list_of_paths_is_a_video_in_its_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for index, path in enumerate(paths):
        cv2.imwrite(str(path), numbered(index))
    assert [number(frame) for frame in read_video(reversed(paths))] == [2, 1, 0]
    assert [number(frame) for frame in read_video([str(path) for path in paths])] == [0, 1, 2]
    with pytest.raises(InputError, match=r"missing\.png cannot be read"):
        read_video([tmp_path / "missing.png"])


def test_a_picture_is_an_image() -> None:
    video = read_video(PIL.Image.fromarray(FRAMES[3]))
    assert video.is_image
    assert np.array_equal(video[0], FRAMES[3])


def test_a_video_is_returned_as_it_is() -> None:
    video = read_video(FRAMES)
    assert read_video(video) is video
    with pytest.raises(UsageError, match="fps"):
        read_video(video, fps=3)


def test_open_files_and_their_content_are_read_like_files(tmp_path: Path) -> None:
    path = encode(tmp_path / "dance.mp4", FRAMES, b_frames=2)
    data = path.read_bytes()
    at_end = io.BytesIO(data)
    at_end.seek(0, io.SEEK_END)
    for source in (data, bytearray(data), memoryview(data), io.BytesIO(data), at_end):
        video = read_video(source)
        assert (video.path, video.name, video.is_image) == (None, "video", False)
        assert [number(frame) for frame in video] == list(range(COUNT))
        assert number(video[6]) == 6
    with path.open("rb") as file:
        video = read_video(file)
    assert video.name == "dance"
    assert [number(frame) for frame in video.frames_at([2, 5])] == [2, 5]
    with pytest.raises(UsageError, match="closed file"):
        read_video(file)
    with pytest.raises(UsageError, match="fps"):
        read_video(data, fps=3)


def test_an_open_image_is_read_like_a_file() -> None:
    data = cv2.imencode(".png", FRAMES[3])[1].tobytes()
    video = read_video(io.BytesIO(data))
    assert video.is_image
    assert number(video[0]) == 3


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 10_000])
def test_content_that_is_no_video_is_one_sentence(content: bytes) -> None:
    with pytest.raises(GlocalError) as error:
        read_video(io.BytesIO(content))
    assert "\n" not in str(error.value)
    with pytest.raises(GlocalError):
        read_video(content)

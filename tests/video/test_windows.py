"""Windows cover every video once and evenly, whatever its length, rate and size."""

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import InputError, UsageError
from glocal.video import ClipSpec, Geometry, read_video, windows
from glocal.video.clip_spec import FlowMethod
from glocal.video.flow import FLOW_METHODS
from helpers.video_files import encode, number, numbered

CLIP_SPEC = ClipSpec(frames=4, short_side=16, size=16)


def film(count: int, height: int = 16, width: int = 24) -> np.ndarray:
    return np.stack([numbered(i, height, width) for i in range(count)])


def shown_numbers(clip: torch.Tensor) -> list[int]:
    return [number(frame) for frame in (clip[0] * 255).permute(1, 2, 3, 0).numpy()]


@given(
    count=st.integers(1, 40),
    frames=st.integers(1, 9),
    stride=st.integers(1, 4),
    overlap=st.floats(0, 0.99),
)
@settings(deadline=None, max_examples=80)
def test_windows_lie_on_one_grid_and_leave_nothing_out(
    count: int, frames: int, stride: int, overlap: float
) -> None:
    clip_spec = replace(CLIP_SPEC, frames=frames, stride=stride)
    found = list(windows(read_video(film(count)), clip_spec, overlap=overlap))
    grid = list(range(0, count, stride))
    step = max(1, round(frames * (1 - overlap)))
    starts = [window.points[0] for window in found]
    assert [window.index for window in found] == list(range(len(found)))
    for window in found:
        assert len(window.points) == len(window.frames) == frames
        assert window.frames.tolist() == [grid[point] for point in window.points]
        assert shown_numbers(window.clip) == window.frames.tolist()
    if len(grid) < frames:
        (window,) = found
        assert window.points.tolist() == list(range(len(grid))) + [len(grid) - 1] * (frames - len(grid))
        assert window.repeated == frames - len(grid)
    else:
        assert all(window.repeated == 0 for window in found)
        assert all((np.diff(window.points) == 1).all() for window in found)
        assert found[-1].points[-1] == len(grid) - 1
        assert starts[:-1] == [i * step for i in range(len(found) - 1)]
        assert 0 <= starts[-1] <= (len(found) - 1) * step


def test_clips_are_scaled_normalised_and_channels_first() -> None:
    clip_spec = replace(CLIP_SPEC, range=(-1.0, 1.0), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    array = np.random.default_rng(0).integers(0, 256, (4, 16, 20, 3), np.uint8)
    (window,) = windows(read_video(array), clip_spec)
    expected = (array / 255 * 2 - 1 - np.array(clip_spec.mean)) / np.array(clip_spec.std)
    assert window.clip.shape == (1, 3, 4, 16, 20)
    assert window.clip.dtype == torch.float32
    assert window.clip.is_contiguous()
    np.testing.assert_allclose(window.clip[0].permute(1, 2, 3, 0).numpy(), expected, atol=1e-5)


def test_frames_are_resized_and_cropped_by_the_geometry() -> None:
    video = read_video(film(4, 48, 96))
    assert next(windows(video, CLIP_SPEC)).clip.shape == (1, 3, 4, 16, 32)
    assert next(windows(video, CLIP_SPEC, crop="center")).clip.shape == (1, 3, 4, 16, 16)
    geometry = Geometry.fit((48, 96), replace(CLIP_SPEC, short_side=32))
    assert next(windows(video, CLIP_SPEC, geometry)).clip.shape == (1, 3, 4, 32, 64)


def test_a_network_for_images_gets_images() -> None:
    clip_spec = replace(CLIP_SPEC, frames=1, image=True)
    found = list(windows(read_video(film(3)), clip_spec))
    assert [window.clip.shape for window in found] == [(1, 3, 16, 24)] * 3
    assert [window.frames.tolist() for window in found] == [[0], [1], [2]]


@pytest.mark.parametrize("rate", [50, 30, 10, 25, Fraction(30000, 1001)])
def test_resampling_takes_the_frame_nearest_in_time(tmp_path: Path, rate: Fraction) -> None:
    count, fps = 30, 25
    video = read_video(encode(tmp_path / "a.mp4", map(numbered, range(count)), rate=rate))
    clip_spec = replace(CLIP_SPEC, fps=fps, frames=1)
    frames = [int(window.frames[0]) for window in windows(video, clip_spec)]
    seconds = np.arange(round(count / rate * fps - 0.51) + 1) / fps
    assert len(frames) == len(seconds)
    distance = np.abs(video.times[None] - seconds[:, None])
    chosen = distance[np.arange(len(seconds)), frames]
    np.testing.assert_allclose(chosen, distance.min(1), atol=1e-6)


def test_resampling_honours_a_variable_frame_rate(tmp_path: Path) -> None:
    stamps = np.cumsum(np.random.default_rng(0).integers(10, 300, 30))
    path = encode(
        tmp_path / "a.mkv", map(numbered, range(30)), stamps=stamps.tolist(), time_base=Fraction(1, 1000)
    )
    video = read_video(path)
    found = list(windows(video, replace(CLIP_SPEC, fps=8, frames=1, stride=2)))
    for window in found:
        distance = np.abs(video.times - 2 * int(window.points[0]) / 8)
        assert distance[window.frames[0]] <= distance.min() + 1e-6
        assert shown_numbers(window.clip) == window.frames.tolist()
    assert video.times[-1] - found[-1].points[0] / 4 < 1 / 4


def test_a_window_is_ready_before_the_rest_is_decoded() -> None:
    video = read_video(film(40))
    decoded = []
    frames = video.decoded_frames()
    video.decoded_frames = lambda: (decoded.append(0) or frame for frame in frames)
    for expected, window in zip((4, 6, 8), windows(video, CLIP_SPEC), strict=False):
        assert len(decoded) == expected
        assert window.frames[-1] == expected - 1


def test_frames_between_sampled_ones_are_not_converted() -> None:
    video = read_video(film(40))
    converted = []
    load = video._load
    video._load = lambda picture: converted.append(0) or load(picture)
    list(windows(video, replace(CLIP_SPEC, stride=5)))
    assert len(converted) == 8


def moving(count: int, speed: float) -> np.ndarray:
    """A texture that moves to the right by `speed` pixels a frame."""
    random = np.random.default_rng(0)
    texture = np.kron(random.integers(40, 216, (8, 24, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    return np.stack([np.roll(texture, round(i * speed), 1)[:, :96] for i in range(count)])


@pytest.mark.parametrize("method", get_args(FlowMethod))
def test_flow_is_the_motion_in_pixels(method: FlowMethod) -> None:
    frames = moving(2, 2)
    found = FLOW_METHODS[method](frames[0], frames[1])
    assert found.shape == (64, 96, 2)
    assert found.dtype == np.float32
    assert abs(np.median(found[8:-8, 16:-16, 0]) - 2) < 0.2
    assert abs(np.median(found[8:-8, 16:-16, 1])) < 0.2


def test_flow_networks_get_flow_divided_by_twenty() -> None:
    clip_spec = replace(CLIP_SPEC, short_side=64, modality="flow", mean=(9.0, 9.0, 9.0))
    found = list(windows(read_video(moving(5, 2)), clip_spec, overlap=0.75))
    assert [window.clip.shape for window in found] == [(1, 2, 4, 64, 96)] * 2
    assert abs(float(found[0].clip[0, 0].median()) - 2 / 20) < 0.01
    assert torch.equal(found[0].clip[:, :, 1:], found[1].clip[:, :, :-1])
    # the last frame has no next one
    assert torch.equal(found[1].clip[:, :, -1], found[1].clip[:, :, -2])


def test_a_flow_network_gets_the_flow_that_its_clip_spec_names() -> None:
    frames = moving(3, 2)
    spec = ClipSpec(3, short_side=64, size=64, modality="flow")
    (tvl1,), (dis,) = (windows(read_video(frames), replace(spec, flow=method)) for method in ("tvl1", "dis"))
    first, second = (FLOW_METHODS["dis"](frames[i], frames[i + 1]) for i in (0, 1))
    expected = np.stack([first, second, second]) / np.float32(20)
    assert torch.allclose(dis.clip[0], torch.from_numpy(expected).permute(3, 0, 1, 2))
    assert not torch.equal(dis.clip, tvl1.clip)


def test_two_streams_get_both_and_each_flow_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count()
    fast = np.full((16, 24, 2), 99, np.float32)
    monkeypatch.setitem(FLOW_METHODS, "tvl1", lambda *_: (next(calls), fast)[1])
    found = list(windows(read_video(film(9)), replace(CLIP_SPEC, modality="rgb+flow"), overlap=0.75))
    assert len(found) == 6
    assert next(calls) <= 9
    rgb, motion = found[-1].clip
    assert shown_numbers(rgb) == [5, 6, 7, 8]
    assert motion.shape == (1, 2, 4, 16, 24)
    assert motion.max() == 1


def test_a_single_frame_has_no_motion() -> None:
    (window,) = windows(read_video(film(1)), replace(CLIP_SPEC, modality="flow"))
    assert window.repeated == 3
    assert not window.clip.any()


def test_what_cannot_be_windowed_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="overlap"):
        windows(read_video(film(1)), CLIP_SPEC, overlap=1)
    with pytest.raises(InputError, match="crop='center'"):
        windows(read_video(film(1, 8, 800)), CLIP_SPEC)

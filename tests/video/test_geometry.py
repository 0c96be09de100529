"""What is marked in a frame comes back where it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import InputError, UsageError
from glocal.video import ClipSpec, Geometry

CLIP_SPEC = ClipSpec(frames=16)


def edges(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


@st.composite
def marked_frames(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int, int, int], str]:
    height, width = draw(st.integers(96, 720)), draw(st.integers(96, 720))
    crop = draw(st.sampled_from(["full", "center"]))
    geometry = Geometry.fit((height, width), CLIP_SPEC, crop)
    # the part of the frame that the network sees, and four cells or pixels as the least that it can resolve
    scale = height / geometry.resized[0], width / geometry.resized[1]
    rectangle = []
    for axis in range(2):
        start, length = geometry.crop[axis], geometry.crop[axis + 2]
        low, high = int(np.ceil(start * scale[axis])), int((start + length) * scale[axis])
        # a side lies on the border, or so far from it that the cell at the border tells
        cell = int(np.ceil(max(1, scale[axis])))
        first = draw(st.just(low) | st.integers(low + cell, high - 5 * cell))
        rectangle += [first, draw(st.just(high) | st.integers(first + 4 * cell, high - cell))]
    return (height, width), tuple(rectangle), crop


@given(marked_frames())
@settings(deadline=None, max_examples=150)
def test_a_bright_rectangle_comes_back_within_one_pixel(case: tuple) -> None:
    size, (top, bottom, left, right), crop = case
    frame = np.zeros((*size, 3), np.uint8)
    frame[top:bottom, left:right] = 255
    geometry = Geometry.fit(size, CLIP_SPEC, crop)
    seen = geometry.forward(frame)
    assert seen.shape[:2] == geometry.crop[2:]
    back = geometry.backward(seen[None, :, :, 0] / np.float32(255))[0]
    assert back.shape == size
    assert np.abs(np.subtract(edges(back >= 0.5), (top, bottom, left, right))).max() <= 1


@pytest.mark.parametrize("size", [(240, 320), (320, 240), (200, 200), (241, 319)])
@pytest.mark.parametrize("crop", ["full", "center"])
@pytest.mark.parametrize("factor", [0.25, 0.5, 2, 3])
def test_maps_on_coarser_and_finer_grids_come_back_where_they_were(
    size: tuple[int, int], crop: str, factor: float
) -> None:
    geometry = Geometry.fit(size, CLIP_SPEC, crop)
    _, _, height, width = geometry.crop
    rows, columns = round(height * factor), round(width * factor)
    maps = np.zeros((1, rows, columns), np.float32)
    box = (rows // 4, rows // 2, columns // 4, columns // 2)
    maps[0, box[0] : box[1], box[2] : box[3]] = 1
    found = edges(geometry.backward(maps)[0] >= 0.5)
    for axis in range(2):
        cells = (rows, columns)[axis]
        for end in range(2):
            position = box[2 * axis + end] * geometry.crop[axis + 2] / cells + geometry.crop[axis]
            expected = position * size[axis] / geometry.resized[axis]
            assert abs(found[2 * axis + end] - expected) <= 1


def test_a_constant_map_fills_the_crop_and_nothing_else() -> None:
    geometry = Geometry.fit((240, 320), CLIP_SPEC, "center")
    back = geometry.backward(np.ones((2, 7, 7), np.float32))
    assert back.dtype == np.float32
    assert set(np.unique(back)) == {0.0, 1.0}
    side = 112 * 240 / 128
    assert abs(back[0].any(1).sum() - side) <= 1
    assert abs(back[0].any(0).sum() - side) <= 1
    assert Geometry.fit((240, 320), CLIP_SPEC, "full").backward(np.ones((1, 7, 9), np.float32)).min() == 1


def test_a_linear_map_stays_linear_between_cell_centres() -> None:
    geometry = Geometry.fit((256, 256), CLIP_SPEC, "full")
    maps = np.broadcast_to(np.arange(8, dtype=np.float32), (1, 8, 8))
    row = geometry.backward(maps)[0, 100]
    expected = np.clip((np.arange(256) + 0.5) * 8 / 256 - 0.5, 0, 7)
    np.testing.assert_allclose(row, expected, atol=1e-6)


def test_one_cell_and_one_pixel_are_enough() -> None:
    geometry = Geometry.fit((1, 1), CLIP_SPEC, "full")
    assert geometry.forward(np.full((1, 1, 3), 7, np.uint8)).shape == (128, 128, 3)
    assert geometry.backward(np.full((1, 1, 1), 3, np.float32)).tolist() == [[[3.0]]]


@pytest.mark.parametrize(
    ("size", "resized"), [((240, 320), (128, 171)), ((320, 240), (171, 128)), ((99, 99), (128, 128))]
)
def test_the_short_side_is_resized_and_the_aspect_kept(
    size: tuple[int, int], resized: tuple[int, int]
) -> None:
    geometry = Geometry.fit(size, CLIP_SPEC)
    assert (geometry.resized, geometry.crop) == (resized, (0, 0, *resized))
    assert Geometry.fit(size, CLIP_SPEC, "center").crop[2:] == (112, 112)


def test_very_long_frames_are_cropped_or_refused_with_advice() -> None:
    with pytest.raises(InputError, match="crop='center'"):
        Geometry.fit((100, 10_000), CLIP_SPEC, "full")
    assert Geometry.fit((100, 10_000), CLIP_SPEC, "center").crop[2:] == (112, 112)
    with pytest.raises(InputError, match="cut the video"):
        Geometry.fit((1, 10_000), CLIP_SPEC, "center")


def test_an_unknown_crop_is_refused() -> None:
    with pytest.raises(UsageError, match="full, center"):
        Geometry.fit((10, 10), CLIP_SPEC, "corner")


@given(
    st.tuples(st.integers(60, 400), st.integers(60, 400)),
    st.sampled_from(["full", "center"]),
    st.integers(8, 500),
)
@settings(deadline=None, max_examples=150)
def test_a_finer_geometry_shows_the_same_part_of_the_frame(
    size: tuple[int, int], crop: str, short_side: int
) -> None:
    geometry = Geometry.fit(size, CLIP_SPEC, crop)
    finer = geometry.finer(short_side)
    assert min(finer.crop[2:]) >= min(geometry.crop[2:]), "never coarser"
    assert finer.resized[0] <= max(size[0], geometry.resized[0]), "never finer than the frame"
    for axis in range(2):
        for resolution, other in ((geometry, finer), (finer, geometry)):
            scale = size[axis] / resolution.resized[axis]
            other_scale = size[axis] / other.resized[axis]
            start, other_start = resolution.crop[axis] * scale, other.crop[axis] * other_scale
            end = start + resolution.crop[axis + 2] * scale
            other_end = other_start + other.crop[axis + 2] * other_scale
            assert abs(start - other_start) <= max(scale, other_scale)
            assert abs(end - other_end) <= 2 * max(scale, other_scale)


@given(st.integers(0, 2**16), st.integers(2, 9), st.integers(2, 9), st.sampled_from(["full", "center"]))
@settings(deadline=None, max_examples=60)
def test_backward_is_linear_and_stays_within_the_range_of_the_map(
    seed: int, rows: int, columns: int, crop: str
) -> None:
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(60, 200, 2).tolist())
    geometry = Geometry.fit(size, CLIP_SPEC, crop)
    a, b = rng.random((2, 1, rows, columns), np.float32)
    np.testing.assert_allclose(
        geometry.backward(2 * a + 3 * b), 2 * geometry.backward(a) + 3 * geometry.backward(b), atol=1e-5
    )
    back = geometry.backward(a)
    inside = geometry.backward(np.ones_like(a)) > 0.5
    assert a.min() - 1e-5 <= back[inside].min()
    assert back[inside].max() <= a.max() + 1e-5
    assert not back[~inside].any()


@pytest.mark.parametrize(
    ("resize", "crop"), [((128, 128), (8, 8, 112, 112)), ((128, 171), (8, 29, 112, 112))]
)
def test_frames_are_resized_whatever_their_proportions_where_that_is_asked_for(
    resize: tuple[int, int], crop: tuple[int, int, int, int]
) -> None:
    clip_spec = ClipSpec(16, resize=resize, size=112, crop="center")
    geometry = Geometry.fit((240, 560), clip_spec)
    assert (geometry.resized, geometry.crop) == (resize, crop)
    assert Geometry.fit((240, 560), clip_spec, "full").crop == (0, 0, *resize)
    frame = np.zeros((240, 560, 3), np.uint8)
    frame[60:120, 200:340] = 255
    maps = geometry.backward(geometry.forward(frame)[None, :, :, 0].astype(np.float32))
    assert np.abs(np.array(edges(maps[0] > 127)) - (60, 120, 200, 340)).max() <= 2


def test_a_resize_is_a_height_and_a_width() -> None:
    for resize in ((0, 3), (3,)):
        with pytest.raises(UsageError, match="resize must be a height and a width of at least 1"):
            ClipSpec(16, resize=resize)  # type: ignore[arg-type]

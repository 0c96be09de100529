"""Regions of masks and their areas, with OpenCV and without."""

from typing import Any

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from glocal.regions.boxes import boxes
from glocal.regions.connected import all_boxes, outer_regions

SIZES = [(24, 30), (9, 40), (1, 12), (12, 1), (1, 1)]


def masks() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    random = [rng.random(size) < share for size in SIZES for share in (0.1, 0.5, 0.9, 1.0)]
    smooth = [gaussian_filter(rng.standard_normal((40, 50)), spread) > 0 for spread in (1, 2, 4)]
    ring = np.zeros((20, 20), bool)
    ring[2:18, 2:18] = True
    ring[4:16, 4:16] = False
    ring[8:11, 8:11] = True  # an island in the hole
    return [*random, *smooth, ring, np.eye(7, dtype=bool), np.zeros((5, 6), bool)]


@pytest.fixture
def no_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glocal.regions.connected.import_if_installed", lambda name: None)


def as_set(found: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(box) for box in found.tolist()}


@pytest.mark.parametrize("mask", masks(), ids=lambda mask: "×".join(map(str, mask.shape)))
def test_labels_find_what_contours_find(mask: np.ndarray, no_opencv: None) -> None:
    pixels = mask.astype(np.uint8)
    contours, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    expected = []
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        expected.append(((x, y, x + width - 1, y + height - 1), cv2.contourArea(contour)))
    assert [tuple(region) for region in outer_regions(mask)] == expected
    contours, tree = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    found: tuple[set[Any], set[Any]] = (set(), set())
    for index, contour in enumerate(contours):
        x, y, width, height = cv2.boundingRect(contour)
        found[int(tree[0, index, 3] >= 0)].add((x, y, x + width, y + height))
    assert tuple(map(as_set, all_boxes(pixels))) == found


def test_with_opencv_the_result_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with_opencv = [(outer_regions(mask), all_boxes(mask.astype(np.uint8))) for mask in masks()]
    monkeypatch.setattr("glocal.regions.connected.import_if_installed", lambda name: None)
    for mask, (regions, (filled, holes)) in zip(masks(), with_opencv, strict=True):
        assert outer_regions(mask) == regions
        without = all_boxes(mask.astype(np.uint8))
        assert (as_set(without[0]), as_set(without[1])) == (as_set(filled), as_set(holes))


def test_the_box_is_around_the_largest_outline(no_opencv: None) -> None:
    attribution = np.zeros((20, 30), np.float32)
    attribution[2:10, 3:9] = 0.8
    attribution[12:15, 20:24] = 1.0
    assert boxes(attribution)[0] == (3, 2, 9, 10, pytest.approx(0.8))
    assert [box[:4] for box in boxes(attribution, multi_contour=True)] == [(20, 12, 24, 15), (3, 2, 9, 10)]

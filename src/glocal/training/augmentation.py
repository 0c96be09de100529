"""How training clips vary: pure functions of frames and random numbers, the same for all frames of a clip."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError, nearest
from glocal.training.recipe import Augmentation
from glocal.types import Frame

OTHER = {"left": "right", "right": "left", "leftwards": "rightwards", "rightwards": "leftwards"}


def mirrored(labels: Sequence[str]) -> tuple[int | None, ...]:
    """For each label, the index of the label of the mirrored clip: itself, unless it tells left from right.

    None where it does so and there is no counterpart: such clips must not be mirrored.
    """
    indices = {label.casefold(): index for index, label in enumerate(labels)}

    def swap(word: re.Match[str]) -> str:
        return OTHER.get(word[0], word[0])

    return tuple(indices.get(re.sub("[a-z]+", swap, label.casefold())) for label in labels)


def reversed_in_time(labels: Sequence[str], backwards: Mapping[str, str]) -> dict[int, int]:
    """Index of a label → that of the label of the clip shown backwards, both ways; see `Augmentation`.

    Raises:
        UsageError: a label that there is not.
    """
    indices: dict[int, int] = {}
    for pair in backwards.items():
        for label in pair:
            if label not in labels:
                hint = nearest(label, list(labels))
                raise UsageError(f"augmentation.backwards names '{label}', which is no label.{hint}")
        one, other = map(list(labels).index, pair)
        indices |= {one: other, other: one}
    return indices


def vary(
    frames: Sequence[Frame], size: int, how: Augmentation, flip: bool, rng: np.random.Generator
) -> list[Frame]:
    """A box of frames `(H, W, 3)` uint8 in other light, `(size, size, 3)`, mirrored if `flip`."""
    top, left, height, width = random_box(frames[0].shape[:2], how, rng)
    light = random_light(how, rng)
    method = cv2.INTER_AREA if height > size else cv2.INTER_LINEAR
    varied = []
    for frame in frames:
        cut: npt.NDArray[Any] = frame[top : top + height, left : left + width]
        cut = cv2.resize(cut, (size, size), interpolation=method)
        if flip:
            cut = cut[:, ::-1]
        varied.append(np.asarray(cv2.LUT(np.ascontiguousarray(cut), light), np.uint8))
    return varied


def random_box(
    frame: tuple[int, ...], how: Augmentation, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """`(top, left, height, width)` within a frame `(H, W)`, of random area and shape where it fits."""
    height, width = frame[:2]
    area = height * width * rng.uniform(*how.area)
    ratio = math.exp(rng.uniform(math.log(how.ratio[0]), math.log(how.ratio[1])))
    h = min(height, max(1, round(math.sqrt(area / ratio))))
    w = min(width, max(1, round(math.sqrt(area * ratio))))
    return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w


def random_light(how: Augmentation, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """`(256,)`: the new value of each value of a pixel."""
    brightness = 1 + rng.uniform(-how.brightness, how.brightness)
    contrast = 1 + rng.uniform(-how.contrast, how.contrast)
    values = (np.arange(256) * brightness - 127.5) * contrast + 127.5
    return np.asarray(values.round().clip(0, 255), np.uint8)

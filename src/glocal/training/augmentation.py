"""Augmentation of training clips, the same for all frames of a clip."""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from glocal.errors import UsageError, nearest
from glocal.training.recipe import AugmentationConfig
from glocal.types import Flow, Frame
from glocal.video.resizing import resize

OPPOSITE_WORDS = {
    "left": "right",
    "right": "left",
    "leftwards": "rightwards",
    "rightwards": "leftwards",
}


def mirrored_labels(labels: Sequence[str]) -> tuple[int | None, ...]:
    """Return, for each label, the index of the label of the mirrored clip.

    This is the label itself, unless it contains a word for left or right. It is None if the label with the
    opposite word is not among the labels; clips of this class must not be mirrored.
    """
    indices = {label.casefold(): index for index, label in enumerate(labels)}

    def swap(word: re.Match[str]) -> str:
        return OPPOSITE_WORDS.get(word[0], word[0])

    return tuple(indices.get(re.sub("[a-z]+", swap, label.casefold())) for label in labels)


def reversed_labels(labels: Sequence[str], backwards: Mapping[str, str]) -> dict[int, int]:
    """Map the index of a label to that of the label of the clip shown backwards, in both directions.

    Args:
        labels: of the training clips.
        backwards: as in `AugmentationConfig`.

    Raises:
        UsageError: a label is unknown.
    """
    indices: dict[int, int] = {}
    for pair in backwards.items():
        for label in pair:
            if label not in labels:
                hint = nearest(label, list(labels))
                raise UsageError(f"augmentation.backwards names '{label}', which is no label.{hint}")
        forward, backward = map(list(labels).index, pair)
        indices |= {forward: backward, backward: forward}
    return indices


def augment_frames(
    frames: Sequence[Frame], size: int, config: AugmentationConfig, *, flip: bool, rng: np.random.Generator
) -> list[Frame]:
    """Cut the same random box out of all frames and change their lighting.

    Args:
        frames: `(H, W, 3)` uint8.
        size: side of the resulting frames `(size, size, 3)`, in pixels.
        config: range of the changes.
        flip: mirror the frames.
        rng: source of the random numbers.
    """
    top, left, height, width = random_box(frames[0].shape[:2], config, rng)
    lighting = random_lighting(config, rng)
    augmented = []
    for frame in frames:
        cut = resize(frame[top : top + height, left : left + width], (size, size))
        augmented.append(lighting[cut[:, ::-1] if flip else cut])
    return augmented


def augment_flow(
    flows: npt.NDArray[np.float32],
    size: int,
    config: AugmentationConfig,
    *,
    flip: bool,
    rng: np.random.Generator,
) -> list[Flow]:
    """Cut the same random box out of all flow fields.

    Args:
        flows: `(n, h, w, 2)`, in pixels.
        size: side of the resulting fields `(size, size, 2)`; their motion is in pixels of the new size.
        config: range of the changes.
        flip: mirror the fields.
        rng: source of the random numbers.
    """
    top, left, height, width = random_box(flows.shape[1:3], config, rng)
    scale = np.array([size / width, size / height], np.float32)
    augmented = []
    for field in flows[:, top : top + height, left : left + width]:
        resized = resize(field, (size, size)) * scale
        augmented.append(resized[:, ::-1] * np.array([-1, 1], np.float32) if flip else resized)
    return augmented


def random_box(
    frame_size: tuple[int, ...], config: AugmentationConfig, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Draw a box `(top, left, height, width)` of random area and aspect ratio inside a frame `(H, W)`."""
    height, width = frame_size[:2]
    area = height * width * rng.uniform(*config.area)
    ratio = math.exp(rng.uniform(math.log(config.ratio[0]), math.log(config.ratio[1])))
    h = min(height, max(1, round(math.sqrt(area / ratio))))
    w = min(width, max(1, round(math.sqrt(area * ratio))))
    return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w


def random_lighting(config: AugmentationConfig, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draw a look-up table `(256,)` of pixel values that changes brightness and contrast."""
    brightness = 1 + rng.uniform(-config.brightness, config.brightness)
    contrast = 1 + rng.uniform(-config.contrast, config.contrast)
    values = (np.arange(256) * brightness - 127.5) * contrast + 127.5
    return np.asarray(values.round().clip(0, 255), np.uint8)

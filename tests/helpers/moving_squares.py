"""A tiny data set that needs motion: a square that moves left, right, up or down over noise."""

from pathlib import Path

import numpy as np

from glocal.video import write_video

CLASSES = ("move down", "move left", "move right", "move up")
STEPS = {"move down": (1, 0), "move left": (0, -1), "move right": (0, 1), "move up": (-1, 0)}


def square(label: str, seed: int, frames: int = 10, size: int = 32) -> np.ndarray:
    """`(frames, size, size, 3)` uint8."""
    rng = np.random.default_rng((seed, CLASSES.index(label)))
    clip = np.broadcast_to(rng.integers(0, 90, (size, size, 3)), (frames, size, size, 3)).astype(np.uint8)
    start = rng.integers(0, size, 2)
    colour = rng.integers(150, 255, 3)
    for t, frame in enumerate(clip):
        y, x = (start + 2 * t * np.array(STEPS[label])) % (size - 8)
        frame[y : y + 8, x : x + 8] = colour
    return clip


def write_squares(root: Path, split: str, videos: int, frames: int = 10) -> Path:
    """`videos` a class, as `<root>/<split>/<class>/<n>.mp4`."""
    for label in CLASSES:
        folder = root / split / label
        folder.mkdir(parents=True)
        for index in range(videos):
            write_video(folder / f"{index}.mp4", square(label, index + 100 * (split == "val"), frames), 10)
    return root

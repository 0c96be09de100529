"""MaxBoxAcc: our sweep against the plain loop of 100 cuts, on maps of 224×224, side by side on one thread."""

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.measure import interleaved
from glocal.evaluation import MaxBoxAcc

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from helpers.reference_maxbox import max_box_acc

SIDE, MAPS, ROUNDS = 224, 4, 3
DELTAS = (0.3, 0.5, 0.7)


def stretched(scores: np.ndarray) -> np.ndarray:
    return (scores - scores.min()) / (scores.max() - scores.min())


def cam(rng: np.random.Generator, cells: int) -> np.ndarray:
    weights = np.maximum(rng.standard_normal((cells, cells)), 0)
    return stretched(cv2.resize(weights, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))


def bumps(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    spots = rng.uniform((30, 30, 10), (190, 190, 50), (3, 3))
    return stretched(sum(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 2 / s**2) for cx, cy, s in spots))


KINDS = {
    "one to three bumps": bumps,
    "CAM of 7×7": lambda rng: cam(rng, 7),
    "CAM of 14×14": lambda rng: cam(rng, 14),
    "sum of CAMs of 7 to 112": lambda rng: stretched(sum(cam(rng, n) for n in (7, 14, 28, 56, 112))),
    "noisy CAM": lambda rng: stretched(np.maximum(cam(rng, 7) + 0.02 * rng.standard_normal((SIDE, SIDE)), 0)),
    "noise": lambda rng: rng.random((SIDE, SIDE)),
}


def truth(rng: np.random.Generator) -> np.ndarray:
    corner, sides = rng.integers(0, SIDE // 2, 2), rng.integers(SIDE // 8, SIDE // 2, 2)
    return np.concatenate([corner, corner + sides])[None]


def run() -> dict[str, Any]:
    """Milliseconds a map, and the ratio, for each kind of map, with the largest and with all contours."""
    cv2.setNumThreads(1)
    results: dict[str, Any] = {}
    print(f"\n{'MaxBoxAcc, ms a map':28}{'contours':>10}{'loop':>9}{'glocal':>9}{'ratio':>8}")
    for kind, draw in KINDS.items():
        rng = np.random.default_rng(0)
        count = 1 if kind == "noise" else MAPS
        maps, truths = [draw(rng) for _ in range(count)], [truth(rng) for _ in range(count)]
        for multi, word in ((False, "largest"), (True, "all")):
            metric = MaxBoxAcc(DELTAS, multi_contour=multi)

            def ours(
                metric: MaxBoxAcc = metric, maps: Any = maps, truths: Any = truths
            ) -> dict[float, float]:
                metric.reset()
                for scores, boxes in zip(maps, truths, strict=True):
                    metric.update(scores, boxes)
                return metric.compute()

            def loop(multi: bool = multi, maps: Any = maps, truths: Any = truths) -> dict[float, float]:
                return max_box_acc(maps, truths, DELTAS, multi)[0]

            assert ours() == loop()
            seconds = interleaved({"loop": loop, "glocal": ours}, ROUNDS)
            row = {name: 1e3 * value / count for name, value in seconds.items()}
            row["ratio"] = row["loop"] / row["glocal"]
            results[f"{kind}, {word}"] = row
            print(f"{kind:28}{word:>10}{row['loop']:9.2f}{row['glocal']:9.2f}{row['ratio']:8.1f}")
    return results

"""The evaluation of MaxBoxAcc as Choe et al. (CVPR 2020) run it: every threshold cut, every contour boxed."""

from typing import Any

import cv2
import numpy as np

THRESHOLDS = np.arange(0, 1, 0.01)


def boxes_at_thresholds(scores: np.ndarray, multi: bool) -> list[list[list[Any]]]:
    height, width = scores.shape
    image = np.expand_dims((scores * 255).astype(np.uint8), 2)
    found = []
    for threshold in THRESHOLDS:
        _, mask = cv2.threshold(image, int(threshold * np.max(image)), 255, cv2.THRESH_BINARY)
        contours = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
        if len(contours) == 0:
            found.append([[0, 0, 0, 0]])
            continue
        if not multi:
            contours = [max(contours, key=cv2.contourArea)]
        rectangles = [cv2.boundingRect(contour) for contour in contours]
        found.append([[x, y, min(x + w, width - 1), min(y + h, height - 1)] for x, y, w, h in rectangles])
    return found


def iou(a: list[int], b: list[int]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    common = max(0, width) * max(0, height)
    sizes = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return common / (sum(sizes) - common)


def max_box_acc(
    maps: list[np.ndarray], truths: list[list[list[Any]]], deltas: tuple[float, float, float], multi: bool
) -> tuple[dict[float, float], dict[float, np.ndarray]]:
    """δ → share of maps, at the best threshold."""
    hits = {delta: np.zeros(len(THRESHOLDS)) for delta in deltas}
    for scores, truth in zip(maps, truths, strict=True):
        best = [max(iou(a, b) for a in boxes for b in truth) for boxes in boxes_at_thresholds(scores, multi)]
        for delta in deltas:
            hits[delta] += np.array(best) >= delta
    return {delta: (count / len(maps)).max() for delta, count in hits.items()}, hits

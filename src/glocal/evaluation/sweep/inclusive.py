"""Boxes as the evaluator of Choe et al. takes them: both corners belong to them."""

from collections.abc import Sequence

Box = tuple[int, int, int, int]
"""Inclusive pixels x0, y0, x1, y1."""


def size(box: Box) -> int:
    """Pixels of a box."""
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)


def inside(inner: Box, outer: Box) -> bool:
    """Whether a box lies in another."""
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def around(boxes: Sequence[Box]) -> Box:
    """The tight box of boxes."""
    if len(boxes) == 1:
        return boxes[0]
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


class Truth:
    """The true boxes of a map."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.boxes = [(x0, y0, x1, y1, size((x0, y0, x1, y1))) for x0, y0, x1, y1 in boxes]

    def overlaps(self, box: Box) -> list[tuple[int, int]]:
        """Pixels in common with each true box, and that one's size."""
        x0, y0, x1, y1 = box
        found = []
        for a0, b0, a1, b1, whole in self.boxes:
            width = (x1 if x1 < a1 else a1) - (x0 if x0 > a0 else a0) + 1
            height = (y1 if y1 < b1 else b1) - (y0 if y0 > b0 else b0) + 1
            found.append((width * height if width > 0 and height > 0 else 0, whole))
        return found

    def iou(self, box: Box) -> float:
        """The best over the true boxes."""
        mine = size(box)
        return max([common / (mine + whole - common) for common, whole in self.overlaps(box)])

    def bounds(self, inner: Box, outer: Box) -> tuple[float, float]:
        """The lowest and the highest IoU of boxes between two nested ones."""
        least, most = size(inner), size(outer)
        low = high = 0.0
        for (few, whole), (many, _) in zip(self.overlaps(inner), self.overlaps(outer), strict=True):
            low = max(low, few / (most + whole - many))
            high = max(high, many / (least + whole - few))
        return low, high

    def reach(self, outer: Box, least: float) -> float:
        """The highest IoU of boxes inside `outer` that have at least `least` pixels."""
        return max([common / max(whole, least + whole - common) for common, whole in self.overlaps(outer)])

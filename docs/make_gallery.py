"""Draw docs/pictures/photographs.jpg: `pip install scikit-image`, then `python docs/make_gallery.py`.

The photographs are scikit-image's `coffee` (Rachel Michetti) and `chelsea` (Stefan van der Walt), both CC0.
The boxes of the cup and of the cat are drawn by hand.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

import glocal
from glocal.evaluation import MaxBoxAcc
from glocal.localization import boxes, iou
from glocal.report.drawing import draw_boxes, overlay
from glocal.report.figure_grid import PictureRow, figure_grid, save_figure
from glocal.report.figures import FIGURE_STYLE
from glocal.types import AttributionMap, Frame, ScoredBox

PICTURES = Path(__file__).with_name("pictures")
PHOTOGRAPHS = {
    "coffee.png": ("espresso", ScoredBox(172, 17, 412, 308, 1)),
    "chelsea.png": ("Egyptian cat", ScoredBox(0, 0, 366, 300, 1)),
}
"""File in scikit-image → the class that is explained, and the true box."""
METHODS: Mapping[str, Mapping[str, object]] = {
    "2DCAM, sum": {"method": "3dcam", "aggregate": "sum"},
    "2DCAM, auto": {"method": "3dcam", "aggregate": "auto"},
    "Grad-CAM, layer4": {"method": "gradcam", "layers": ["layer4"]},
    "Grad-CAM, sum": {"method": "gradcam", "aggregate": "sum"},
    "LayerCAM, auto": {"method": "layercam", "aggregate": "auto"},
}
DELTAS = (0.3, 0.5, 0.7)
TRUE_COLOUR = (255, 255, 255)


def best_box(attribution: AttributionMap, truth: ScoredBox) -> ScoredBox:
    """The box of the largest region at the threshold, of 99, at which it is nearest to the truth."""
    found = [region for step in range(1, 100) for region in boxes(attribution, step / 100)[:1]]
    return max(found, key=lambda box: iou(box[:4], truth[:4]))


def explained(picture: Frame, attribution: AttributionMap, truth: ScoredBox) -> Frame:
    """The overlay with the true box in white, the nearest box, and its IoU."""
    drawn = overlay(picture, attribution / attribution.max(), FIGURE_STYLE)
    nearest = best_box(attribution, truth)
    draw_boxes(drawn, [truth], TRUE_COLOUR)
    draw_boxes(drawn, [nearest])
    text = f"IoU {iou(nearest[:4], truth[:4]):.2f}"
    size = drawn.shape[0] / 200
    for colour, thickness in (((0, 0, 0), 8), (TRUE_COLOUR, 3)):
        place = (12, drawn.shape[0] - 16)
        cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA)
    return drawn


def row(model: glocal.Model, path: Path, label: str, truth: ScoredBox) -> Sequence[Frame]:
    """The photograph, and what each method highlights for a class; the figures are printed."""
    picture = glocal.read_video(path)[0]
    pictures = [picture]
    for title, options in METHODS.items():
        attribution = glocal.explain(model, path, target=label, **options).frame(0)
        metric = MaxBoxAcc(DELTAS)
        metric.update(attribution / attribution.max(), np.array([truth[:4]]) - [0, 0, 1, 1])
        print(path.name, title, metric.compute())
        pictures.append(explained(picture, attribution, truth))
    return [cv2.resize(shown, (600, 400), interpolation=cv2.INTER_AREA) for shown in pictures]


spec = find_spec("skimage")
folder = Path(spec.origin).with_name("data") if spec and spec.origin else None
assert folder is not None, "scikit-image is not installed"
network = glocal.load_model("efficientnet-lite0")
rows = [
    PictureRow(label, row(network, folder / name, label, truth))
    for name, (label, truth) in PHOTOGRAPHS.items()
]
png, pdf = save_figure(figure_grid(rows, ["photograph", *METHODS]), PICTURES / "photographs")
small = cv2.resize(cv2.imread(str(png)), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
cv2.imwrite(str(PICTURES / "photographs.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 85])
png.unlink()
pdf.unlink()

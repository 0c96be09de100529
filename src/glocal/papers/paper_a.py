"""The localization tables of paper A (Yudistira et al.), with the published figures.

A row is named as `view.row_name` does: method, aggregate, places of the layers from the stem up.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from glocal.papers.localization import OPTIONS, localize
from glocal.papers.scores import MaxBox, Points
from glocal.papers.table import Context, Rows, Table

Published = Mapping[str, Mapping[str, float]]
VIDEOS = {
    "puppets": "puppets/resnext3d",
    "jhmdb": "resnext3d-101",
    "ucf24": "resnext3d-101",
    "surveillance-fight": "resnext3d-101",
    "csv": "resnext3d-101",
}
IMAGES = {"puppets": "puppets/resnext3d", "ilsvrc": "resnet2d-50"}
DELTAS = {"ucf24": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)}
USUAL = (0.3, 0.5, 0.7)
LAST = "gradcam one 4"
ALL = "3dcam sum 0+1+2+3+4"
MEAN = "3dcam mean 0+1+2+3+4"


def _under(columns: Sequence[str], rows: Mapping[str, Sequence[float]]) -> Published:
    return {name: dict(zip(columns, values, strict=True)) for name, values in rows.items()}


TABLE_3: Published = {
    LAST: {"hit_any": 0.988},
    "3dcam one 0": {"hit_any": 0.821},
    "3dcam one 1": {"hit_any": 0.956},
    "3dcam one 2": {"hit_any": 0.951},
    "3dcam one 3": {"hit_any": 0.825},
    "3dcam one 4": {"hit_any": 0.976},
    ALL: {"hit_any": 0.991},
}
TABLE_4: Published = {
    LAST: {"Acc 0.5": 0.08, "Acc 0.6": 0.013},
    MEAN: {"Acc 0.5": 0.089, "Acc 0.6": 0.008},
    ALL: {"Acc 0.5": 0.127, "Acc 0.6": 0.05},
}
TABLE_5: Published = {
    LAST: {"Acc2 0.5": 0.052, "Acc2 0.6": 0.003},
    MEAN: {"Acc2 0.5": 0.052, "Acc2 0.6": 0.052},
    ALL: {"Acc2 0.5": 0.076, "Acc2 0.6": 0.03},
}
TABLE_8: Published = {name: TABLE_5[name] for name in (LAST, ALL)}
SIX = (*(f"{delta:g}" for delta in DELTAS["ucf24"]), "average")
TABLE_6 = _under(
    SIX,
    {
        "3dcam one 0": (0.225, 0.211, 0.173, 0.133, 0.118, 0.090, 0.159),
        "3dcam one 1": (0.827, 0.651, 0.38, 0.196, 0.099, 0.044, 0.366),
        "3dcam one 2": (0.826, 0.651, 0.375, 0.19, 0.09, 0.044, 0.364),
        "3dcam one 3": (0.828, 0.651, 0.373, 0.19, 0.090, 0.038, 0.365),
        "3dcam one 4": (0.826, 0.651, 0.373, 0.191, 0.090, 0.038, 0.361),
        "3dcam sum 0+1": (0.835, 0.676, 0.426, 0.238, 0.132, 0.063, 0.395),
        "3dcam sum 0+1+2+3": (0.826, 0.651, 0.378, 0.215, 0.099, 0.051, 0.37),
        "gradcam sum 0+1": (0.826, 0.651, 0.373, 0.191, 0.090, 0.038, 0.361),
    },
)
TABLE_7 = _under(
    ("0.3", "0.5", "0.7", "average"),
    {
        LAST: (0.803, 0.589, 0.317, 0.57),
        "gradcam sum 2+3+4": (0.79, 0.622, 0.335, 0.582),
        "3dcam sum 2+3+4": (0.819, 0.622, 0.354, 0.598),
    },
)


HITS, ACC, ACC2 = ("hit_any", "hit_max", "hit_any2"), ("Acc 0.5", "Acc 0.6"), ("Acc2 0.5", "Acc2 0.6")


def _points(columns: Sequence[str], judge: str, published: Published, context: Context) -> Rows:
    return localize(context, Points(columns, judge), published, "JHMDB")


def _maxbox(context: Context) -> Rows:
    # The paper's mean is over its own thresholds.
    lost = () if context.data in DELTAS else ("average",)
    published = {row: {c: v for c, v in found.items() if c not in lost} for row, found in TABLE_6.items()}
    return localize(context, MaxBox(DELTAS.get(context.data, USUAL)), published, "UCF24")


def _images(context: Context) -> Rows:
    return localize(context, MaxBox(USUAL, every=True), TABLE_7, "ILSVRC")


def _table(
    number: int, title: str, run: Callable[[Context], Rows], data: Mapping[str, str] = VIDEOS
) -> Table:
    return Table(f"paper-a/{number}", title, data, run, {**OPTIONS, "sizes": number == 6})


TABLES = (
    _table(3, "hit points", partial(_points, HITS, "hit_max", TABLE_3)),
    _table(4, "Acc, boxes", partial(_points, ACC, "Acc 0.5", TABLE_4)),
    _table(5, "Acc2, boxes of the right class", partial(_points, ACC2, "Acc2 0.5", TABLE_5)),
    _table(6, "MaxBoxAcc of layers and sums", _maxbox),
    _table(7, "MaxBoxAcc of images, all contours", _images, IMAGES),
    _table(8, "Acc2, Grad-CAM against Sum 3DCAM", partial(_points, ACC2, "Acc2 0.5", TABLE_8)),
)

"""Small data sets in the layouts in which they are published."""

import pickle
from pathlib import Path

import numpy as np
import scipy.io

from glocal.datasets import jhmdb
from helpers.moving_squares import square
from helpers.video_files import encode


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def film(path: Path, codec: str = "mpeg4") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return encode(path, square("move up", 0), codec=codec)


def write_ucf101(root: Path) -> Path:
    lists = root / "ucfTrainTestlist"
    put(lists / "classInd.txt", "1 Archery\n2 Biking\n")
    put(lists / "trainlist01.txt", "Archery/v_Archery_g01_c01.avi 1\r\nBiking/v_Biking_g01_c01.avi 2\r\n")
    put(lists / "testlist01.txt", "Biking/v_Biking_g02_c01.avi\n")
    for name in ("Archery/v_Archery_g01_c01", "Biking/v_Biking_g01_c01", "Biking/v_Biking_g02_c01"):
        film(root / f"{name}.avi")
    return root


XML = """<annotation><folder>val</folder><filename>{name}</filename>
<size><width>32</width><height>24</height><depth>3</depth></size>
<object><name>n01440764</name><bndbox><xmin>0</xmin><ymin>3</ymin><xmax>31</xmax><ymax>9</ymax></bndbox></object>
<object><name>n01440764</name><bndbox><xmin>4</xmin><ymin>5</ymin><xmax>6</xmax><ymax>7</ymax></bndbox></object>
</annotation>"""


def write_ilsvrc(root: Path, *xml: str) -> Path:
    for number, text in enumerate(xml or (XML,), 1):
        name = f"ILSVRC2012_val_{number:08d}"
        put(root / "ILSVRC" / "Annotations" / "CLS-LOC" / "val" / f"{name}.xml", text)
        image = root / "ILSVRC" / "Data" / "CLS-LOC" / "val" / f"{name}.JPEG"
        image.parent.mkdir(parents=True, exist_ok=True)
        jpeg = encode(
            root / "frame.jpg", [np.zeros((24, 32, 3), np.uint8)], codec="mjpeg", pix_fmt="yuvj420p"
        )
        jpeg.rename(image)
    return root


CLIP = "Basketball/v_Basketball_g01_c01"


def write_ucf24(root: Path, kind: type = np.uint8) -> None:
    """Two clips, the first with two actors."""
    boxes = np.array([[200, 100, 100, 120], [210, 100, 100, 120]], kind)
    content = {
        CLIP: {
            "label": 0,
            "numf": np.uint8(10),
            "annotations": [
                {"label": 0, "sf": 3, "ef": 5, "boxes": boxes},
                {"label": 0, "sf": 4, "ef": 5, "boxes": boxes[:1] // 2},
            ],
        },
        "Biking/v_Biking_g02_c01": {"label": 2, "numf": (), "annotations": []},
    }
    root.mkdir(parents=True, exist_ok=True)
    (root / "pyannot.pkl").write_bytes(pickle.dumps(content, 3))
    (root / "testlist01.txt").write_text(f"{CLIP}\n\n")
    for name in content:
        (root / f"{name}.avi").parent.mkdir(parents=True, exist_ok=True)
        encode(root / f"{name}.avi", square("move up", 0, size=64), codec="mpeg4")


def write_jhmdb(root: Path) -> None:
    """Two clips of 20 × 30 pixels, whose masks move to the right; every class has its list."""
    for label in jhmdb.CLASSES:
        for fold in jhmdb.FOLDS:
            list_ = root / "splits" / f"{label}_test_split{fold}.txt"
            list_.parent.mkdir(parents=True, exist_ok=True)
            list_.write_text("one_jump.avi 1\ntwo_jump.avi 2 \n" if label == "jump" else "")
    for name in ("one_jump", "two_jump"):
        frames = square("move right", 1, frames=4)
        folder = root / "Rename_Images" / "jump" / name
        folder.mkdir(parents=True)
        encode(folder / "%05d.png", frames, codec="png", pix_fmt="rgb24")
        mask = np.zeros((32, 32, 4), np.uint8)
        for t in range(3):
            mask[5:9, 2 + t : 10 + t, t] = 1
        (root / "puppet_mask" / "jump" / name).mkdir(parents=True)
        scipy.io.savemat(root / "puppet_mask" / "jump" / name / "puppet_mask.mat", {"part_mask": mask})

"""ILSVRC localization: images of 1,000 classes with boxes of the objects."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from tqdm import tqdm

from glocal.datasets.annotations import (
    MissingAnnotationsError,
    check_split,
    first_existing,
    parsing,
    path_below,
    read_lines,
    read_text,
    unreadable_error,
)
from glocal.datasets.dataset import Dataset, Record, register
from glocal.errors import InputError
from glocal.types import Box
from glocal.utils.files import printable

SPLITS = ("val",)
TEXT_FILES = ("image_ids", "class_labels", "image_sizes", "localization")


def list_records(root: Path, split: str = "val", annotations: Path | None = None) -> list[Record]:
    """List the images of a split with the boxes of their class, as frame 0.

    Labels are WordNet numbers (n01440764 …) if the annotations are XML, and class numbers from 0, as text, if
    they are plain text.

    Args:
        root: the folder `ILSVRC`, or the one that holds it, with images in `Data/CLS-LOC/<split>` and boxes
            in `Annotations/CLS-LOC/<split>` (PASCAL VOC).
        annotations: another folder of the XML files; or that of the plain-text metadata of Choe et al.
            (CVPR 2020), `image_ids.txt`, `class_labels.txt`, `image_sizes.txt` and `localization.txt`, or
            the same with `val-` before the names; images are named from `root`.

    Raises:
        InputError: the annotations cannot be read, or do not fit their format.
        UsageError: the split is unknown.
    """
    check_split(split, SPLITS)
    root = Path(root)
    folder = Path(annotations) if annotations else None
    if (
        folder
        and (ids := first_existing(folder / f"{split}-image_ids.txt", folder / "image_ids.txt")).exists()
    ):
        return list(_from_text(root, ids))
    base = first_existing(root / "ILSVRC", root)
    folder = folder or base / "Annotations" / "CLS-LOC" / split
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".xml"))
    except OSError as problem:
        raise unreadable_error(folder, problem) from None
    if not names:
        raise MissingAnnotationsError(
            f"{printable(folder)} holds no annotations, neither XML files nor image_ids.txt."
        )
    bar = tqdm(names, desc="read the boxes", unit="image", leave=False, disable=None)
    return [_from_xml(base / "Data" / "CLS-LOC" / split, folder / name) for name in bar]


def _from_xml(images: Path, file: Path) -> Record:
    path = images / f"{file.stem}.JPEG"
    try:
        tree = _parse_xml(file)
        with parsing(printable(file), "size and objects with name and bndbox"):
            size = (int(tree.findtext("size/width", "")), int(tree.findtext("size/height", "")))
            boxes = [_xml_box(box) for box in tree.findall("object/bndbox")]
            labels = {name.text or "" for name in tree.findall("object/name")}
            if len(labels) != 1:
                raise ValueError(f"{len(labels)} classes of objects")
    except InputError as problem:
        return Record(path, "", problem=str(problem))
    return Record(path, labels.pop(), tubes=tuple({0: box} for box in boxes), size=size)


def _parse_xml(file: Path) -> ElementTree.Element:
    """Parse an XML file; one with a document type is refused, as its entities can grow without bounds."""
    content = read_text(file)
    if "<!DOCTYPE" in content or "<!ENTITY" in content:
        raise InputError(
            f"{printable(file)} declares a document type, which no annotation needs; it was not read."
        )
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError) as problem:
        raise InputError(f"{printable(file)} is not XML ({problem}).") from None


def _xml_box(box: ElementTree.Element) -> Box:
    return _half_open([int(box.findtext(side, "")) for side in ("xmin", "ymin", "xmax", "ymax")])


def _half_open(box: list[int]) -> Box:
    """Convert a box whose last row and column are inclusive, as in both forms of the annotations."""
    x0, y0, x1, y1 = box
    return x0, y0, x1 + 1, y1 + 1


def _from_text(root: Path, ids: Path) -> Iterator[Record]:
    labels, sizes, boxes = (
        _table(ids.with_name(ids.name.replace("image_ids", name))) for name in TEXT_FILES[1:]
    )
    for where, name in read_lines(ids):
        with parsing(where, "a class, a size and a box of the image in the other three files"):
            (((label,),), ((width, height),)) = labels[name], sizes[name]
            tubes = tuple({0: _half_open([x0, y0, x1, y1])} for x0, y0, x1, y1 in boxes[name])
        yield Record(path_below(root, name, where), str(label), tubes=tubes, size=(width, height))


def _table(path: Path) -> Mapping[str, list[list[int]]]:
    """Image → the numbers of each of its lines `<image>,<number>,…`."""
    table = defaultdict(list)
    for where, line in read_lines(path):
        with parsing(where, "an image and whole numbers, with commas between"):
            name, *numbers = line.split(",")
            table[name].append([int(number) for number in numbers])
    return dict(table)


register(Dataset("ilsvrc", "ILSVRC localization: images of 1,000 classes with boxes", list_records, SPLITS))

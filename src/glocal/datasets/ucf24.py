"""UCF24 (UCF101-24): 24 classes of UCF101 with a box for every actor in every frame."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from glocal.datasets.annotations import check_split, first_existing, parsing, path_below, read_lines
from glocal.datasets.dataset import Dataset, Record, register
from glocal.datasets.untrusted_files import read_matlab, read_pickle
from glocal.errors import InputError
from glocal.types import BoxTrack
from glocal.utils.files import printable

TITLE = "UCF101-24: 24 classes of UCF101 with boxes of all actors"
SPLITS = ("train", "test")
FOLDS = (1, 2, 3)
SIZE = (320, 240)
CLASSES = (
    "Basketball",
    "BasketballDunk",
    "Biking",
    "CliffDiving",
    "CricketBowling",
    "Diving",
    "Fencing",
    "FloorGymnastics",
    "GolfSwing",
    "HorseRiding",
    "IceDancing",
    "LongJump",
    "PoleVault",
    "RopeClimbing",
    "SalsaSpin",
    "SkateBoarding",
    "Skiing",
    "Skijet",
    "SoccerJuggling",
    "Surfing",
    "TennisSwing",
    "TrampolineJumping",
    "VolleyballSpiking",
    "WalkingWithDog",
)


class ClipAnnotation(NamedTuple):
    """A clip's annotations: one tube for each actor."""

    label: str
    frames: int | None
    tubes: tuple[BoxTrack, ...]


def list_records(
    root: Path, split: str = "train", fold: int = 1, annotations: Path | None = None
) -> list[Record]:
    """List the clips of a split, `<root>/<Class>/v_<Class>_gXX_cYY.avi`.

    Args:
        fold: 1 to 3: clips in `testlist0N.txt` are for testing, all others for training.
        annotations: folder of `pyannot.pkl` (or `finalAnnots.mat`) and the list, or the path of one of the
            two files; by default `root`, its `splitfiles`, or for the list its `ucfTrainTestlist`.

    Raises:
        InputError: the annotations cannot be read, or do not fit their format.
        UsageError: the split or fold is unknown.
    """
    check_split(split, SPLITS, fold, FOLDS)
    root = Path(root)
    folder = Path(annotations) if annotations else root
    given_file = None if folder.is_dir() or not annotations else folder
    folder = folder.parent if given_file else folder
    places = (folder, folder / "splitfiles")
    file = given_file or first_existing(
        *(p / name for name in ("pyannot.pkl", "finalAnnots.mat") for p in places)
    )
    clips = read_annotations(file)
    test_names = set(
        _read_names(
            first_existing(*(p / f"testlist{fold:02d}.txt" for p in (*places, root / "ucfTrainTestlist")))
        )
    )
    return [
        Record(
            path_below(root, f"{name}.avi", printable(file)), clip.label, None, clip.tubes, SIZE, clip.frames
        )
        for name, clip in sorted(clips.items())
        if (name in test_names) == (split == "test")
    ]


def read_annotations(path: Path) -> dict[str, ClipAnnotation]:
    """Read each clip's annotations, by `Class/v_Class_gXX_cYY`, from `pyannot.pkl` or `finalAnnots.mat`.

    Boxes are converted from `x, y, w, h`; frames count from 0.

    Raises:
        InputError: the file cannot be read, or does not fit its format.
    """
    path = Path(path)
    clips = dict(_from_matlab(path) if path.suffix == ".mat" else _from_pickle(path))
    if not clips:
        raise InputError(f"{printable(path)} lists no clips.")
    return clips


def _from_pickle(path: Path) -> Iterator[tuple[str, ClipAnnotation]]:
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise InputError(f"{printable(path)} must hold a dict, not a {type(content).__name__}.")
    for name, clip in content.items():
        with parsing(f"{printable(path)}, key {name!r}", "label, numf and annotations with sf, ef and boxes"):
            tubes = tuple(_tube(tube["sf"], tube["ef"], tube["boxes"]) for tube in clip["annotations"])
            frames = clip["numf"] if isinstance(clip["numf"], int) else None
            yield name, ClipAnnotation(_class_of(name), frames, tubes)


def _from_matlab(path: Path) -> Iterator[tuple[str, ClipAnnotation]]:
    for number, clip in enumerate(read_matlab(path, "annot").ravel(), 1):
        with parsing(f"{printable(path)}, entry {number}", "name, num_imgs and tubes with sf, ef and boxes"):
            tubes = tuple(
                _tube(tube["sf"].item() - 1, tube["ef"].item(), tube["boxes"])
                for tube in clip["tubes"].ravel()
            )
            name = str(clip["name"].item())
            yield name, ClipAnnotation(_class_of(name), int(clip["num_imgs"].item()), tubes)


def _class_of(name: str) -> str:
    """The class of a clip, which is its folder."""
    label, file = name.split("/")
    if not file.startswith(f"v_{label}_"):
        raise ValueError("a name Class/v_Class_gXX_cYY")
    return label


def _tube(start: int, end: int, boxes: Any) -> BoxTrack:
    """Boxes of the frames in [start, end)."""
    corners = np.asarray(boxes).astype(np.int64)  # of a byte, x + w would overflow
    if corners.shape != (end - start, 4) or start < 0:
        raise ValueError(f"frames {start} to {end} with boxes of shape {corners.shape}")
    corners[:, 2:] += corners[:, :2]
    tube: Mapping[int, Any] = dict(enumerate(map(tuple, corners.tolist()), start))
    return tube


def _read_names(path: Path) -> Iterator[str]:
    """Names of the clips in a list of UCF24, or of UCF101, which has suffixes and may have labels."""
    for where, line in read_lines(path):
        name = PurePosixPath(line.split()[0])
        if len(name.parts) != 2:
            raise InputError(f"{where}: expected Class/v_Class_gXX_cYY, not '{line}'.")
        yield str(name.with_suffix("") if name.suffix == ".avi" else name)


register(Dataset("ucf24", TITLE, list_records, SPLITS, FOLDS, CLASSES))

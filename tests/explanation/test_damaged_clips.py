"""A damaged clip gives the same explanation each time: byte for byte, in JSON and in the arrays."""

import hashlib
import random
from pathlib import Path

import numpy as np
import pytest

import glocal
from glocal.errors import InputError
from helpers.networks import Small3d, seeded
from helpers.video_files import encode

CLIP = glocal.ClipSpec(frames=4, size=16, short_side=16)


@pytest.fixture(scope="module")
def model() -> glocal.Model:
    network = seeded(Small3d(inplace=False)).eval()
    return glocal.as_model(network, CLIP, labels=list("abcde"), layers=["layer2"], name="small")


def digests(model: glocal.Model, path: Path, out: Path) -> str:
    """Digest of the files of an explanation, and of the frames under it."""
    video = glocal.read_video(path)
    explanation = glocal.explain(model, video)
    file = explanation.save(out, "clip")
    content = [file.read_bytes(), file.with_suffix(".npz").read_bytes()]
    content += [frame.tobytes() for frame in video]
    return hashlib.sha256(b"".join(content)).hexdigest()


def assert_same(model: glocal.Model, path: Path, folder: Path) -> None:
    """The explanation is the same three times."""
    assert len({digests(model, path, folder / f"{path.stem}-{number}") for number in range(3)}) == 1


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video"])
def test_a_damaged_clip_is_explained_the_same_three_times(
    model: glocal.Model, tmp_path: Path, codec: str
) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(20)]
    path = encode(tmp_path / "clip.avi", frames, codec, b_frames=2)
    whole, damage = path.read_bytes(), random.Random(1)
    explained = 0
    for number in range(4):
        data = bytearray(whole)
        for _ in range(3):
            place = damage.randrange(len(data) // 4, len(data) - 200)
            data[place : place + 60] = damage.randbytes(60)
        damaged = tmp_path / f"{number}.avi"
        damaged.write_bytes(bytes(data))
        try:
            assert_same(model, damaged, tmp_path)
            explained += 1
        except InputError:
            continue
    assert explained


def test_a_clip_that_decoded_differently_is_explained_the_same(
    model: glocal.Model, shared: Path, tmp_path: Path
) -> None:
    path = shared / "cases" / "damaged-not-reproducible" / "corrupt.mp4"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    assert_same(model, path, tmp_path)

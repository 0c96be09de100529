"""Hostile files of each kind, made here: good ones that are damaged, and ones that announce the impossible."""

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.torch
import scipy.io
import torch
from PIL import Image

import glocal
from glocal.explanation.parts import ExplainedClass, Prediction, VideoFacts
from glocal.explanation.volume import Volume
from glocal.video import Geometry
from helpers.video_files import encode, numbered
from hostile.mutations import mutated


class HostileFile(NamedTuple):
    """A file to be read, by the name of its reader in `hostile.reading`."""

    reader: str
    path: Path


def damaged(folder: Path, reader: str, seeds: list[Path], count: int) -> Iterator[HostileFile]:
    """`count` damaged copies of good files in turn; files of the same stem beside a seed are copied as they are."""
    for number in range(count):
        seed = seeds[number % len(seeds)]
        name, content = mutated(seed.read_bytes(), number)
        target = folder / f"{number:04d}-{name}" / seed.name
        target.parent.mkdir(parents=True)
        target.write_bytes(content)
        for other in seed.parent.glob(f"{seed.stem}.*"):
            if other != seed:
                (target.parent / other.name).write_bytes(other.read_bytes())
        path = target.with_suffix(".json") if reader == "explanation" else target
        yield HostileFile(reader, path)


def videos(folder: Path, count: int) -> Iterator[HostileFile]:
    seeds = folder / "seeds"
    seeds.mkdir(parents=True)
    frames = [numbered(i, 32, 48) for i in range(16)]
    made = [
        encode(seeds / "h264.mp4", frames, b_frames=2),
        encode(seeds / "h265.mkv", [numbered(i, 96, 128) for i in range(16)], "libx265"),
        encode(seeds / "mpeg4.avi", frames, "mpeg4"),
        encode(seeds / "vp9.webm", frames, "libvpx-vp9"),
        encode(seeds / "mpeg2.ts", frames, "mpeg2video"),
        encode(seeds / "mjpeg.mov", frames, "mjpeg", pix_fmt="yuvj420p"),
        encode(seeds / "raw.y4m", frames[:3], "rawvideo"),
        encode(seeds / "flv.flv", frames, "flv"),
    ]
    yield from damaged(folder, "video", made, count - len(VIDEO_TEXTS))
    for number, content in enumerate(VIDEO_TEXTS):
        path = folder / f"text-{number}.mp4"
        path.write_bytes(content)
        yield HostileFile("video", path)


VIDEO_TEXTS = [
    b"#EXTM3U\nfile:///etc/passwd\n",
    b"ffconcat version 1.0\nfile /etc/passwd\n",
    b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    b"\0\0\0\x18ftypisom\0\0\0\0" + b"\xff" * 99,
    b"\0\0\0\x01ftyp" + struct.pack(">Q", 1 << 62),
    b"RIFF\xff\xff\xff\xffAVI LIST\xff\xff\xff\xff",
    b"\x1aE\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff",
    b"YUV4MPEG2 W100000 H100000 F25:1\nFRAME\n",
]


def pictures(folder: Path, count: int) -> Iterator[HostileFile]:
    seeds = folder / "seeds"
    seeds.mkdir(parents=True)
    picture = Image.fromarray(numbered(5, 32, 48))
    made = []
    for form in ("png", "jpeg", "gif", "bmp", "webp", "tiff"):
        made.append(seeds / f"a.{form}")
        others = [Image.fromarray(numbered(i, 32, 48)) for i in range(3)]
        more = {"save_all": True, "append_images": others} if form in ("gif", "webp") else {}
        picture.save(made[-1], **more)
    yield from damaged(folder, "video", made, count - 4)
    sizes = [(65535, 65535), (1 << 30, 1), (0, 0), (30000, 30000)]
    for number, (width, height) in enumerate(sizes):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
        png = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
        path = folder / f"size-{number}.png"
        path.write_bytes(png)
        yield HostileFile("video", path)


def saved_explanation(folder: Path) -> Path:
    """A small explanation, saved."""
    rng = np.random.default_rng(0)
    volumes = []
    for _ in range(2):
        volumes.append(Volume())
        for _ in range(6):
            volumes[-1].append(rng.random((4, 6), np.float32))
    explanation = glocal.Explanation(
        video=VideoFacts("a.mp4", 48, 32, 25.0, 6),
        times=np.arange(6) / 25,
        model="none",
        weights="random",
        method="3dcam",
        aggregate="sum",
        predictions=(Prediction("walk", 0, 0.75), Prediction("run", 1, 0.25)),
        target=ExplainedClass("walk", 0),
        volume=volumes[0],
        layer_volumes={"layer1": volumes[1]},
        geometry=Geometry((32, 48), (32, 48), (0, 0, 32, 48)),
        temporal=np.linspace(0, 1, 6),
        votes={"layer1": (Prediction("walk", 0, 1.0),)},
    )
    return explanation.save(folder, "good")


def changed_values(content: Any) -> Iterator[Any]:
    """Copies of plain data in each of which one value is another, or is missing."""
    others = [None, -1, 1 << 70, 1e308, "x", [], {}, [[]], True, ["a"] * 3]
    for place, _ in enumerate(_places(content)):
        for other in (others[place % len(others)], others[(place * 7 + 3) % len(others)]):
            copy = json.loads(json.dumps(content))
            container, key = _places(copy)[place]
            container[key] = other
            yield copy
        copy = json.loads(json.dumps(content))
        container, key = _places(copy)[place]
        del container[key]
        yield copy


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found += [(value, key), *_places(value[key])]
    return found


DEEP = b"[" * 100_000


def explanations(folder: Path, count: int) -> Iterator[HostileFile]:
    """Half of them damaged JSON or NPZ, a third with other values, the rest edits."""
    seeds = folder / "seeds"
    good = saved_explanation(seeds)
    yield from damaged(folder / "bytes", "explanation", [good, good.with_suffix(".npz")], count * 2 // 5)
    content, npz = json.loads(good.read_text()), good.with_suffix(".npz").read_bytes()
    variants = list(changed_values(content))
    step = max(1, len(variants) // (count // 4))
    texts = [json.dumps(variant).encode() for variant in variants[::step][: count // 4]]
    for number, text in enumerate([*texts, DEEP, b"1" * 9999, b'{"frames": NaN}']):
        path = folder / f"value-{number}" / "good.json"
        path.parent.mkdir()
        path.write_bytes(text)
        path.with_suffix(".npz").write_bytes(npz)
        yield HostileFile("explanation", path)
    yield from edits(folder, count - count * 2 // 5 - len(texts) - 3)


def edits(folder: Path, count: int) -> Iterator[HostileFile]:
    contents: list[dict[str, Any]] = [
        {"spatial": np.full((6, 32, 48), 0.5)},
        {"temporal": np.ones(6)},
        {"box": [0, 0, 8, 8], "span": [0, 3], "value": 0.5, "outside": 0.0},
        {"box": [np.nan] * 4},
        {"span": [0, 1e300]},
        {"box": [0, 0, 8, 8], "value": "text"},
        {"temporal": np.array([None] * 6, object)},
        {"temporal": np.ones(6, complex)},
        {"spatial": np.zeros((0, 0, 0))},
        {"temporal": np.array([np.inf] * 6)},
        {"span": np.array([0, 3], "datetime64[s]")},
        {f"k{i}": np.zeros(1) for i in range(300)},
    ]
    seeds = folder / "edits"
    seeds.mkdir(parents=True)
    made = []
    for number, content in enumerate(contents):
        made.append(seeds / f"{number}.npz")
        np.savez_compressed(made[-1], **content)
        yield HostileFile("edit", made[-1])
    for number, (shape, kind) in enumerate(
        [((1 << 40,), "<f8"), ((1 << 31, 1 << 31), "|u1"), ((-1,), "<f4"), ((3,), "|O")]
    ):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
        path = seeds / f"announced-{number}.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("temporal.npy", header.getvalue() + bytes(1 << 20))
        yield HostileFile("edit", path)
    yield from damaged(folder / "damaged-edits", "edit", made[:3], max(0, count - len(contents) - 4))


def checkpoints(folder: Path, count: int) -> Iterator[HostileFile]:
    seeds = folder / "seeds"
    seeds.mkdir(parents=True)
    state = {"conv.weight": torch.ones(4, 3, 3, 3), "fc.bias": torch.arange(5.0), "steps": torch.tensor(3)}
    torch.save({"state_dict": state, "epoch": 3}, seeds / "zip.pt")
    torch.save(state, seeds / "legacy.pt", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(state, seeds / "a.safetensors")
    made = [seeds / name for name in ("zip.pt", "legacy.pt", "a.safetensors")]
    contents = [
        struct.pack("<Q", 1 << 62) + b"{",
        struct.pack("<Q", 1 << 20) + b"{" + DEEP,
        safetensors_of({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}),
        safetensors_of({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 1 << 40]}}),
        safetensors_of({"a": {"dtype": "X9", "shape": [-1], "data_offsets": [8, 4]}}),
        pickle.dumps(Runs()),
        pickle.dumps({"a": [1, 2]}),
        b"\x80\x02}r" + struct.pack("<I", 1 << 28) + b".",
        b"PK\x03\x04" + bytes(100),
        b"",
    ]
    for number, content in enumerate(contents):
        path = folder / f"made-{number}.pt"
        path.write_bytes(content)
        yield HostileFile("checkpoint", path)
    yield from damaged(folder, "checkpoint", made, count - len(contents))


class Runs:
    """Runs code when it is unpickled by what trusts it."""

    def __reduce__(self) -> Any:
        return exec, ("import pathlib; pathlib.Path('/tmp/hostile-code-ran').touch()",)


def safetensors_of(header: dict[str, Any]) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(16)


def annotated_matlab(*, compressed: bool) -> bytes:
    """Annotations of one clip as UCF24 has them: structures, texts, numbers and boxes in a MATLAB file."""
    tubes = np.empty(1, [(name, object) for name in ("ef", "sf", "boxes")])
    tubes[0] = (2.0, 1.0, np.array([[20, 10, 10, 12], [21, 10, 10, 12]], np.uint16))
    clips = np.empty((1, 1), [(name, object) for name in ("name", "num_imgs", "tubes", "cells")])
    cells = np.array([np.eye(2), "text"], object)
    clips[0, 0] = ("Basketball/v_Basketball_g01_c01", 2.0, tubes, cells)
    file = io.BytesIO()
    scipy.io.savemat(file, {"annot": clips}, do_compression=compressed)
    return file.getvalue()


def annotations(folder: Path, count: int) -> Iterator[HostileFile]:
    seeds = folder / "seeds"
    seeds.mkdir(parents=True)
    boxes = np.array([[200, 100, 100, 120], [210, 100, 100, 120]], np.uint8)
    clip = {"label": 1, "numf": 2, "annotations": [{"sf": 0, "ef": 2, "label": 1, "boxes": boxes}]}
    (seeds / "a.pkl").write_bytes(pickle.dumps({"Basketball/v_Basketball_g01_c01": clip}, 2))
    (seeds / "boxes.json").write_text(json.dumps({"a": {"label": 1, "boxes": {"1": [[0, 0, 5, 5]]}}}))
    (seeds / "clips.csv").write_text("path,label,start,end\na.mp4,walk,0,2\nb.mp4,run,1,3\n")
    (seeds / "labels.json").write_text(json.dumps({"walk": 0, "run": 1, "jump": 2}))
    (seeds / "annot.mat").write_bytes(annotated_matlab(compressed=False))
    made = [seeds / name for name in ("a.pkl", "boxes.json", "clips.csv", "labels.json", "annot.mat")]
    readers = {".pkl": "ucf24", ".csv": "csv", ".mat": "ucf24"}
    contents: list[tuple[str, str, bytes]] = [
        ("ucf24", "memo.pkl", b"\x80\x02}r" + struct.pack("<I", (1 << 32) - 1) + b"."),
        ("ucf24", "array.pkl", b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"."),
        ("ucf24", "code.pkl", pickle.dumps(Runs())),
        ("ucf24", "deep.pkl", b"(" * 200_000 + b"."),
        ("ucf24", "short.mat", bytes(124) + b"\x00\x01IM" + struct.pack("<II", 15, 1 << 31)),
        ("jhmdb", "deep.json", DEEP),
        ("jhmdb", "list.json", b"[]"),
        ("csv", "zero.csv", b"path,label\n\0,\0\n"),
        ("csv", "wide.csv", b"path,label\n" + b"a" * (1 << 18) + b",b\n"),
        ("labels", "deep.json", DEEP),
        ("labels", "index.json", b'{"a": 99999999999999}'),
    ]
    for reader, name, content in contents:
        (folder / reader).mkdir(exist_ok=True)
        (folder / reader / name).write_bytes(content)
        yield HostileFile(reader, folder / reader / name)
    rest = count - len(contents)
    for number, seed in enumerate(made):
        reader = readers.get(seed.suffix, "jhmdb" if seed.stem == "boxes" else "labels")
        share = rest // len(made) + (number < rest % len(made))
        yield from damaged(folder / seed.stem, reader, [seed], share)


RECIPE = """model: {name: resnext3d-small}
data:
  train: {source: puppets, split: train}
run: {epochs: 2, batch: 4}
optimizer: {name: sgd, lr: 0.1}
"""


def recipes(folder: Path, count: int) -> Iterator[HostileFile]:
    """Recipes, cards and ILSVRC's XML files."""
    seeds = folder / "seeds"
    seeds.mkdir(parents=True)
    (seeds / "recipe.yaml").write_text(RECIPE)
    (seeds / "card.json").write_text(
        json.dumps({"model": "c3d", "labels": ["a", "b"], "clip": {"frames": 16}, "parameters": 3})
    )
    (seeds / "image.xml").write_text(
        "<annotation><size><width>32</width><height>24</height></size><object><name>n1</name><bndbox>"
        "<xmin>0</xmin><ymin>3</ymin><xmax>31</xmax><ymax>9</ymax></bndbox></object></annotation>"
    )
    doubled = "a: &a0 [x, x]\n" + "".join(f"b{i}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(60))
    entities = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><annotation>&b;</annotation>'
    contents = [
        ("recipe", "deep.yaml", DEEP),
        ("recipe", "aliases.yaml", doubled.encode()),
        ("recipe", "self.yaml", b"&a [*a]"),
        ("recipe", "code.yaml", b"model: !!python/object/apply:os.system ['touch /tmp/hostile-code-ran']"),
        ("card", "deep.json", DEEP),
        ("card", "types.json", b'{"model": 3, "labels": "ab", "clip": []}'),
        ("xml", "entities.xml", entities.encode()),
        ("xml", "deep.xml", b"<a>" * 20_000),
    ]
    for reader, name, content in contents:
        path = folder / name
        path.write_bytes(content)
        yield HostileFile(reader, path)
    rest = count - len(contents)
    for number, (reader, name) in enumerate(
        (("recipe", "recipe.yaml"), ("card", "card.json"), ("xml", "image.xml"))
    ):
        yield from damaged(folder / reader, reader, [seeds / name], rest // 3 + (number < rest % 3))

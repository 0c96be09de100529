"""MATLAB files are read as SciPy reads them; damaged ones are one error, whatever they announce."""

import contextlib
import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest

from glocal.datasets.matlab import read_matlab_array

CONTENT: dict[str, Any] = {
    "masks": (np.arange(24).reshape(2, 3, 4) % 3 == 0).astype(np.uint8),
    "numbers": np.array([[1.5, -2.25], [0, 1e9]]),
    "whole": np.array([[-3, 70_000]], np.int32),
    "text": "v_Biking_g01",
    "cells": np.array(["a", np.arange(3), {"x": 1}], object),
    "annot": np.array(
        [[(f"clip{i}", i, np.array([[i, 2, 3, 4]], np.int16)) for i in range(3)]],
        [("name", object), ("num_imgs", object), ("boxes", object)],
    ),
    "empty": np.zeros((0, 4)),
}


def written(compressed: bool) -> bytes:
    scipy_io = pytest.importorskip("scipy.io")
    buffer = io.BytesIO()
    scipy_io.savemat(buffer, CONTENT, do_compression=compressed)
    return buffer.getvalue()


def assert_same(ours: Any, theirs: Any) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype.names == theirs.dtype.names
    if ours.dtype.names:
        for a, b in zip(ours.ravel(), theirs.ravel(), strict=True):
            for name in ours.dtype.names:
                assert_same(a[name], b[name])
    elif ours.dtype == object:
        for a, b in zip(ours.ravel(), theirs.ravel(), strict=True):
            assert_same(a, b)
    else:
        assert ours.dtype.kind == theirs.dtype.kind
        assert (ours == theirs).all()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", CONTENT)
def test_arrays_are_those_that_scipy_reads(name: str, compressed: bool) -> None:
    content = written(compressed)
    theirs = pytest.importorskip("scipy.io").loadmat(io.BytesIO(content), variable_names=[name])[name]
    assert_same(read_matlab_array(content, name), theirs)


def matrix(shape: tuple[int, ...], kind: int, data: bytes) -> bytes:
    """A file with one array `a` of that shape and class."""

    def element(kind: int, content: bytes) -> bytes:
        return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)

    body = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
    return bytes(124) + b"\x00\x01IM" + element(14, body + element(1, b"a") + data)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no MATLAB file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "version 7.3"),
        (matrix((1 << 30, 1 << 30), 9, struct.pack("<II", 2, 8) + bytes(8)), "values for the shape"),
        (matrix((1 << 30, 4), 1, bytes(8)), "arrays in"),
        (matrix((1 << 30, 4), 2, struct.pack("<II", 5 | 4 << 16, 8) + struct.pack("<II", 1, 8) + b"abcdefg\0"), "arrays in"),
        (matrix((-1, 2), 9, bytes(8)), "shape"),
        (matrix((1, 1), 5, bytes(8)), "class 5"),
        (bytes(124) + b"\x00\x01IM" + struct.pack("<II", 15, 1 << 31), "cut short"),
        (bytes(124) + b"\x00\x01IM" + struct.pack("<II", 15, 20) + zlib.compress(bytes(99))[:20], "holds no 'a'|cut short"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_error(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_matlab_array(content, "a")


def test_cells_inside_cells_end() -> None:
    inner = b""
    for _ in range(200):
        inner = matrix((1, 1), 1, inner)[128:]
    with pytest.raises(ValueError, match="nested too deeply"):
        read_matlab_array(bytes(124) + b"\x00\x01IM" + inner, "a")


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_is_a_value_error_or_another_array(compressed: bool) -> None:
    content, rng = written(compressed), random.Random(0)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(rng.randrange(1, 6)):
            damaged[rng.randrange(128, len(damaged))] = rng.randrange(256)
        cut = bytes(damaged[: rng.randrange(128, len(damaged) + 1)])
        for name in ("annot", "cells"):
            with contextlib.suppress(ValueError, OverflowError):
                read_matlab_array(cut, name)

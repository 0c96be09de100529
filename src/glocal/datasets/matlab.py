"""Read arrays of MATLAB files (level 5), whose sizes are checked before anything is allocated.

Format: MathWorks, MAT-File Format, chapter 1, "Level 5 MAT-File Format".
"""

import math
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

HEADER_BYTES = 128
MAX_UNPACKED_BYTES = 1 << 29
MAX_ARRAYS = 2_000_000
MAX_DEPTH = 32
MAX_FIELD_NAME = 64

_MATRIX, _COMPRESSED = 14, 15
_STORED_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
    16: "u1",
    17: "u2",
    18: "u4",
}
"""Type of a data element → NumPy type of its numbers."""

_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMBER_CLASSES = range(6, 16)
"""Classes of arrays of numbers; these keep the type in which they are stored."""

_COMPLEX = 0x800


class _Element(NamedTuple):
    """A data element: its type, and its content."""

    kind: int
    content: memoryview


def read_matlab_array(content: bytes, name: str) -> npt.NDArray[Any]:
    """Return the array `name` of a MATLAB file.

    Args:
        content: of the file.
        name: of the variable.

    Returns:
        Numbers and cells have the dimensions of the file; structures are arrays with fields; texts are arrays
        of texts, one a row.

    Raises:
        ValueError: the file is damaged, of another version, or has no such array, or the array holds what
            is not read: sparse matrices, complex numbers, objects.
    """
    return _MatlabReader(content).find(name)


class _MatlabReader:
    """Walks through the data elements of one file."""

    def __init__(self, content: bytes) -> None:
        if content[:4] == b"\x89HDF":
            raise ValueError("it is of version 7.3; save it with -v7")
        orders = {b"IM": "<", b"MI": ">"}
        if len(content) < HEADER_BYTES or content[126:128] not in orders:
            raise ValueError("it is no MATLAB file of version 5 to 7")
        self._order = orders[content[126:128]]
        self._content = memoryview(content)[HEADER_BYTES:]
        self._arrays = 0

    def find(self, name: str) -> npt.NDArray[Any]:
        for element in self._elements(self._content, padded=False):
            unpacked = self._unpack(element) if element.kind == _COMPRESSED else element
            if unpacked.kind != _MATRIX:
                continue
            parts = self._elements(unpacked.content)
            header = [part for part, _ in zip(parts, range(3), strict=False)]
            if len(header) == 3 and bytes(header[2].content).decode("latin-1") == name:
                return self._array(unpacked, 0)
        raise ValueError(f"it holds no '{name}'")

    def _unpack(self, element: _Element) -> _Element:
        """Inflate a compressed element."""
        stream = zlib.decompressobj()
        try:
            data = stream.decompress(element.content, MAX_UNPACKED_BYTES)
        except zlib.error as problem:
            raise ValueError(str(problem)) from None
        if stream.unconsumed_tail or not stream.eof:
            raise ValueError("it is cut short, or unpacks to more than is read")
        return next(self._elements(memoryview(data)), _Element(0, memoryview(b"")))

    def _elements(self, content: memoryview, padded: bool = True) -> Iterator[_Element]:
        """Yield the data elements in `content`; those inside others are padded to 8 bytes."""
        place = 0
        while place + 8 <= len(content):
            kind, size = (
                int(number) for number in np.frombuffer(content[place : place + 8], f"{self._order}u4")
            )
            start = place + 8
            if kind >> 16:  # a small element: size and type in 2 bytes each, content in 4
                kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
                if size > 4:
                    raise ValueError(f"a small element of {size} bytes")
                place += 8
            else:
                place = start + size
                if padded or kind != _COMPRESSED:
                    place += -size % 8
            if start + size > len(content):
                raise ValueError("it is cut short")
            yield _Element(kind, content[start : start + size])

    def _numbers(self, element: _Element) -> npt.NDArray[Any]:
        if element.kind not in _STORED_TYPES:
            raise ValueError(f"numbers of type {element.kind}")
        kind = np.dtype(self._order + _STORED_TYPES[element.kind])
        if len(element.content) % kind.itemsize:
            raise ValueError("half a number")
        return np.frombuffer(element.content, kind).astype(kind.newbyteorder("="), copy=False)

    def _array(self, element: _Element, depth: int) -> npt.NDArray[Any]:
        self._arrays += 1
        if element.kind != _MATRIX or depth > MAX_DEPTH or self._arrays > MAX_ARRAYS:
            raise ValueError("it is nested too deeply, or holds too many arrays")
        if not element.content:
            return np.zeros((0, 0))
        parts = self._elements(element.content)
        flags, dimensions = self._numbers(_next(parts)), self._numbers(_next(parts))
        _next(parts)  # the name
        kind = int(flags[0]) & 0xFF if len(flags) else 0
        shape = tuple(int(side) for side in dimensions)
        if not shape or min(shape) < 0 or len(shape) > MAX_DEPTH:
            raise ValueError(f"an array of the shape {shape}")
        if kind in _NUMBER_CLASSES and not int(flags[0]) & _COMPLEX:
            return _shaped(self._numbers(_next(parts)), shape)
        readers: dict[int, Callable[..., npt.NDArray[Any]]] = {
            _CHAR: self._texts,
            _CELL: self._cells,
            _STRUCT: self._structures,
        }
        if kind not in readers:
            raise ValueError(f"arrays of class {kind}, or of complex numbers, are not read")
        return readers[kind](parts, shape, depth, len(element.content))

    def _texts(
        self, parts: Iterator[_Element], shape: tuple[int, ...], depth: int, size: int
    ) -> npt.NDArray[Any]:
        element = _next(parts)
        if element.kind == 16:  # UTF-8
            codes = np.array([*map(ord, bytes(element.content).decode("utf-8"))], np.uint32)
        else:
            codes = self._numbers(element).astype(np.uint32)
        if (codes > 0x10FFFF).any() or ((codes >= 0xD800) & (codes < 0xE000)).any():
            raise ValueError("a text with what is no character")
        table = _shaped(codes, shape)
        rows = table.reshape(-1, table.shape[-1]) if table.size else table[:0].reshape(0, 0)
        return np.array(["".join(map(chr, row.tolist())) for row in rows])

    def _cells(
        self, parts: Iterator[_Element], shape: tuple[int, ...], depth: int, size: int
    ) -> npt.NDArray[Any]:
        _check_count(math.prod(shape), size)
        cells = np.empty(math.prod(shape), object)
        for place in range(len(cells)):
            cells[place] = self._array(_next(parts), depth + 1)
        return _shaped(cells, shape)

    def _structures(
        self, parts: Iterator[_Element], shape: tuple[int, ...], depth: int, size: int
    ) -> npt.NDArray[Any]:
        lengths = self._numbers(_next(parts))
        length = int(lengths[0]) if len(lengths) else 0
        text = bytes(_next(parts).content)
        if not 0 < length <= MAX_FIELD_NAME or len(text) % length:
            raise ValueError(f"names of fields of {length} bytes")
        names = [
            text[start : start + length].partition(b"\0")[0].decode("latin-1")
            for start in range(0, len(text), length)
        ]
        _check_count(math.prod(shape) * max(1, len(names)), size)
        if not names or len(set(names)) != len(names) or "" in names:
            raise ValueError("structures without names of their fields")
        structures = np.empty(math.prod(shape), [(name, object) for name in names])
        for place in range(len(structures)):
            for name in names:
                structures[name][place] = self._array(_next(parts), depth + 1)
        return _shaped(structures, shape)


def _next(parts: Iterator[_Element]) -> _Element:
    element = next(parts, None)
    if element is None:
        raise ValueError("it is cut short")
    return element


def _check_count(count: int, size: int) -> None:
    """Refuse more arrays than `size` bytes can hold; each takes 8 bytes or more."""
    if 8 * count > size:
        raise ValueError(f"{count} arrays in {size} bytes")


def _shaped(values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Give values that are stored by columns their shape."""
    if math.prod(shape) != len(values):
        raise ValueError(f"{len(values)} values for the shape {shape}")
    return values.reshape(shape, order="F")

"""Read arrays of NPZ files of unknown origin: sizes are checked before anything is allocated."""

import contextlib
import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

MAX_DEFLATE_RATIO = 1032
"""Bytes that DEFLATE can make of one."""

NUMBERS = "biuf"
"""Kinds of NumPy types that are numbers: booleans, integers, floats."""

_READ_BYTES = 1 << 20


class ArchivedArray:
    """An array in an open NPZ file, read in pieces.

    Attributes:
        shape: of the array.
        dtype: of its numbers.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __init__(
        self, file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], by_columns: bool
    ) -> None:
        self._file, self.shape, self.dtype, self._by_columns = file, shape, dtype, by_columns

    def read(self) -> npt.NDArray[Any]:
        """Read the whole array.

        Raises:
            ValueError: the file is damaged.
        """
        order = self.shape[::-1] if self._by_columns else self.shape
        array = np.frombuffer(self._bytes(math.prod(self.shape)), self.dtype).reshape(order)
        self._check_end()
        return array.T if self._by_columns else array

    def rows(self) -> Iterator[npt.NDArray[Any]]:
        """Read the parts along the first axis one by one.

        Raises:
            ValueError: the file is damaged, or the array is stored by columns.
        """
        if self._by_columns:
            raise ValueError("the array is stored by columns")
        for _ in range(self.shape[0]):
            yield np.frombuffer(self._bytes(math.prod(self.shape[1:])), self.dtype).reshape(self.shape[1:])
        self._check_end()

    def _bytes(self, count: int) -> bytes:
        with _as_value_error():
            data = self._file.read(count * self.dtype.itemsize)
        if len(data) != count * self.dtype.itemsize:
            raise ValueError("cut short")
        return data

    def _check_end(self) -> None:
        """Read what may follow the array: at the end of the member its checksum is checked."""
        with _as_value_error():
            while self._file.read(_READ_BYTES):
                pass


@contextlib.contextmanager
def open_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an NPZ file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no ZIP archive.
    """
    if path.exists() and not path.is_file():
        raise ValueError("not a regular file")
    with contextlib.ExitStack() as stack:
        with _as_value_error():
            archive = stack.enter_context(zipfile.ZipFile(path))
        yield archive


def array_names(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the arrays in an NPZ file."""
    return [name.removesuffix(".npy") for name in archive.namelist()]


@contextlib.contextmanager
def open_array(
    archive: zipfile.ZipFile,
    name: str,
    *,
    limit: int,
    kinds: str = NUMBERS,
    shape: Sequence[int | None] | None = None,
) -> Iterator[ArchivedArray]:
    """Open an array of an NPZ file whose size in the file is that of its shape.

    Args:
        archive: from `open_npz`.
        name: of the array.
        limit: largest size in bytes.
        kinds: of NumPy types that are allowed.
        shape: that the array must have; None for an axis of any length.

    Raises:
        ValueError: there is no such array, it is damaged, or has another type or shape, or is too large.
    """
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ValueError(f"no array '{name}'") from None
    if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"'{name}' is encrypted or compressed in another way than DEFLATE")
    if member.file_size > (MAX_DEFLATE_RATIO + 1) * (member.compress_size + 1):
        raise ValueError(f"'{name}' cannot unpack to {member.file_size} bytes")
    with contextlib.ExitStack() as stack:
        with _as_value_error():
            file = stack.enter_context(archive.open(member))
            found_shape, by_columns, dtype = _read_header(file)
        expected = math.prod(found_shape) * dtype.itemsize
        if dtype.kind not in kinds:
            raise ValueError(f"'{name}' holds {dtype}")
        if not _fits(found_shape, shape):
            raise ValueError(f"'{name}' has the shape {found_shape}")
        if expected > limit:
            raise ValueError(f"'{name}' has {expected} bytes, more than the {limit} that are read")
        if member.file_size - file.tell() != expected:
            raise ValueError(f"'{name}' has {member.file_size} bytes, which is not the size of its shape")
        yield ArchivedArray(file, found_shape, dtype, by_columns)


def read_array(archive: zipfile.ZipFile, name: str, **bounds: Any) -> npt.NDArray[Any]:
    """Read an array of an NPZ file; see `open_array` for the bounds and the errors."""
    with open_array(archive, name, **bounds) as array:
        return array.read()


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the NPY format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read(file)
    if any(isinstance(side, bool) or side < 0 for side in shape):
        raise ValueError(f"the shape {shape}")
    return shape, by_columns, dtype


def _fits(shape: tuple[int, ...], wanted: Sequence[int | None] | None) -> bool:
    return wanted is None or (
        len(shape) == len(wanted) and all(a == b or b is None for a, b in zip(shape, wanted, strict=True))
    )


@contextlib.contextmanager
def _as_value_error() -> Iterator[None]:
    """What damage in an archive or a header raises becomes a ValueError; OSError stays."""
    try:
        yield
    except OSError:
        raise
    except Exception as problem:  # NumPy parses the header as Python, which can fail in any way
        raise ValueError(" ".join(str(problem).split())[:200] or type(problem).__name__) from None

"""Read pickles and MATLAB files without running what they name."""

import io
import math
import pickle
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from glocal.datasets.annotations import read_bytes
from glocal.datasets.matlab import read_matlab_array
from glocal.errors import InputError
from glocal.utils.files import printable
from glocal.utils.resources import failures_as

DTYPE_CODE = re.compile("[<>|=]?([iu][1248]|f[248]|b1|[SU][0-9]{1,6})")
"""NumPy's names of number and text types; object types are not among them."""


UNUSED_CODES = frozenset(b"".join((pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER)))
"""Operations that allocate what they announce, and that no pickle of annotations has."""


class _ImmutableStub:
    """Stands in for an object whose state a pickle must not set."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a number with a state")


class _DtypeStub:
    """Stands in for `numpy.dtype`, whose byte order comes as its state."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        if not isinstance(code, str) or not DTYPE_CODE.fullmatch(code):
            raise ValueError(f"arrays of the type {code!r}")
        self.code, self.order = code.lstrip("<>|="), "<"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "<"

    def numbers(self, raw: Any) -> npt.NDArray[Any]:
        """Decode bytes to numbers or texts; Python 2 wrote bytes as text."""
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw
        return np.frombuffer(raw, np.dtype(self.order + self.code))


class _ScalarStub(_ImmutableStub):
    """Stands in for `numpy.core.multiarray.scalar`."""

    __slots__ = ("raw", "type")

    def __init__(self, kind: _DtypeStub, raw: Any) -> None:
        self.type, self.raw = kind, raw

    def value(self) -> Any:
        return self.type.numbers(self.raw)[0].item()


class _ArrayStub:
    """Stands in for `numpy.core.multiarray._reconstruct`, whose content comes as its state."""

    __slots__ = ("state",)

    def __init__(self, kind: Any, shape: Any, code: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        self.state = tuple(state)

    def value(self) -> npt.NDArray[Any]:
        _, shape, kind, columns_first, raw = self.state
        numbers: npt.NDArray[Any] = kind.numbers(raw)
        if not all(isinstance(side, int) and side >= 0 for side in shape) or math.prod(shape) != len(numbers):
            raise ValueError(f"{len(numbers)} numbers for the shape {shape}")
        return np.reshape(numbers, shape, order="F" if columns_first else "C")


class _NdarrayStub(_ImmutableStub):
    """Stands in for `numpy.ndarray`, which is named but never called."""


def _encoded(text: Any, encoding: Any) -> bytes:
    """Stand in for `_codecs.encode`, by which Python 3 writes bytes for Python 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError(f"a text encoded as {encoding!r}")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    """Stand in for `bytes`, called without arguments."""
    return b""


ALLOWED: dict[tuple[str, str], Any] = {
    ("__builtin__", "bytes"): _no_bytes,
    ("_codecs", "encode"): _encoded,
    ("numpy", "dtype"): _DtypeStub,
    ("numpy", "ndarray"): _NdarrayStub,
    **{(f"numpy.{core}.multiarray", "scalar"): _ScalarStub for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _ArrayStub for core in ("core", "_core")},
}
"""Module and name in a pickle → stub that is called for it; NumPy itself would trust its arguments."""


class _Unpickler(pickle._Unpickler):
    """Calls stubs in place of what a pickle names, and refuses everything else.

    The unpickler in Python, not that in C: a few bytes of a pickle make the latter allocate gigabytes, for a
    memo of four thousand million entries.
    """

    dispatch: ClassVar[dict[int, Any]] = {
        code: load for code, load in pickle._Unpickler.dispatch.items() if code not in UNUSED_CODES
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return ALLOWED[module, name]


def read_pickle(path: Path) -> Any:
    """Read a pickle of dicts, lists, tuples, numbers, texts and NumPy arrays, without running any code.

    A pickle is a program; nothing but objects of these types can be built by it here.

    Raises:
        InputError: the file cannot be read, is too large or cut short, or names anything else.
    """

    def described(problem: Exception) -> InputError:
        reason = " ".join(str(problem).split())[:200] or type(problem).__name__
        return InputError(
            f"{printable(path)} is not a pickle of arrays and plain values only ({reason}) and was not read; "
            "download it again."
        )

    content = read_bytes(path)
    with failures_as(Exception, described):
        return _resolve(_Unpickler(io.BytesIO(content), encoding="latin-1").load(), {})


def _resolve(value: Any, done: dict[int, Any]) -> Any:
    """Replace stubs in `value` by arrays and numbers; shared objects are converted once."""
    if id(value) in done:
        return done[id(value)]
    plain: Any
    if isinstance(value, dict):
        plain = {_resolve(key, done): _resolve(part, done) for key, part in value.items()}
    elif isinstance(value, list | tuple):
        plain = type(value)(_resolve(part, done) for part in value)
    elif isinstance(value, _ArrayStub | _ScalarStub):
        plain = value.value()
    elif value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    else:
        raise ValueError(f"a {type(value).__name__.strip('_').removesuffix('Stub').lower()}")
    done[id(value)] = plain
    return plain


def read_matlab(path: Path, name: str) -> npt.NDArray[Any]:
    """Read the array `name` of a MATLAB file; structures are arrays with fields, see `read_matlab_array`.

    Raises:
        InputError: the file cannot be read or has no such array.
    """

    def described(problem: Exception) -> InputError:
        reason = " ".join(str(problem).split())[:200] or type(problem).__name__
        return InputError(f"{printable(path)} is not a MATLAB file that holds '{name}' ({reason}).")

    content = read_bytes(path)
    with failures_as(Exception, described):
        return read_matlab_array(content, name)

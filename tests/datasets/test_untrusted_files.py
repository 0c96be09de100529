"""Pickles of arrays, and pickles that would do something else."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glocal.datasets.untrusted_files import read_pickle
from glocal.errors import InputError


def write(path: Path, content: Any, protocol: int = 3) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2", "i8", "f4", "f8", "?"])
def test_arrays_of_any_number_are_read_as_numpy_reads_them(tmp_path: Path, kind: str, protocol: int) -> None:
    arrays = {
        "rows": np.arange(12).reshape(3, 4).astype(kind),
        "columns": np.asfortranarray(np.arange(12).reshape(3, 4).astype(kind)),
        "none": np.zeros((0, 4), kind),
    }
    content = {**arrays, "scalar": np.dtype(kind).type(1), np.str_("name"): [(), None, True, 1.5, "é", b"x"]}
    read = read_pickle(write(tmp_path / "a.pkl", content, protocol))
    assert list(read) == list(content)
    for name, array in arrays.items():
        assert read[name].dtype.kind == array.dtype.kind
        np.testing.assert_array_equal(read[name], array)
    assert read["scalar"] == 1
    assert type(read["scalar"]) in (int, float, bool)
    assert read["name"] == content["name"]


class Runs:
    """What its pickle would do when it is loaded."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.reduced = (call, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_a_pickle_that_would_run_code_is_refused_and_nothing_runs(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    for attack in (
        Runs(os.mkdir, str(mark)),
        Runs(eval, f"open({str(mark)!r}, 'w')"),
        Runs(np.save, str(mark), np.zeros(1)),
        {"annotations": [Runs(os.system, f"touch {mark}")]},
    ):
        with pytest.raises(
            InputError, match=r"pyannot\.pkl is not a pickle of arrays and plain values only.*was not read"
        ) as caught:
            read_pickle(write(tmp_path / "pyannot.pkl", attack, protocol))
        assert "\n" not in str(caught.value)
        assert not list(tmp_path.glob("ran*"))


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    for content in (np.array([{}], object), np.zeros(2, "i4,f8"), np.datetime64("2020-01-01")):
        with pytest.raises(InputError, match="not a pickle of arrays and plain values only"):
            read_pickle(write(tmp_path / "a.pkl", content))


def test_truncated_and_hostile_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    whole = pickle.dumps({"boxes": np.arange(1000), "numf": np.uint8(7)}, 3)
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"a\.pkl is not a pickle"):
            read_pickle(path)
    grown = whole.replace(b"M\xe8\x03\x85", b"M\xff\xff\x85")  # a shape beyond its bytes
    assert grown != whole
    path.write_bytes(grown)
    with pytest.raises(InputError, match="1000 numbers for the shape"):
        read_pickle(path)
    path.write_bytes(b"\x80\x03}q\x00h\x00s.")
    with pytest.raises(InputError):
        read_pickle(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_pickle(tmp_path / "none.pkl")


def test_what_is_shared_many_times_over_is_converted_once(tmp_path: Path) -> None:
    laughs: list[Any] = [np.zeros(1)]
    for _ in range(60):
        laughs = [laughs, laughs]
    read = read_pickle(write(tmp_path / "a.pkl", laughs))
    assert read[0] is read[1]

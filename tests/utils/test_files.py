"""Files are written whole, or not at all, and nothing stays behind."""

import os
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from glocal.errors import InputError, WriteError
from glocal.utils import files
from glocal.utils.files import atomic_path, make_folder, output_path, printable, read_bounded, sweep, writing


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for sync in (False, True):
        with atomic_path(path, sync=sync) as temporary:
            assert (temporary.parent, temporary.suffix) == (tmp_path, ".json")
            temporary.write_text(f"{sync}")
            assert path.exists() is sync
        assert path.read_text() == f"{sync}"
    with pytest.raises(TypeError), atomic_path(path) as temporary:
        temporary.write_text(3)  # type: ignore[arg-type]
    assert (path.read_text(), os.listdir(tmp_path)) == ("True", ["a.json"])


def test_long_names_and_names_without_suffix_work(tmp_path: Path) -> None:
    for name in ("𝄞" * 60 + ".mp4", "x" * 250 + ".npz", "plain"):
        with atomic_path(tmp_path / name) as temporary:
            temporary.write_text("whole")
        assert (tmp_path / name).read_text() == "whole"


def test_the_next_run_removes_what_killed_ones_left(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from glocal.utils.files import atomic_path
with atomic_path({str(tmp_path / "a.mp4")!r}) as temporary:
    temporary.write_text("half")
    print("written", flush=True)
    input()
"""
    run = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert run.stdout is not None
    run.stdout.readline()
    (tmp_path / ".glocal-notes").write_text("of somebody else")
    sweep(tmp_path)
    assert len(os.listdir(tmp_path)) == 2  # the process works on its file
    run.kill()
    run.communicate()
    with atomic_path(tmp_path / "b.mp4") as temporary:
        temporary.write_text("whole")
    assert sorted(os.listdir(tmp_path)) == [".glocal-notes", "b.mp4"]


def test_a_disk_without_locks_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    (tmp_path / ".glocal-01234567-a").write_text("whose?")
    with atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("whole")
    assert sorted(os.listdir(tmp_path)) == [".glocal-01234567-a", "a"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "a\nb.json"
    with pytest.raises(WriteError) as caught, writing(path), atomic_path(path):
        pass
    assert isinstance(caught.value, InputError)
    assert str(caught.value).count("\n") == 0
    assert "choose another folder" in str(caught.value)
    assert printable("a\x1b[31mb") == r"'a\x1b[31mb'"


def test_a_message_names_the_result_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a" / "b.npz").mkdir(parents=True)
    message = r"b\.npz cannot be written \(Is a directory\)"
    with pytest.raises(WriteError, match=message), output_path(tmp_path / "a" / "b.npz"):
        pass
    with output_path(tmp_path / "new" / "c.npz") as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["c.npz"]
    with pytest.raises(WriteError, match=r"/c\.npz cannot be written \(File exists\)"):
        make_folder(tmp_path / "new" / "c.npz")


def test_a_small_file_takes_little_memory_whatever_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"x" * (3 << 20))
    tracemalloc.start()
    try:
        content = read_bounded(path, 1 << 30)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(content), peak < 8 << 20) == (3 << 20, True)
    for limit in ((3 << 20) - 1, 5):
        with pytest.raises(ValueError, match=f"larger than {limit} bytes"):
            read_bounded(path, limit)


def test_a_file_that_grows_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"x" * (3 << 20))
    monkeypatch.setattr(files.os, "fstat", lambda descriptor: os.stat_result([stat.S_IFREG] + [0] * 9))
    with pytest.raises(ValueError, match="growing while it is read"):
        read_bounded(path, 1 << 30)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for path in (tmp_path / "pipe.txt", Path(os.devnull)):
        with pytest.raises(ValueError, match="not a regular file"):
            read_bounded(path, 100)

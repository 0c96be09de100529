"""What the machine lacks is not taken for damage."""

import errno
from pathlib import Path

import numpy as np
import pytest
import torch

from glocal.benchmark.cache import Cache
from glocal.benchmark.runner import run
from glocal.errors import InputError, ResourceError, WriteError
from glocal.models.checkpoints import read_checkpoint
from glocal.utils.resources import failures_as, lack_of


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 80000 bytes"), "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "threads"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk space"),
        (OSError(errno.EMFILE, "Too many open files"), "open files"),
        (OSError(errno.ENOENT, "No such file"), None),
        (ValueError("cut short"), None),
    ],
)
def test_errors_that_say_what_the_machine_lacks(error: Exception, what: str | None) -> None:
    assert lack_of(error) == what

    def raising() -> None:
        with failures_as(Exception, lambda problem: InputError(f"damaged ({problem}).")):
            raise error

    with pytest.raises(InputError if what is None else ResourceError) as caught:
        raising()
    assert ("damaged" in str(caught.value)) == (what is None)
    assert str(caught.value).endswith(").")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("can't start new thread"), OSError(errno.EMFILE, "Too many open files")],
)
def test_a_checkpoint_is_not_damaged_for_lack_of_memory_or_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"a": torch.zeros(3)}, path)

    def load(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(ResourceError) as caught:
        read_checkpoint(path, 1 << 20)
    assert "download" not in str(caught.value)


def test_a_comparison_that_cannot_be_written_is_no_method_that_does_not_fit(tmp_path: Path) -> None:
    """Of two methods, the results of one cannot be stored: the run fails, and leaves out none."""
    (tmp_path / "cache").write_text("a file where a folder should be")
    cache = Cache(tmp_path / "cache")
    with pytest.raises(WriteError, match="cannot be written"):
        run([0], ["a", "b"], lambda sample, name: 1.0, cache=cache, key=lambda sample, name: {"name": name})

    def measure(sample: int, name: str) -> float:
        if name == "a":
            raise ResourceError("there is not enough memory.")
        raise InputError("does not fit.")

    with pytest.raises(ResourceError):
        run([0], ["a", "b"], measure)


def test_arrays_without_memory_are_a_lack_of_memory() -> None:
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 60, np.uint8)
    assert lack_of(caught.value) == "memory"

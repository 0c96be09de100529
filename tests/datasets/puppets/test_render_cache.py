"""Rendered clips that are kept in a file."""

import errno
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from glocal.datasets.puppets import Puppets
from glocal.datasets.puppets.render_cache import RenderCache, cache_bytes
from glocal.errors import UsageError

SMALL = {"length": 6, "size": 24, "frames": 6}


def test_a_kept_clip_is_the_rendered_one_and_is_drawn_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    puppets = Puppets("train", **SMALL)
    expected = puppets[4].frames.copy()
    cache = RenderCache(puppets, tmp_path)
    assert np.array_equal(cache.frames(4), expected)
    monkeypatch.setattr(Puppets, "__getitem__", lambda *_: pytest.fail("drawn again"))
    assert np.array_equal(cache.frames(4), expected)


def test_another_process_finds_what_was_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RenderCache(Puppets("train", **SMALL), tmp_path).frames(2)
    again = RenderCache(Puppets("train", **SMALL), tmp_path)
    drawn = []
    draw = Puppets.__getitem__
    monkeypatch.setattr(Puppets, "__getitem__", lambda self, index: drawn.append(index) or draw(self, index))
    again.frames(2), again.frames(3)
    assert drawn == [3]
    assert len(list(tmp_path.iterdir())) == 1


def test_other_clips_have_another_file(tmp_path: Path) -> None:
    for options in (SMALL, {**SMALL, "fps": 9.0}, {**SMALL, "seed": 1}):
        RenderCache(Puppets("train", **options), tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    puppets = Puppets("train", **SMALL)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, cache_bytes(puppets) - 1))
    with pytest.raises(UsageError, match="left"):
        RenderCache(puppets, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_clip_that_cannot_be_stored_is_rendered_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    puppets = Puppets("train", **SMALL)
    expected, cache = puppets[4].frames.copy(), RenderCache(puppets, tmp_path)

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RenderCache, "_write", fail)
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"rendered clips cannot be kept.*No space left on device"):
            assert np.array_equal(cache.frames(4), expected)


def test_a_clip_that_was_stored_in_part_is_rendered_again(tmp_path: Path) -> None:
    puppets = Puppets("train", **SMALL)
    expected, cache = puppets[4].frames.copy(), RenderCache(puppets, tmp_path)
    with next(tmp_path.iterdir()).open("r+b") as file:
        file.seek(-cache_bytes(puppets) // len(puppets) * 2 + 1, 2)
        file.write(b"half")
    assert np.array_equal(cache.frames(4), expected)
    assert np.array_equal(RenderCache(puppets, tmp_path).frames(4), expected)

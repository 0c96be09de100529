"""Hostile files are refused in one sentence, or read: a sample of each kind, and the whole corpus."""

from pathlib import Path

import pytest

from hostile.generators import KINDS
from hostile.reading import corpus, report

CODE_RAN = Path("/tmp/hostile-code-ran")
SAMPLE = {
    "videos": 16,
    "pictures": 10,
    "explanations": 48,
    "checkpoints": 16,
    "annotations": 19,
    "recipes": 14,
}


def test_a_sample_of_hostile_files_is_read_or_refused(tmp_path: Path) -> None:
    files = [file for kind, count in SAMPLE.items() for file in corpus(kind, tmp_path, count)]
    assert len(files) >= sum(SAMPLE.values())
    assert report("sample", files)["findings"] == []
    assert not CODE_RAN.exists()


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_all_hostile_files_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    files = corpus(kind, tmp_path)
    assert len(files) >= KINDS[kind][1]
    assert report(kind, files)["findings"] == []
    assert not CODE_RAN.exists()

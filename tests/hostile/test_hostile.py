"""Hostile files are refused in one sentence, or read: a sample of each kind, and the whole corpus."""

import os
from pathlib import Path

import pytest

from hostile.generators import HostileFile
from hostile.kinds import KINDS
from hostile.reading import READERS, corpus, read_all, report

CODE_RAN = Path("/tmp/hostile-code-ran")
SAMPLE = {
    "videos": 16,
    "pictures": 10,
    "explanations": 48,
    "checkpoints": 16,
    "annotations": 19,
    "recipes": 14,
    "networks": 17,
}


def test_a_sample_of_hostile_files_is_read_or_refused(tmp_path: Path) -> None:
    files = [file for kind, count in SAMPLE.items() for file in corpus(kind, tmp_path, count)]
    assert len(files) >= sum(SAMPLE.values())
    assert report("sample", files)["findings"] == []
    assert not CODE_RAN.exists()


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    suffixes = {
        "explanation": ".json",
        "edit": ".npz",
        "checkpoint": ".pt",
        "ucf24": ".pkl",
        "video": ".mp4",
        "onnx": ".onnx",
    }
    files = []
    for reader in READERS:
        path = tmp_path / reader / f"pipe{suffixes.get(reader, '.json')}"
        path.parent.mkdir()
        os.mkfifo(path)
        files.append(HostileFile(reader, path))
    verdicts = {outcome.file.reader: (outcome.verdict, outcome.detail) for outcome in read_all(files)}
    wrong = {reader: verdict for reader, verdict in verdicts.items() if verdict[0] != "error"}
    wrong.pop("xml")  # it is listed with the problem
    assert wrong == {}
    assert "not a regular file" in verdicts["xml"][1]


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_all_hostile_files_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    files = corpus(kind, tmp_path)
    assert len(files) >= KINDS[kind][1]
    assert report(kind, files)["findings"] == []
    assert not CODE_RAN.exists()

"""Names of files in what leaves the machine."""

import pytest

from glocal.utils.files import file_name, without_folders


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/ann/my films/clip 1.mp4", "clip 1.mp4"),
        ("C:\\Users\\ann\\clip.mp4", "clip.mp4"),
        ("\\\\server\\share\\clip.mp4", "clip.mp4"),
        ("/home/ann/net.py:make", "net.py:make"),
        ("films/clip.mp4", "films/clip.mp4"),
        ("puppets/gated", "puppets/gated"),
        ("kinetics400", "kinetics400"),
        ("array", "array"),
    ],
)
def test_of_an_absolute_path_the_last_part_is_left(path: str, name: str) -> None:
    assert file_name(path) == name


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("labels of /home/ann/labels.txt are used", "labels of labels.txt are used"),
        ("C:\\data\\a.pth, new head of 5 classes", "a.pth, new head of 5 classes"),
        ("see https://example.org/a/b for more", "see https://example.org/a/b for more"),
        ("2 of 3 windows and/or scenes", "2 of 3 windows and/or scenes"),
    ],
)
def test_sentences_name_files_without_folders(sentence: str, left: str) -> None:
    assert without_folders(sentence) == left

"""Class names, packaged and of the user."""

from pathlib import Path

import pytest

from glocal.errors import InputError, UsageError
from glocal.models.labels import LABEL_LISTS, default_labels, label_list, read_labels

COUNTS = {
    "kinetics400": 400,
    "ucf101": 101,
    "hmdb51": 51,
    "imagenet": 1000,
    "something-something-v1": 174,
    "something-something-v2": 174,
}
SHARED_NAMES = {
    "kinetics400": "kinetics",
    "ucf101": "ucf101",
    "hmdb51": "hmdb51",
    "something-something-v1": "sthv1",
    "something-something-v2": "sthv2",
}


def test_packaged_lists_are_complete_and_have_no_doubles() -> None:
    assert set(LABEL_LISTS) == set(COUNTS)
    for name, count in COUNTS.items():
        labels = label_list(name)
        assert len(labels) == len(set(labels)) == count
        assert all(label == label.strip() and label for label in labels)


@pytest.mark.parametrize(("name", "file"), SHARED_NAMES.items())
def test_packaged_lists_have_the_order_of_public_checkpoints(name: str, file: str, shared: Path) -> None:
    public = (shared / "annotations" / "labels" / f"{file}.txt").read_text(encoding="utf-8").splitlines()
    assert list(label_list(name)) == public


def test_imagenet_has_the_order_of_the_synsets() -> None:
    labels = label_list("imagenet")
    assert (labels[0], labels[207], labels[999]) == ("tench", "golden retriever", "toilet tissue")


def test_an_unknown_list_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'kinetics40'\. Did you mean 'kinetics400'\?"):
        label_list("kinetics40")


def test_a_label_file_may_have_a_mark_windows_line_ends_and_blank_lines(tmp_path: Path) -> None:
    file = tmp_path / "naïve labels.txt"
    file.write_bytes("\ufeffyağlı güreş\r\n\r\nwalk \r\n\n".encode())
    assert read_labels(file) == ("yağlı güreş", "walk")
    assert read_labels(str(file)) == ("yağlı güreş", "walk")


def test_labels_come_from_a_list_of_names_or_a_packaged_list() -> None:
    assert read_labels(["a", "b"]) == ("a", "b")
    assert read_labels("hmdb51") == label_list("hmdb51")


def test_bad_label_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no label file .*missing\.txt"):
        read_labels(tmp_path / "missing.txt")
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(tmp_path)
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="not UTF-8"):
        read_labels(binary)
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    with pytest.raises(InputError, match="is empty"):
        read_labels(empty)


def test_names_follow_from_the_number_of_classes_where_that_is_clear() -> None:
    assert default_labels(400, "kinetics400")[171] == "juggling soccer ball"
    assert default_labels(101, "kinetics400") == label_list("ucf101")
    assert default_labels(174, "something-something-v2") == label_list("something-something-v2")
    assert default_labels(174)[:2] == ("class 0", "class 1")
    assert default_labels(3, "kinetics400") == ("class 0", "class 1", "class 2")

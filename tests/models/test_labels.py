"""Class names, packaged and of the user."""

import json
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
    binary.write_bytes(b"\x80\x81\x00\x81")
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


NAMES = ("walk", "pick up, drop", "act 2", "7 m run")
MAP = {name: index for index, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("names.json", json.dumps(NAMES)),
        ("name_to_index.json", json.dumps(MAP)),
        ("any_order.json", json.dumps(dict(reversed(MAP.items())))),
        ("index_as_text.json", json.dumps({name: str(index) for name, index in MAP.items()})),
        ("quoted.json", json.dumps({f'"{name}"': index for name, index in MAP.items()})),
        ("index_to_name.json", json.dumps(dict(enumerate(NAMES)))),
        ("synsets.json", json.dumps({i: [f"n{i}", name] for i, name in enumerate(NAMES)})),
        ("config.json", json.dumps({"size": 3, "id2label": dict(enumerate(NAMES)), "label2id": MAP})),
        ("objects.json", json.dumps([{"id": i, "name": name, "group": "x"} for name, i in MAP.items()])),
        ("described.json", json.dumps({i: {"name": name, "n": 3} for i, name in enumerate(NAMES)})),
        ("json.txt", "\n" + json.dumps(MAP, indent=1)),
        ("header.csv", 'id,name\n0,walk\n1,"pick up, drop"\n2,act 2\n3,7 m run\n'),
        ("none.csv", '0,walk\n1,"pick up, drop"\n2,act 2\n3,7 m run\n'),
        ("columns.csv", 'Name,Group,Index\nact 2,x,2\nwalk,x,0\n"pick up, drop",y,1\n7 m run,y,3\n'),
        ("semicolons.csv", "name;label\nwalk;0\npick up, drop;1\nact 2;2\n7 m run;3\n"),
        ("names.csv", 'name\nwalk\n"pick up, drop"\nact 2\n7 m run\n'),
        ("order.csv", 'name,group\nwalk,a\n"pick up, drop",a\nact 2,b\n7 m run,b\n'),
        ("tabs.tsv", "label\tname\n1\twalk\n2\tpick up, drop\n3\tact 2\n4\t7 m run\n"),
        ("tabs.txt", "act 2\t2\nwalk\t0\npick up, drop\t1\n7 m run\t3\n"),
        ("classInd.txt", "1 walk\r\n2 pick up, drop\r\n3 act 2\r\n4 7 m run\r\n"),
        ("from_zero.txt", "0 walk\n1 pick up, drop\n2 act 2\n3 7 m run"),
        ("colons.txt", "0: walk\n1: pick up, drop\n2: act 2\n3: 7 m run"),
        ("lines.txt", "walk\npick up, drop\nact 2\n7 m run"),
        ("equals.txt", "0=walk\n1=pick up, drop\n2=act 2\n3=7 m run"),
        ("dashes.txt", "0 - walk\n1 - pick up, drop\n2 - act 2\n3 - 7 m run"),
        ("behind.txt", "walk 0\npick up, drop 1\nact 2 2\n7 m run 3"),
        ("without_quotes.csv", "id,name\n0,walk\n1,pick up, drop\n2,act 2\n3,7 m run\n"),
        ("synset.txt", "n01440764 walk\nn01443537 pick up, drop\nn01484850 act 2\nn01491361 7 m run\n"),
        ("synset.tsv", "n01440764\twalk\nn01443537\tpick up, drop\nn01484850\tact 2\nn01491361\t7 m run\n"),
        ("clsidx_to_labels.txt", str(dict(enumerate(NAMES)))),
        ("trailing.json", '["walk", "pick up, drop", "act 2", "7 m run",]'),
        ("names.jsonl", "\n".join(json.dumps({"id": i, "name": name}) for name, i in MAP.items())),
        ("data.yaml", "path: x\nnc: 4\nnames:\n  0: walk\n  1: pick up, drop\n  2: act 2\n  3: 7 m run\n"),
        ("names.yml", "- walk\n- pick up, drop\n- act 2\n- 7 m run\n"),
        ("ava.pbtxt", "".join(f'item {{\n  name: "{name}"\n  id: {i + 1}\n}}\n' for name, i in MAP.items())),
        (
            "shown.pbtxt",
            "".join(f"item {{ id: {i} name: '/m/{i}' display_name: '{n}' }}" for n, i in MAP.items()),
        ),
    ],
)
def test_a_label_file_is_read_in_the_order_of_the_classes(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert read_labels(tmp_path / file) == NAMES


@pytest.mark.parametrize(
    "names",
    [
        ("1 person", "several people"),
        ("1 person", "3 people", "4 people"),
        ("2 people", "3 people"),
        ("0", "1", "2"),
        ("act 0", "act 1"),
        ("tench, Tinca tinca", "goldfish, Carassius auratus"),
        ("[unknown]", "{other}"),
        ("5 m run",),
        ('say "no"', "x"),
    ],
)
def test_names_that_only_look_like_numbered_lines_are_kept(tmp_path: Path, names: tuple[str, ...]) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("\n".join(names))
    assert read_labels(file) == names


def test_a_label_file_may_be_utf_16_as_spreadsheets_write_it(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        mark = "" if encoding == "utf-16" else "\ufeff"
        (tmp_path / "labels.txt").write_bytes(f"{mark}walk\nyağlı güreş".encode(encoding))
        assert read_labels(tmp_path / "labels.txt") == ("walk", "yağlı güreş")


def test_a_set_of_labels_is_refused_as_it_has_no_order() -> None:
    with pytest.raises(UsageError, match="labels are a set, which has no order; give a list of names"):
        read_labels({"walk", "run"})  # type: ignore[arg-type]


def test_labels_may_be_a_map() -> None:
    assert read_labels({1: "run", 0: "walk"}) == read_labels({"run": 1, "walk": 0}) == ("walk", "run")
    with pytest.raises(UsageError, match="map of labels numbers 2 classes from 0 to 2, and not from 0 or 1"):
        read_labels({"walk": 0, "run": 2})


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("gap.json", '{"walk": 0, "run": 2}', "numbers 2 classes from 0 to 2"),
        ("double.json", '{"walk": 0, "stroll": 0, "run": 1}', "numbers 3 classes from 0 to 1"),
        ("gap.csv", "id,name\n5,walk\n6,run\n", "numbers 2 classes from 5 to 6"),
        ("cut.json", '{"walk": 0, "ru', "is no valid JSON"),
        ("number.json", "3", "holds neither a list of names nor a map"),
        ("nested.json", '{"walk": 0.5, "run": null}', "holds something other than names and indices"),
        ("numbers.json", "[1, 2]", "holds a list of something other than names"),
        ("indices.csv", "id,count\n0,4\n1,5\n", "has no column of names"),
        ("groups.csv", "walk,slow\nrun,fast\n", "has 2 columns, none of which numbers the classes"),
        ("gap.pbtxt", "item { id: 1 name: 'a' } item { id: 3 name: 'b' }", "numbers 2 classes from 1 to 3"),
        ("nameless.pbtxt", "item { id: 1 }", "has an item without an id or a name"),
        ("map.toml", "names = ['walk']\n", "is in a format that is not read"),
        ("bad.yaml", "names: [walk\n", "is no valid YAML"),
        ("number.yaml", "3\n", "holds neither a list of names nor a map"),
        ("commas.csv", "name,id\nrun, fast,0\nwalk,1\n", "has lines of more columns than its header"),
        ("nameless.csv", "id,name\n0,\n1,run\n", "has a class without a name"),
        ("header.csv", "id,name\n", "is empty"),
        ("empty.json", "", "is empty"),
        ("no_names.json", "[]", "is empty"),
        ("no_map.json", "{}", "is empty"),
    ],
)
def test_a_file_that_names_no_classes_is_refused(tmp_path: Path, file: str, text: str, reason: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=rf"the label file .*{file} {reason}.*; write one class name a line"):
        read_labels(tmp_path / file)


@pytest.mark.parametrize(
    "text", [r'["walk", "\ud800"]', r"['walk', '\ud800']", r'{"0": "walk", "1": "\udcff"}']
)
def test_names_with_half_a_character_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(InputError, match="a surrogate stands alone"):
        read_labels(tmp_path / "labels.json")

"""A user's own clips, as folders and as tables."""

import json
from pathlib import Path

import pytest

from glocal.datasets.dataset import usable_records
from glocal.datasets.folder import read_csv, read_folder
from glocal.datasets.videos import list_records
from glocal.errors import InputError, UsageError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_clips_lie_in_a_folder_for_each_class(tmp_path: Path) -> None:
    train = tmp_path / "train"
    touch(
        train / "b" / "2.mp4", train / "b" / "1.AVI", train / "a" / "frames" / "1.png", train / "readme.txt"
    )
    touch(train / "b" / ".hidden.mp4", train / "b" / "1.npz", train / ".cache" / "x.mp4")
    records = read_folder(tmp_path)
    assert [(record.label, record.path.name) for record in records] == [
        ("a", "frames"),
        ("b", "1.AVI"),
        ("b", "2.mp4"),
    ]
    assert all(record.span is None and not record.boxes for record in records)


def test_an_empty_or_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"val cannot be read \(No such file"):
        read_folder(tmp_path, "val")
    (tmp_path / "val" / "a").mkdir(parents=True)
    with pytest.raises(InputError, match=r"holds no clips; put them there as <class>/<clip>\.mp4"):
        read_folder(tmp_path, "val")


def test_a_table_gives_paths_labels_and_spans(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text(
        'path,label,start,end,fold\nx/1.mp4,"run, fast",,,0\n2.mp4,sit,1.5,3,1\n3.mp4,sit,2,,2\n'
    )
    first, second, third = read_csv(table)
    assert (first.path, first.label, first.span) == (tmp_path / "x" / "1.mp4", "run, fast", None)
    assert second.span == (1.5, 3)
    assert third.span == (2, float("inf"))
    assert [record.path.name for record in read_csv(table, only={"fold": [1, 2]})] == ["2.mp4", "3.mp4"]
    assert read_csv(table, tmp_path / "videos")[1].path == tmp_path / "videos" / "2.mp4"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(("cell", "comma"), [(";", "1,5"), ("\t", "1,5"), (",", "1.5"), (", ", '"1,5"')])
def test_a_table_is_read_as_spreadsheets_write_it(
    tmp_path: Path, cell: str, comma: str, mark: str, line_end: str
) -> None:
    table = tmp_path / "clips.csv"
    lines = [cell.join(row) for row in (("Path", "LABEL", "start", "end"), ("1.mp4", "größe", comma, "3"))]
    table.write_bytes((mark + line_end.join(lines) + line_end).encode())
    boxes = [cell.join(row) for row in (("path", "Frame", "x0", "y0", "x1", "y1"), ("1.mp4", *"0123", "9"))]
    (tmp_path / "clips.boxes.csv").write_bytes((mark + line_end.join(boxes)).encode())
    (record,) = read_csv(table)
    assert (record.path, record.label, record.span) == (tmp_path / "1.mp4", "größe", (1.5, 3))
    assert record.boxes == {0: ((1, 2, 3, 9),)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.mp4,sit\n", r"clips\.csv, line 1: there is no column 'path'; add a header"),
        ("path,label\n1.mp4,\n", r"clips\.csv, line 2: a path and a label are needed"),
        ("path,label,start,end\n1.mp4,sit,3,1\n", r"clips\.csv, line 2: start and end must be seconds"),
        ("path,label,start,end\n1.mp4,sit,a,1\n", r"line 2: start and end must be seconds.*not 'a' and '1'"),
        ("path,label\n", "lists no clips"),
        ("", "no column 'path'"),
    ],
)
def test_a_table_that_does_not_fit_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "clips.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=message):
        read_csv(table)


def test_a_choice_of_rows_that_there_are_not_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("path,label,fold\n1.mp4,sit,0\n")
    with pytest.raises(
        UsageError, match=r"has no column 'folds', only path, label, fold\. Did you mean 'fold'"
    ):
        read_csv(table, only={"folds": [0]})
    with pytest.raises(UsageError, match="has no rows where"):
        read_csv(table, only={"fold": [7]})
    table.write_bytes(b"path,label\n\xff,sit\n")
    with pytest.raises(InputError, match="not a table in UTF-8"):
        read_csv(table)
    with pytest.raises(InputError, match="cannot be read"):
        read_csv(tmp_path / "none.csv")


def test_a_hostile_table_is_named_or_its_clips_are_missing(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    for content, message in (
        (b"\xff\xfep\x00a\x00t\x00h\x00", "not a table in UTF-8"),
        (b"path,label\n" + b"x" * 200_000 + b",a\n", "not a table in UTF-8"),
        (b"path|label\na.mp4|x\n", "no column 'path'"),
        (b"path,label\n\na.mp4\n", "line 3: a path and a label are needed"),
    ):
        table.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_csv(table)
    table.write_bytes(b"path,label\nno\x00ne.mp4,a\n")
    with pytest.raises(InputError, match=r"1 of 1 items cannot be used"):
        usable_records(read_csv(table))


def test_boxes_lie_in_a_table_beside_the_clips(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("path,label\nx/1.mp4,run\n2.mp4,sit\n")
    (tmp_path / "clips.boxes.csv").write_text(
        "path,actor,frame,x0,y0,x1,y1\nx/1.mp4,a,3,1,2,11,22\nx/1.mp4,b,3,5,5,6,6.5\nx/1.mp4,a,4,1,2,12,22\n"
    )
    first, second = read_csv(table)
    assert first.tubes == ({3: (1, 2, 11, 22), 4: (1, 2, 12, 22)}, {3: (5, 5, 6, 6.5)})
    assert list(first.boxes) == [3, 4]
    assert not second.boxes


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1.mp4,0,9,2,3,4", r"line 3: expected a path, a frame and numbers x0 < x1"),
        ("1.mp4,-1,1,2,3,4", r"line 3: .*frame -1"),
        ("1.mp4,0,1,2,nan,4", r"line 3: expected"),
        ("1.mp4,0,1", r"line 3: expected"),
        ("1.mp4,1,1,2,3,4", r"line 3: .*frame 1 has a box already; tell actors apart"),
    ],
)
def test_a_wrong_box_is_named_with_its_line(row: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("path,label\n1.mp4,run\n")
    (tmp_path / "clips.boxes.csv").write_text(f"path,frame,x0,y0,x1,y1\n1.mp4,1,1,2,3,4\n{row}\n")
    with pytest.raises(InputError, match=rf"clips\.boxes\.csv, {message}"):
        read_csv(tmp_path / "clips.csv")


def test_clips_of_phones_cameras_and_discs_are_listed(tmp_path: Path) -> None:
    folder = tmp_path / "train" / "run"
    names = ["a.3gp", "b.ogv", "c.MTS", "d.m2ts", "e.mpeg2", "f.MP4", "g.mjpeg", "h.VOB", "i.m2v", "j.f4v"]
    touch(*[folder / name for name in names])
    assert [record.path.name for record in read_folder(tmp_path)] == names


def test_a_table_says_from_which_video_a_clip_was_cut(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("path,label,start,end,source\na.mp4,x,0,1,film\nb.mp4,x,,,film\nc.mp4,x,,,\n")
    assert [record.source for record in read_csv(table)] == ["film", "film", None]


def test_videos_in_any_folders_have_boxes_beside_them(tmp_path: Path) -> None:
    touch(tmp_path / "b" / "two.MP4", tmp_path / "one.avi", tmp_path / ".hidden.mp4", tmp_path / "notes.txt")
    content = {"boxes": [[1, 2, 10, 20], None, [3.5, 0, 1, 1]], "start": 4}
    (tmp_path / "b" / "two.boxes.json").write_text(json.dumps(content))
    one, two = sorted(list_records(tmp_path), key=lambda record: record.path.name)
    assert (one.label, one.boxes) == (tmp_path.name, {})
    assert two.label == "b"
    assert two.boxes == {4: ((1, 2, 11, 22),), 6: ((3.5, 0, 4.5, 1),)}
    (tmp_path / "b" / "two.boxes.json").write_text(json.dumps({**content, "label": "walk"}))
    assert [record.label for record in list_records(tmp_path / "b")] == ["walk"]


@pytest.mark.parametrize(
    "content",
    [{}, {"boxes": [[1, 2, 3]]}, {"boxes": [[1, 2, 0, 3]]}, {"boxes": [[1, 2, 3, 4]], "start": -1}, []],
)
def test_boxes_that_do_not_fit_are_refused(content: object, tmp_path: Path) -> None:
    touch(tmp_path / "clip.mp4")
    (tmp_path / "clip.boxes.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"clip\.boxes\.json"):
        list_records(tmp_path)
    with pytest.raises(InputError, match="holds no videos"):
        list_records(tmp_path / "nowhere")

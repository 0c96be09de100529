"""Class names, from packaged lists or from the user."""

import ast
import csv
import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping, Sequence, Set
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from glocal.errors import InputError, UsageError, unknown
from glocal.types import LabelSource
from glocal.utils.files import printable, read_bounded
from glocal.utils.json_files import parse_json, require_unicode
from glocal.utils.optional_import import optional_import

LABEL_LISTS = (
    "kinetics400",
    "ucf101",
    "hmdb51",
    "imagenet",
    "something-something-v1",
    "something-something-v2",
)
"""Names of the packaged lists, each in the class order of the public checkpoints."""

DESCRIPTIONS: Mapping[str, str] = {
    "kinetics400": "400 actions of people (Kinetics-400)",
    "ucf101": "101 actions of people (UCF101)",
    "hmdb51": "51 actions of people (HMDB51)",
    "imagenet": "1000 kinds of objects, animals and scenes (ImageNet), not actions",
    "something-something-v1": "174 actions of hands with things (Something-Something)",
    "something-something-v2": "174 actions of hands with things (Something-Something)",
}
"""What the classes of the packaged lists are."""


@cache
def label_list(name: str) -> tuple[str, ...]:
    """Return a packaged list.

    Args:
        name: one of `LABEL_LISTS`.

    Raises:
        UsageError: the name is unknown.
    """
    if name not in LABEL_LISTS:
        raise unknown("label list", name, LABEL_LISTS)
    file = resources.files("glocal.models") / "labels" / f"{name}.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines())


MAX_LABEL_BYTES = 1 << 24

JSON_KEYS = ("id2label", "label2id", "labels", "class_names", "classes", "names", "categories")
"""Keys of a JSON file below which the names are."""

INDEX_COLUMNS = ("id", "index", "idx", "class_id", "class_index", "label_id", "number", "label")
"""Titles of a table's column of class indices."""

NAME_COLUMNS = ("name", "class_name", "classname", "label_name", "display_name", "class", "label", "action")
"""Titles of a table's column of class names."""

TABLE_SUFFIXES = (".csv", ".tsv")
YAML_SUFFIXES = (".yaml", ".yml")
OTHER_SUFFIXES = (".toml", ".xml", ".py")
NUMBERED = r"(\d{1,9})(?:\s*[:,;.)=]\s*|\s+-\s+|\s+)(\S.*)"
"""A line of a class index and a name."""
SYNSET = r"n\d{8}[\s,;]+(\S.*)"
"""A line of a WordNet number and a name, as in ImageNet's lists."""
FORMATS = "write one class name a line, lines '0 name', a CSV file with columns id and name, or a JSON map"


def read_labels(source: LabelSource) -> tuple[str, ...]:
    """Return the class names that `source` gives, in the order of the classes.

    A file is UTF-8 text of one of these kinds, recognised by its content: one name a line; lines `1 name`,
    numbered from 0 or 1 without a gap, also with the number behind; lines of a WordNet number and a name, as
    ImageNet's; a table of comma-, semicolon- or tab-separated columns with an index and a name, with or
    without a header; JSON, JSON lines, YAML or a Python literal with a list of names, or a map from name to
    index or from index to name, also inside a configuration of `transformers`; a label map of TensorFlow's
    (`.pbtxt`). UTF-16 text has a byte order mark.

    Args:
        source: the names, a map from name to index or from index to name, the name of a packaged list, or
            the path of a file.

    Raises:
        UsageError: `source` is neither a packaged list nor an existing file, is a set, which has no order,
            or a map without a name for each class.
        InputError: the file cannot be read as text, is empty, or does not name each class.
    """
    if isinstance(source, Mapping):
        try:
            return _names_of_map(source)
        except _LabelError as problem:
            raise UsageError(f"the map of labels {problem}.") from None
    if isinstance(source, Set):
        raise UsageError("labels are a set, which has no order; give a list of names.")
    if not isinstance(source, (str, os.PathLike)):
        return tuple(map(str, source))
    if source in LABEL_LISTS:
        return label_list(str(source))
    path = Path(source)
    text = _read_text(path)
    try:
        labels = _parse(text, path.suffix.lower())
    except _LabelError as problem:
        raise InputError(f"the label file {printable(path)} {problem}; {FORMATS}.") from None
    if not labels:
        raise InputError(f"the label file {printable(path)} is empty; write one class name a line.")
    return labels


class _LabelError(Exception):
    """Why labels cannot be read; completes a sentence that begins with their source."""


def _read_text(path: Path) -> str:
    try:
        data = read_bounded(path, MAX_LABEL_BYTES)
        return data.decode("utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
    except FileNotFoundError:
        raise UsageError(
            f"there is no label file {printable(path)}, and no packaged list of that name: "
            f"{', '.join(LABEL_LISTS)}."
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"the label file {printable(path)} cannot be read: it is not UTF-8 text.") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise InputError(f"the label file {printable(path)} cannot be read: {reason}.") from None


def _parse(text: str, suffix: str) -> tuple[str, ...]:
    """Class names in the text of a label file with that suffix."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    content = _yaml_content(text) if suffix in YAML_SUFFIXES else _json_content(text, suffix)
    if content is not None:
        return _names_of_json(content)
    if items := re.findall(r"item\s*\{(.*?)\}", text, re.DOTALL):
        return _names_of_items(items)
    if names := _numbered_lines(lines) or _synsets(lines) or _table(lines, suffix):
        return names
    if suffix in OTHER_SUFFIXES:
        raise _LabelError("is in a format that is not read")
    return _lines_numbered_behind(lines) or tuple(lines)


def _yaml_content(text: str) -> Any:
    """The content of a YAML file, such as YOLO's `data.yaml`."""
    yaml = optional_import("yaml", extra="train", purpose="labels in YAML")
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as problem:
        raise _LabelError(f"is no valid YAML ({str(problem).splitlines()[0]})") from None
    if not isinstance(content, dict | list):
        raise _LabelError("holds neither a list of names nor a map" if text.strip() else "is empty")
    return content


def _json_content(text: str, suffix: str) -> Any:
    """The content of a file of JSON, JSON lines or a Python literal; None for other files."""
    if suffix != ".json" and not text.lstrip().startswith(("{", "[")):
        return None
    try:
        content = parse_json(text)
    except ValueError as problem:
        content = _json_lines(text) or _literal(text)
        if content is None and suffix == ".json":
            raise _LabelError(f"is no valid JSON ({problem})" if text.strip() else "is empty") from None
    try:
        require_unicode(content)
    except ValueError as problem:
        raise _LabelError(f"holds {problem}") from None
    if not isinstance(content, dict | list | None):
        raise _LabelError("holds neither a list of names nor a map")
    return content


def _json_lines(text: str) -> list[Any] | None:
    """The objects of a file with one JSON object a line; None for other files."""
    try:
        return [parse_json(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return None


def _literal(text: str) -> Any:
    """A Python list or dictionary, such as ImageNet's `{0: 'tench', …}`; None for other text."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _names_of_items(items: Sequence[str]) -> tuple[str, ...]:
    """Class names of the items of a label map, such as `id: 1 name: 'bend'`."""
    indices, names = [], []
    for item in items:
        index = re.search(r"\bid\s*:\s*(\d{1,9})", item)
        fields = dict(re.findall(r"\b(display_name|name)\s*:\s*(\"[^\"]*\"|'[^']*')", item))
        name = fields.get("display_name", fields.get("name"))
        if index is None or name is None:
            raise _LabelError("has an item without an id or a name")
        indices.append(int(index[1]))
        names.append(name[1:-1])
    return _in_order(indices, names)


def _names_of_json(content: Any) -> tuple[str, ...]:
    """Class names in a list, in a map, or below one key of a map."""
    if isinstance(content, dict):
        for key in JSON_KEYS:
            if isinstance(content.get(key), dict | list):
                return _names_of_json(content[key])
        if len(content) == 1 and isinstance(inner := next(iter(content.values())), dict | list):
            return _names_of_json(inner)
        return _names_of_map(content)
    if content and all(isinstance(item, dict) for item in content):
        header, rows = _columns_of_objects(content)
        return _names_of_table(header, rows)
    if not all(isinstance(item, str) for item in content):
        raise _LabelError("holds a list of something other than names")
    return tuple(_unquoted(item) for item in content)


def _columns_of_objects(items: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a list of JSON objects; only keys that all of them have."""
    header = [key for key in items[0] if all(key in item for item in items)]
    return header, [[str(item[key]) for key in header] for item in items]


def _names_of_map(content: Mapping[Any, Any]) -> tuple[str, ...]:
    """Class names of a map from index to name, or from name to index."""
    keys, values = list(content), [_name_in(value) for value in content.values()]
    for indices, names in ((keys, values), (values, keys)):
        numbers = [_as_index(index) for index in indices]
        if None not in numbers and all(isinstance(name, str) for name in names):
            return _in_order([number for number in numbers if number is not None], names)
    raise _LabelError("holds something other than names and indices")


def _name_in(value: Any) -> Any:
    """The name in a value of a map: the last item of a list, as in ImageNet's class index, or a `name`."""
    if isinstance(value, list | tuple) and value:
        return value[-1]
    return value.get("name") if isinstance(value, dict) else value


def _as_index(value: Any) -> int | None:
    """A class index given as a number or its digits; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"\s*\d{1,9}\s*", value) else None


def _in_order(indices: Sequence[int], names: Sequence[str]) -> tuple[str, ...]:
    """Names sorted by their indices, which count from 0 or 1 without a gap."""
    if not names:
        raise _LabelError("is empty")
    first = min(indices)
    by_index = dict(zip(indices, names, strict=True))
    if first not in (0, 1) or len(by_index) != len(names) or max(indices) - first >= len(names):
        raise _LabelError(
            f"numbers {len(names)} classes from {first} to {max(indices)}, and not from 0 or 1 on without a "
            "gap or a double"
        )
    if not all(name.strip() for name in names):
        raise _LabelError("has a class without a name")
    return tuple(_unquoted(by_index[index]) for index in sorted(by_index))


def _unquoted(name: str) -> str:
    """A name without the quotation marks and spaces around it."""
    name = name.strip()
    return name[1:-1].strip().replace('""', '"') if re.fullmatch(r'".*"', name) else name


def _numbered_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Names of lines `1 name`, `1: name` or `1,name` that are numbered from 0 or 1; empty for others."""
    matches = [match for line in lines if (match := re.fullmatch(NUMBERED, line))]
    if len(matches) < max(len(lines), 2) or not _counts([int(match[1]) for match in matches]):
        return ()
    return tuple(_unquoted(match[2]) for match in matches)


def _lines_numbered_behind(lines: Sequence[str]) -> tuple[str, ...]:
    """Names of lines `walk 1` that are numbered from 0 or 1 and have names of their own; empty for others."""
    matches = [match for line in lines if (match := re.fullmatch(r"(\S.*?)[\s:;,=]+(\d{1,9})", line))]
    names = tuple(_unquoted(match[1]) for match in matches)
    if len(matches) < max(len(lines), 2) or len(set(names)) < len(names):
        return ()
    return names if _counts([int(match[2]) for match in matches]) else ()


def _counts(indices: Sequence[int]) -> bool:
    """Whether indices count from 0 or 1 in order."""
    return indices[0] in (0, 1) and list(indices) == list(range(indices[0], indices[0] + len(indices)))


def _synsets(lines: Sequence[str]) -> tuple[str, ...]:
    """Names of lines `n01440764 tench, Tinca tinca`; empty for others."""
    matches = [match for line in lines if (match := re.fullmatch(SYNSET, line))]
    return tuple(_unquoted(match[1]) for match in matches) if len(matches) == len(lines) else ()


def _table(lines: Sequence[str], suffix: str) -> tuple[str, ...]:
    """Names of a table with an index column, or of any CSV or TSV file; empty for other files."""
    is_table = suffix in TABLE_SUFFIXES
    for delimiter in "\t,;":
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
        if rows and len(rows[0]) > 1 and len({len(row) for row in rows}) == 1:
            has_header = all(_as_index(cell) is None for cell in rows[0])
            header, rows = (rows[0], rows[1:]) if has_header else ([], rows)
            if is_table or (len(rows) > 1 and _numbers_classes(rows)):
                return _names_of_table(header, rows)
    if not is_table or not lines:
        return ()
    titles = [title.lower() for title in re.split(r"\s*[\t,;]\s*", lines[0])]
    if len(titles) > 1 and any(title in (*INDEX_COLUMNS, *NAME_COLUMNS) for title in titles):
        if len(titles) == 2 and titles[0] in INDEX_COLUMNS and (numbered := _numbered_lines(lines[1:])):
            return numbered
        raise _LabelError("has lines of more columns than its header; put names with commas in quotes")
    names = [_unquoted(line) for line in lines]
    return tuple(names[names[0].lower() in NAME_COLUMNS :])


def _numbers_classes(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a column of a table counts its rows from 0 or 1, in any order."""
    columns = [[_as_index(cell) for cell in column] for column in zip(*rows, strict=True)]
    return any(set(column) in (set(range(len(rows))), set(range(1, len(rows) + 1))) for column in columns)


def _names_of_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Class names in the rows of a table; `header` is empty if it has none."""
    if not rows:
        raise _LabelError("is empty")
    titles = [title.lower() for title in header] or [""] * len(rows[0])
    columns = list(zip(*rows, strict=True))
    numeric = [all(_as_index(cell) is not None for cell in column) for column in columns]
    index_column = _choose(titles, INDEX_COLUMNS, [i for i, is_index in enumerate(numeric) if is_index])
    name_column = _choose(titles, NAME_COLUMNS, [i for i, is_index in enumerate(numeric) if not is_index])
    if name_column is None:
        raise _LabelError("has no column of names")
    names = columns[name_column]
    if index_column is not None:
        return _in_order([int(cell) for cell in columns[index_column]], names)
    if len(columns) > 1 and titles[name_column] not in NAME_COLUMNS:
        raise _LabelError(f"has {len(columns)} columns, none of which numbers the classes")
    return tuple(_unquoted(name) for name in names)


def _choose(titles: Sequence[str], known: Sequence[str], columns: Sequence[int]) -> int | None:
    """The column with the first of the known titles, or else the first of the columns; None if none is."""
    titled = [column for title in known for column in columns if titles[column] == title]
    return next(iter([*titled, *columns]), None)


def describe_classes(labels: Sequence[str]) -> str:
    """Say what classes are, such as `400 actions of people (Kinetics-400)`; or only how many."""
    for name, description in DESCRIPTIONS.items():
        if tuple(labels) == label_list(name):
            return description
    return f"{len(labels)} classes" if len(labels) > 1 else "1 class"


def default_labels(num_classes: int, preferred: str = "") -> tuple[str, ...]:
    """Return class names for a network without labels.

    Args:
        num_classes: number of names.
        preferred: packaged list that is used if it has that many names; otherwise the only list with that
            many is used, and if there is none or several, the names are `class 0`, `class 1`, ….
    """
    matching = [name for name in LABEL_LISTS if len(label_list(name)) == num_classes]
    if preferred in matching:
        return label_list(preferred)
    if len(matching) == 1:
        return label_list(matching[0])
    return tuple(f"class {index}" for index in range(num_classes))

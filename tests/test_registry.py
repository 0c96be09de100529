"""The registry: names, refusals, overrides, lazy packages and plug-ins."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glocal.errors import UsageError
from glocal.registry import Registry


@pytest.fixture
def colours() -> Registry[int]:
    registry = Registry[int]("colour")
    registry.register("red", 1)
    registry.register("green", 2)
    return registry


@pytest.fixture
def module_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to import from; what is imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [n for n, m in sys.modules.items() if str(tmp_path) in str(getattr(m, "__file__", ""))]:
        del sys.modules[name]


def _add_entry_points(folder: Path, distribution: str, **groups: str) -> None:
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"[{group.replace('__', '.')}]\n{points}\n" for group, points in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))


def test_a_registry_is_a_mapping(colours: Registry[int]) -> None:
    assert dict(colours) == {"red": 1, "green": 2}
    assert len(colours) == 2
    assert "red" in colours
    assert "blue" not in colours
    assert ["red"] not in colours
    assert colours["green"] == colours.get("green") == 2
    assert colours.get("blue", None) is None
    assert repr(colours) == "<2 colours: red, green>"


def test_a_decorator_registers_what_it_decorates() -> None:
    functions = Registry[Callable[[], int]]("function")

    @functions.register("one")
    def one() -> int:
        return 1

    assert one() == 1
    assert functions["one"] is one


@pytest.mark.parametrize("lookup", [Registry.__getitem__, Registry.get])
def test_an_unknown_name_is_refused_with_the_nearest(
    colours: Registry[int], lookup: Callable[[Registry[int], str], int]
) -> None:
    with pytest.raises(UsageError) as refusal:
        lookup(colours, "gren")
    assert str(refusal.value) == "unknown colour 'gren'. Did you mean 'green'? Colours: red, green."


def test_an_unknown_name_of_an_empty_registry() -> None:
    with pytest.raises(UsageError, match=r"^unknown ox 'x'\. There are no oxen\.$"):
        Registry[int]("ox", "oxen")["x"]


def test_a_long_list_of_names_is_cut() -> None:
    numbers = Registry[int]("number")
    for i in range(100):
        numbers.register(f"n{i}", i)
    with pytest.raises(UsageError, match=r"n38, n39 and 60 more\.$"):
        numbers["x"]


def test_a_name_twice_is_refused_and_says_where_the_first_came_from(colours: Registry[int]) -> None:
    with pytest.raises(ValueError, match=f"'red' is registered already, by {__name__}; choose another name"):
        colours.register("red", 3, origin="elsewhere")
    assert colours["red"] == 1


def test_a_notebook_may_replace_its_own_entries(colours: Registry[int]) -> None:
    colours.register("blue", 3, origin="__main__")
    colours.register("blue", 4, origin="__main__")
    assert colours["blue"] == 4
    with pytest.raises(UsageError, match="registered already"):
        colours.register("red", 5, origin="__main__")


def test_an_override_ends_with_its_scope(colours: Registry[int]) -> None:
    with colours.override({"green": 20, "blue": 30}), colours.override("red", 10):
        assert dict(colours) == {"red": 10, "green": 20, "blue": 30}
    assert list(colours.items()) == [("red", 1), ("green", 2)]
    with pytest.raises(ZeroDivisionError), colours.override("red", 10):
        _ = colours["red"] / 0
    assert list(colours.items()) == [("red", 1), ("green", 2)]


_SELF_REGISTERING = "from shades.known import SHADES\nSHADES.register(__name__, 1)\n"


def _write_package(folder: Path, body: str = _SELF_REGISTERING) -> None:
    modules = folder / "shades" / "all"
    modules.mkdir(parents=True)
    (folder / "shades" / "__init__.py").touch()
    (folder / "shades" / "known.py").write_text(
        "from glocal.registry import Registry\nSHADES = Registry('shade', package='shades.all')\n"
    )
    (modules / "__init__.py").touch()
    for name in "abc":
        (modules / f"{name}.py").write_text(body)


def test_a_package_fills_a_registry_when_it_is_first_read(module_path: Path) -> None:
    _write_package(module_path)
    from shades.known import SHADES  # type: ignore[import-not-found]

    assert "shades.all.a" not in sys.modules
    import shades.all.c  # type: ignore[import-not-found]  # noqa: F401

    SHADES.register("first", 0)
    assert list(SHADES) == ["shades.all.a", "shades.all.b", "shades.all.c", "first"]


def test_a_module_of_the_package_may_look_names_up(module_path: Path) -> None:
    _write_package(module_path, _SELF_REGISTERING + "assert SHADES[__name__] == 1\n")
    from shades.known import SHADES

    assert len(SHADES) == 3


def test_a_broken_module_of_the_package_is_an_error_each_time(module_path: Path) -> None:
    _write_package(module_path)
    (module_path / "shades" / "all" / "b.py").write_text("raise RuntimeError('broken')")
    from shades.known import SHADES

    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            list(SHADES)


def test_other_threads_wait_for_the_package(module_path: Path) -> None:
    _write_package(module_path, "import time\ntime.sleep(0.05)\n" + _SELF_REGISTERING)
    from shades.known import SHADES

    lengths: list[int] = []
    threads = [threading.Thread(target=lambda: lengths.append(len(SHADES))) for _ in range(4)]
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert lengths == [3] * 4


def test_entry_points_add_values_and_modules(module_path: Path) -> None:
    (module_path / "paint.py").write_text("BLUE = 3")
    (module_path / "more_paint.py").write_text(
        "from paint_registry import COLOURS\nCOLOURS.register('pink', 4)"
    )
    (module_path / "paint_registry.py").write_text(
        "from glocal.registry import Registry\nCOLOURS = Registry('colour', entry_points='shop.colours')"
    )
    _add_entry_points(module_path, "paint", shop__colours="blue = paint:BLUE\nmore = more_paint")
    from paint_registry import COLOURS  # type: ignore[import-not-found]

    assert COLOURS["pink"] == 4
    assert dict(COLOURS) == {"blue": 3, "pink": 4}


def test_known_names_are_found_without_loading_plug_ins(module_path: Path) -> None:
    (module_path / "slow_plugin.py").write_text("raise AssertionError('loaded')")
    _add_entry_points(module_path, "slow", shop__colours="slow = slow_plugin")
    colours = Registry[int]("colour", entry_points="shop.colours")
    colours.register("red", 1)
    assert colours["red"] == 1
    with pytest.warns(UserWarning, match="loaded"):
        list(colours)


@pytest.mark.filterwarnings("error")
def test_a_broken_plug_in_is_one_warning(module_path: Path) -> None:
    (module_path / "takes_red.py").write_text("RED = 3")
    _add_entry_points(
        module_path, "half-built", shop__colours="blue = no_such_module:BLUE\npink = takes_red:PINK"
    )
    _add_entry_points(module_path, "whole", shop__colours="scarlet = takes_red:RED")
    colours = Registry[int]("colour", entry_points="shop.colours")
    with pytest.warns(UserWarning, match="cannot be loaded") as caught:
        assert colours["scarlet"] == 3
    messages = sorted(str(warning.message) for warning in caught)
    assert len(messages) == 2
    assert messages[0].startswith(
        "the package half-built adds no colour: its entry point 'blue' in shop.colo"
    )
    assert "No module named 'no_such_module'" in messages[0]
    assert dict(colours) == {"scarlet": 3}


def test_a_plug_in_cannot_take_a_name(module_path: Path) -> None:
    (module_path / "thief.py").write_text("from owner import COLOURS\nCOLOURS.register('red', 2)")
    (module_path / "owner.py").write_text(
        "from glocal.registry import Registry\n"
        "COLOURS = Registry('colour', entry_points='shop.colours')\nCOLOURS.register('red', 1)"
    )
    _add_entry_points(module_path, "thief", shop__colours="red = thief")
    from owner import COLOURS  # type: ignore[import-not-found]

    with pytest.warns(UserWarning, match="'red' is registered already, by owner"):
        assert dict(COLOURS) == {"red": 1}


def test_the_registry_needs_no_torch() -> None:
    code = "import sys, glocal.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the plug-in package of the tests is installed, as pip does it."""
    folder = tmp_path_factory.mktemp("plugin")
    source = folder / "source"
    shutil.copytree(Path(__file__).parent / "helpers" / "plugin", source)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", folder / "site")
    subprocess.run([sys.executable, "-m", "pip", "install", *options, source], check=True)
    return folder / "site"


def _run_with(plugin: Path, code: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(plugin), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_method_of_an_installed_package_explains_and_is_listed(plugin: Path) -> None:
    code = """
import glocal, torch
from torch import nn
network = nn.Sequential(nn.Conv3d(3, 4, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))
found = glocal.attribute(network, torch.rand(1, 3, 4, 8, 8), ["0"], method="blink")
print(tuple(found.attention.shape))
from glocal.cli import main
main(["methods"])
"""
    lines = _run_with(plugin, code).stdout.splitlines()
    assert lines[0] == "(1, 4, 8, 8)"
    assert any(line.startswith("blink ") for line in lines)


def test_an_export_of_an_installed_package_is_found_and_a_broken_one_is_a_warning(plugin: Path) -> None:
    done = _run_with(plugin, "from glocal.localization.exports import EXPORTS; print(list(EXPORTS))")
    assert done.stdout.strip() == "['activitynet', 'coco', 'cvat', 'label-studio', 'mot', 'yolo', 'names']"
    assert "the package glocal-blink adds no export: its entry point 'broken'" in done.stderr


def test_a_network_of_an_installed_package_is_loaded(plugin: Path) -> None:
    code = """
import glocal
model = glocal.load_model("blink-net")
print(type(model.network).__name__, list(model.layers), model.network[3].out_features)
"""
    assert _run_with(plugin, code).stdout.strip() == "Sequential ['conv'] 3"


def test_a_measure_and_a_table_of_an_installed_package_are_found(plugin: Path) -> None:
    code = f"""
from glocal.benchmark import MEASURES
from glocal.cli import main
print(MEASURES["spread"].section, "deletion/time" in MEASURES)
main(["table", "blink/1", "--clips", "2", "--out", {str(plugin.parent / "out")!r}])
"""
    lines = _run_with(plugin, code).stdout.splitlines()
    assert lines[0] == "shape True"
    assert [line.split() for line in lines[2:4]] == [["method", "clips"], ["blink-net", "2.000"]]

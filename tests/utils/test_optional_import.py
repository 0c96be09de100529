"""Packages that need not be installed."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from glocal.errors import InputError
from glocal.utils.optional_import import LazyModule, import_if_installed, optional_import


def test_an_installed_module_is_returned() -> None:
    assert optional_import("json", extra="train", purpose="training") is json


def test_a_missing_extra_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(
        InputError, match=r"training needs lightning\.pytorch, .* run pip install 'glocal\[train\]'"
    ):
        optional_import("lightning.pytorch", extra="train", purpose="training")


def test_a_module_that_breaks_on_import_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_extra.py").write_text("raise RuntimeError('wrong CUDA\\nmore')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"a figure needs broken_extra, .* \(wrong CUDA\); run pip"):
        optional_import("broken_extra", extra="figures", purpose="a figure")


def test_a_lazy_module_is_imported_on_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    colours = LazyModule("colorsys", extra="opencv", purpose="a colour")
    monkeypatch.setitem(sys.modules, "colorsys", None)
    with pytest.raises(
        InputError, match=r"a colour needs colorsys, .*; run pip install 'glocal\[opencv\]'\.$"
    ):
        colours.rgb_to_hsv(1, 1, 1)
    monkeypatch.delitem(sys.modules, "colorsys")
    assert colours.rgb_to_hsv(1, 1, 1) == (0, 0, 1)


def test_a_module_that_only_makes_faster_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_library.py").write_text("raise ImportError('libGL.so.1: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    assert import_if_installed("broken_library") is None
    assert import_if_installed("json") is json


REPLACES_ITSELF = """
import importlib, sys, time
if not hasattr(sys, "self_replacing_loaded"):
    sys.self_replacing_loaded = True
    package = sys.modules.pop(__name__)
    importlib.import_module("self_replacing.native")
    time.sleep(0.05)
    sys.modules[__name__] = package
    del sys.self_replacing_loaded
    VALUE = 1
"""


def test_a_package_that_replaces_itself_is_imported_from_many_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "self_replacing"
    package.mkdir()
    (package / "__init__.py").write_text(REPLACES_ITSELF)
    (package / "native.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        values = pool.map(lambda _: import_if_installed("self_replacing").VALUE, range(8))
        assert list(values) == [1] * 8

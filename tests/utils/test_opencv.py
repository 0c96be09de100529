"""OpenCV, of whichever package, with or without its contrib modules."""

import sys
from importlib import metadata
from types import ModuleType

import pytest

from glocal.errors import InputError
from glocal.utils.opencv import contrib_function

PURPOSE = "TV-L1 optical flow"


def have(monkeypatch: pytest.MonkeyPatch, *packages: str, optflow: ModuleType | None) -> None:
    """Have these packages of OpenCV installed, whose last one left this module `cv2.optflow`."""

    def distribution(name: str) -> object:
        if name in packages:
            return object()
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", distribution)
    monkeypatch.setitem(sys.modules, "cv2", ModuleType("cv2"))
    monkeypatch.setitem(sys.modules, "cv2.optflow", optflow)


def test_a_function_of_the_contrib_modules_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("cv2.optflow")
    module.create = len  # type: ignore[attr-defined]
    have(monkeypatch, "opencv-contrib-python", optflow=module)
    assert contrib_function("optflow", "create", purpose=PURPOSE) is len


@pytest.mark.parametrize("leftover", [None, ModuleType("cv2.optflow")])
@pytest.mark.parametrize("suffix", ["", "-headless"])
def test_a_package_without_them_is_named_with_the_one_to_take_instead(
    monkeypatch: pytest.MonkeyPatch, suffix: str, leftover: ModuleType | None
) -> None:
    have(monkeypatch, f"opencv-python{suffix}", "opencv-contrib-python-headless", optflow=leftover)
    with pytest.raises(
        InputError,
        match=rf"which opencv-python{suffix} replaced or lacks; run pip uninstall --yes opencv-python{suffix} && "
        rf"pip install --force-reinstall opencv-contrib-python{suffix}\.$",
    ):
        contrib_function("optflow", "create", purpose=PURPOSE)


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, optflow=None)
    with pytest.raises(InputError, match=r"needs cv2\.optflow, .* run pip install 'glocal\[flow\]'\.$"):
        contrib_function("optflow", "create", purpose=PURPOSE)

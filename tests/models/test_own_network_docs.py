"""Each recipe of docs/own-network.md, as it stands there."""

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "own-network.md"
VIDEO = np.random.default_rng(0).integers(0, 256, (10, 40, 56, 3), np.uint8)
RECIPES = re.findall(r"^## (.+?)\n.*?```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
PACKAGES = {
    "torchvision": ["torchvision"],
    "timm": ["timm"],
    "pytorchvideo": ["pytorchvideo", "torchvision"],
    "transformers": ["transformers"],
    "ONNX": ["onnx2torch"],
}


def test_there_are_eight_recipes() -> None:
    assert len(RECIPES) == 8


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("title", [title for title, _ in RECIPES])
def test_the_recipe_runs(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in PACKAGES.get(title, []):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    if title == "pytorchvideo":
        from torchvision.transforms import functional

        # The name that pytorchvideo imports, which newer versions of torchvision have dropped.
        monkeypatch.setitem(sys.modules, "torchvision.transforms.functional_tensor", functional)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    recipes = dict(RECIPES)
    names: dict[str, Any] = {"video": VIDEO}
    exec(recipes["A PyTorch module"], names)
    if title == "ONNX":
        exec("import torch", names)
    exec(recipes[title], names)
    explanation = names["explanation"]
    assert explanation.attention.shape == VIDEO.shape[:3]
    assert np.isfinite(explanation.attention[:]).all()

"""OpenCV is not required: everything but puppets, optical flow and GrabCut works without it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glocal.video import write_video
from helpers.networks import SMALL_NETWORK

MODEL = ["--model", "nets.py:build", "--clip", "frames=4", "--clip", "size=16", "--quiet"]
SCRIPT = """
import json, sys
from glocal.cli import main
codes = [main(arguments) for arguments in json.loads(sys.argv[1])]
assert "cv2" not in sys.modules
print(codes)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which `cv2` cannot be imported, with a network, a clip and its boxes."""
    rng = np.random.default_rng(0)
    (tmp_path / "missing").mkdir()
    (tmp_path / "missing" / "cv2.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'cv2'\", name='cv2')"
    )
    (tmp_path / "nets.py").write_text(f"{SMALL_NETWORK}\nbuild = Small\n")
    (tmp_path / "clips").mkdir()
    write_video(tmp_path / "clips" / "a.mp4", rng.integers(0, 255, (8, 32, 48, 3), np.uint8), 8)
    (tmp_path / "clips" / "clips.csv").write_text("path,label\na.mp4,dance\n")
    boxes = "".join(f"a.mp4,{frame},4,4,30,28\n" for frame in range(8))
    (tmp_path / "clips" / "clips.boxes.csv").write_text("path,frame,x0,y0,x1,y1\n" + boxes)
    return tmp_path


def run(folder: Path, *commands: list[str]) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder / "missing"), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(commands)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_commands_run_without_opencv(folder: Path) -> None:
    done = run(
        folder,
        ["explain", "clips/a.mp4", *MODEL, "--out", "explained"],
        ["localize", "explained/a.json", "--export", "coco", "--quiet", "--out", "localized"],
        ["localize", "clips/a.mp4", *MODEL, "--refine", "guided,link", "--out", "refined"],
        ["evaluate", "--data", "csv", "--root", "clips/clips.csv", *MODEL, "--out", "evaluated"],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[0, 0, 0, 0]", done.stdout + done.stderr
    assert "optical-flow magnitude and motion over half a second are left out" in done.stderr
    for name in ("explained/a.html", "explained/a.mp4", "localized/coco.json", "evaluated/evaluate-csv.md"):
        assert (folder / name).stat().st_size > 100, name


def test_what_needs_opencv_says_how_to_get_it(folder: Path) -> None:
    done = run(
        folder,
        ["localize", "clips/a.mp4", *MODEL, "--refine", "grabcut"],
        ["compare", "--data", "puppets", "--clips", "1", "--quiet"],
    )
    assert done.stdout.splitlines()[-1] == "[1, 1]", done.stdout + done.stderr
    sentence = "rendering puppets, optical flow or GrabCut needs cv2, which is not installed; run pip install"
    assert done.stderr.count(f"{sentence} 'glocal[opencv]'.") == 2, done.stderr


@pytest.mark.heavy
def test_long_commands_run_without_opencv(folder: Path) -> None:
    done = run(
        folder,
        ["compare", "clips/a.mp4", *MODEL, "--methods", "3dcam,gradcam", "--out", "compared"],
        ["figure", "methods", "clips/a.mp4", *MODEL, "--frames", "2", "--out", "drawn"],
        ["batch", "clips/a.mp4", *MODEL, "--out", "batch", "--workers", "1"],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[0, 0, 0]", done.stdout + done.stderr
    for name in ("compared/compare.html", "drawn/a-methods.png", "batch/a.html"):
        assert (folder / name).stat().st_size > 100, name

"""Every block of Python and shell in README and docs/ runs, except those that say why not.

`<!-- not run: REASON -->` above a block, or `<!-- not run (2, 3): REASON -->` for some of its lines, says so.
"""

import gc
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import glocal
from glocal.attribution import METHODS
from glocal.cli import main
from glocal.models import MODELS, Model, load_model
from glocal.registry import Registry
from glocal.video import write_video

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OWN_TEST = ("own-network.md",)
"""Pages whose blocks another test runs."""
MAX_NOT_RUN = 64
"""Commands and blocks of Python that are not run; more need a reason to raise it."""
BLOCK = re.compile(
    r"(?:<!-- not run(?: \((?P<lines>[\d, ]+)\))?: (?P<reason>[^\n]+) -->\n)?```(?P<language>python|sh)\n(?P<code>.*?)```",
    re.DOTALL,
)
STAGES = ("conv", "layer1", "layer2", "layer3", "layer4")
RNG = np.random.default_rng(0)


class Block(NamedTuple):
    """A block of code: its page, its place in the page, and the lines that are run."""

    page: Path
    number: int
    language: str
    code: str
    not_run: int

    def __str__(self) -> str:
        return f"{self.page.stem}-{self.number}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        for number, match in enumerate(BLOCK.finditer(page.read_text("utf-8")), 1):
            code, language = match["code"], match["language"]
            lines = code.splitlines()
            skipped = set(range(1, len(lines) + 1)) if match["reason"] else set()
            if match["lines"]:
                skipped = {int(line) for line in match["lines"].split(",")}
                assert max(skipped) <= len(lines), f"{page.name}, block {number}"
            kept = "\n".join(line for i, line in enumerate(lines, 1) if i not in skipped)
            count = len(skipped) if language == "sh" else min(1, len(skipped))
            yield Block(page, number, language, kept, count)


BLOCKS = list(blocks())
PYTHON_PAGES = sorted(
    {b.page for b in BLOCKS if b.language == "python" and b.code.strip() and b.page.name not in OWN_TEST}
)
SHELL = [b for b in BLOCKS if b.language == "sh" and "glocal " in b.code]


class Staged(nn.Module):
    """A tiny network with the layers that the pages name."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        for name in STAGES[1:]:
            setattr(self, name, nn.Conv3d(4, 4, 3, padding=1))
        self.head = nn.Linear(4, 20)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        values = clips
        for name in STAGES:
            values = getattr(self, name)(values).relu()
        scores: torch.Tensor = self.head(values.mean((2, 3, 4)))
        return scores


def tiny_model(name: str = "", weights: object = None, **settings: Any) -> Model:
    """The tiny network, or a tiny ST-ABN where a page asks for one."""
    torch.manual_seed(0)
    if str(name).startswith(("st-abn/", "puppets/st-abn")):
        return load_model("st-abn/slow-small", weights=None, num_classes=settings.get("num_classes") or 20)
    clip = glocal.ClipSpec(frames=4, short_side=24, size=24)
    labels = [f"class {index}" for index in range(20)]
    return glocal.as_model(Staged(), clip, labels=labels, layers=list(STAGES))


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pages register is forgotten, so that no later test of the same process finds it."""
    assert len(METHODS)
    assert len(MODELS)
    for registry in [thing for thing in gc.get_objects() if isinstance(thing, Registry)]:
        if str(registry._package).startswith("glocal."):
            assert len(registry)
        monkeypatch.setattr(registry, "_values", dict(registry._values))
        monkeypatch.setattr(registry, "_origins", dict(registry._origins))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages name, and models that need no download."""
    frames = RNG.integers(0, 255, (40, 96, 128, 3), np.uint8)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    for name in ("clip.mp4", "my.mp4", "clips/a.mp4"):
        write_video(tmp_path / name, frames[: 40 if name == "clip.mp4" else 8], 10)
    for name in ("one", "two", "three"):
        Image.fromarray(frames[0]).save(tmp_path / f"{name}.jpg")
    np.savez(tmp_path / "mask.npz", spatial=np.ones((40, 96, 128), np.float32))
    (tmp_path / "labels.txt").write_text("\n".join(f"class {index}" for index in range(20)))
    monkeypatch.setattr("glocal.models.load_model", tiny_model)
    monkeypatch.setattr("glocal.load_model", tiny_model, raising=False)
    return tmp_path


def names_in_pages() -> dict[str, Any]:
    """What the blocks take for granted: a network with clips, a model with a video, and its explanation."""
    model = tiny_model()
    clips = torch.rand(2, 3, 4, 24, 24)
    video = glocal.read_video("clip.mp4")
    return {
        "glocal": glocal,
        "np": np,
        "torch": torch,
        "Path": Path,
        "ScoredBox": glocal.localization.ScoredBox,
        "model": model,
        "network": model.network,
        "clips": clips,
        "video": video,
        "targets": torch.tensor([0, 1]),
        "attributions": torch.rand(2, 4, 24, 24),
        "explanation": glocal.explain(model, video),
        "score_map": RNG.random((24, 32)),
        "boxes": np.array([[2, 2, 20, 20]]),
        "comparison": glocal.compare(model, "clips/a.mp4", ["gradcam"], sanity=0),
        "mask": np.ones(video.frames, np.float32),
        "other": glocal.evaluation.MaxBoxAcc(),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.stem)
def test_blocks_of_python_run(page: Path, files: Path, registries: None) -> None:
    names = names_in_pages()
    for block in BLOCKS:
        if block.page == page and block.language == "python":
            exec(compile(block.code, str(block), "exec"), names)


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_run(block: Block, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if "out/clip.json" in block.code:
        assert main(["explain", "clip.mp4", "--no-video", "--quiet"]) == 0
    for line in block.code.splitlines():
        if command := re.match(r"(?:\.venv/bin/)?glocal (.*)", line):
            words = shlex.split(command[1], comments=True)
            assert main(words) == 0, f"glocal {command[1]}\n{capsys.readouterr().err}"


def test_what_is_not_run_is_counted() -> None:
    assert sum(block.not_run for block in BLOCKS) <= MAX_NOT_RUN
    assert len(BLOCKS) > 60


def test_extras_and_targets_that_pages_name_exist() -> None:
    project, makefile = (ROOT / "pyproject.toml").read_text("utf-8"), (ROOT / "Makefile").read_text("utf-8")
    for page in PAGES:
        text = page.read_text("utf-8")
        for extra in re.findall(r"glocal\[([\w,]+)\]'", text):
            for name in extra.split(","):
                assert re.search(rf"^{name} = \[", project, re.MULTILINE), f"{page.name}: {name}"
        for target in re.findall(r"^make ([\w-]+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"

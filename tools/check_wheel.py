"""Check a wheel: `python tools/check_wheel.py FILE.whl` fails if it is too large, or if a part is missing.

Weights, label lists, pages and the typing marker are data files, which a build configuration loses easily.
"""

import sys
import zipfile
from pathlib import Path

MAX_BYTES = 12 * 2**20
"""Largest size of a wheel."""

PARTS = (
    "glocal/__init__.pyi",
    "glocal/py.typed",
    "glocal/report/compare.html",
    "glocal/report/web/page.html",
    "glocal/server/web/index.html",
    "glocal/batch/web/overview.html",
    "glocal/batch/web/overview.js",
)


def problems(wheel: Path) -> list[str]:
    """Return a sentence for each thing that is wrong with a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    found = [f"{wheel.name} has no {part}" for part in PARTS if part not in names]
    if not any(name.endswith(".safetensors") for name in names):
        found.append(f"{wheel.name} has no packaged weights")
    size = wheel.stat().st_size
    if size > MAX_BYTES:
        found.append(f"{wheel.name} has {size / 2**20:.1f} MB, more than {MAX_BYTES / 2**20:.0f}")
    return found


def main(paths: list[str]) -> int:
    """Print what is wrong with the wheels; return 1 if anything is."""
    sentences = [sentence for path in paths for sentence in problems(Path(path))]
    print("\n".join(sentences) or "the wheel is whole")
    return 1 if sentences or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

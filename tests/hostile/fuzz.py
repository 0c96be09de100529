"""`python -m hostile.fuzz`: the whole corpus of hostile files, then coverage-guided fuzzing of our readers.

Atheris fuzzes where it is installed (it has wheels for few versions of Python), else Hypothesis draws bytes and
mutations of good files. A finding is kept in the folder that is named, and ends the run with exit code 1.
"""

import argparse
import contextlib
import importlib.util
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hostile.generators import KINDS
from hostile.mutations import mutated
from hostile.reading import MEMORY_BYTES, READERS, corpus, report

OURS = {
    "explanation": "explanations/seeds/good.json",
    "edit": "explanations/edits/2.npz",
    "card": "recipes/seeds/card.json",
    "ledger": "ledger.jsonl",
    "ucf24": "annotations/seeds/a.pkl",
    "matlab": "annot.mat",
    "jhmdb": "annotations/seeds/boxes.json",
    "csv": "annotations/seeds/clips.csv",
    "labels": "annotations/seeds/labels.json",
    "xml": "recipes/seeds/image.xml",
}
"""Reader that we wrote → a good file below the folder of the corpus, from which the fuzzer starts."""

LEDGER = '{"video": "a.mp4", "name": "a", "key": "0", "files": ["a.json"], "sizes": [2], "seconds": 1.0}\n'


def read_ledger(path: Path) -> str:
    from glocal.batch.ledger import Ledger

    return repr(Ledger(path).outcomes)


def read_matlab(path: Path) -> str:
    from glocal.datasets.untrusted_files import read_matlab

    return str(read_matlab(path, "annot").shape)


READERS |= {"ledger": read_ledger, "matlab": read_matlab}


def fuzz_target(reader: str, seed: Path, work: Path, data: bytes) -> None:
    """Read `data` as a file; anything but a result or one of our errors is raised."""
    from glocal.errors import GlocalError

    path = work / seed.name
    path.write_bytes(data)
    with contextlib.suppress(GlocalError):
        READERS[reader](path)


def fuzz_with_atheris(reader: str, seed: Path, work: Path, seconds: float) -> None:
    """Runs until a finding, which ends the process, or for so long."""
    import atheris

    inputs = work / "inputs"
    inputs.mkdir(exist_ok=True)
    (inputs / "seed").write_bytes(seed.read_bytes())
    with atheris.instrument_imports(include=["glocal"], enable_loader_override=False):
        READERS[reader](seed)
    options = [
        f"-max_total_time={seconds:.0f}",
        f"-artifact_prefix={work}/finding-",
        "-timeout=20",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], str(inputs), *options], lambda data: fuzz_target(reader, seed, work, data))
    atheris.Fuzz()


def fuzz_with_mutations(reader: str, seed: Path, work: Path, seconds: float) -> None:
    """Mutations of mutations of the good file for so long."""
    pool, rng = [seed.read_bytes()], random.Random(0)
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        _, data = mutated(rng.choice(pool) or b"\0", number)
        try:
            fuzz_target(reader, seed, work, data)
        except BaseException:
            (work / f"finding-{number}").write_bytes(data)
            raise
        pool = [*pool[-200:], data] if rng.random() < 0.1 else pool
    print(f"{reader}: {number} files", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of fuzzing, all readers together")
    parser.add_argument("--share", type=float, default=1, help="of the corpus")
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"), help="folder of the findings")
    parser.add_argument("--reader", help="fuzz this reader alone, in this process")
    parser.add_argument("--seed", type=Path)
    arguments = parser.parse_args()
    if arguments.reader:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        fuzz = fuzz_with_atheris if importlib.util.find_spec("atheris") else fuzz_with_mutations
        fuzz(arguments.reader, arguments.seed, arguments.keep, 60 * arguments.minutes)
        return 0
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, (_, whole) in KINDS.items():
            count = max(30, round(whole * arguments.share))
            failed |= bool(report(kind, corpus(kind, folder, count))["findings"])
        (folder / "ledger.jsonl").write_text(LEDGER)
        (folder / "annot.mat").write_bytes(bytes(124) + b"\x00\x01IM" + bytes(64))
        for reader, seed in OURS.items():
            work = arguments.keep.absolute() / reader
            work.mkdir(parents=True, exist_ok=True)
            for beside in (folder / seed).parent.glob(f"{Path(seed).stem}.*"):
                (work / beside.name).write_bytes(beside.read_bytes())
            minutes = str(arguments.minutes / len(OURS))
            command = [sys.executable, "-m", "hostile.fuzz", "--reader", reader, "--seed", str(folder / seed)]
            run = subprocess.run([*command, "--keep", str(work), "--minutes", minutes], env=os.environ)
            failed |= run.returncode != 0
            print(f"{reader}: {'FINDING in ' + str(work) if run.returncode else 'no finding'}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m hostile.fuzz_reader`: fuzz one reader that we wrote, until a finding or for so long.

Atheris, which follows the code that each input reaches, fuzzes where it is installed (it has wheels for few
versions of Python); else mutations of mutations of the good files do.
"""

import argparse
import contextlib
import importlib.util
import io
import random
import resource
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

HAS_ATHERIS = importlib.util.find_spec("atheris") is not None

if HAS_ATHERIS:
    import atheris

    instrumented = atheris.instrument_imports(include=["glocal"], enable_loader_override=False)
else:
    instrumented = contextlib.nullcontext()

with instrumented:
    from glocal.errors import GlocalError
    from hostile.mutations import mutated
    from hostile.reading import MEMORY_BYTES, READERS

NPY_MAGIC = b"\x93NUMPY"


def read_ledger(path: Path) -> str:
    from glocal.batch.ledger import Ledger

    return repr(Ledger(path).outcomes)


def read_matlab(path: Path) -> str:
    from glocal.datasets.untrusted_files import read_matlab

    return str(read_matlab(path, "annot").shape)


READERS |= {"ledger": read_ledger, "matlab": read_matlab, "arrays": READERS["explanation"]}
READERS["label table"] = READERS["labels"]


def unpacked(npz: bytes) -> bytes:
    """The members of an NPZ file in a row, from which `packed` makes it again."""
    with zipfile.ZipFile(io.BytesIO(npz)) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def packed(data: bytes, names: list[str]) -> bytes:
    """An NPZ file of members in a row: its checksums fit whatever the fuzzer has changed in them."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in zip(names, data.split(NPY_MAGIC)[1:], strict=False):
            archive.writestr(name, NPY_MAGIC + member)
    return content.getvalue()


def file_reader(reader: str, seed: Path, work: Path) -> Callable[[bytes], None]:
    """A function that reads bytes as a file."""
    path = work / seed.name
    names = zipfile.ZipFile(seed).namelist() if reader == "arrays" else []
    read_path = path.with_suffix(".json") if reader == "arrays" else path

    def read(data: bytes) -> None:
        path.write_bytes(packed(data, names) if names else data)
        READERS[reader](read_path)

    return read


def with_atheris(target: Callable[[bytes], None], inputs: list[bytes], work: Path, seconds: float) -> None:
    """Runs until a finding, which ends the process, or for so long."""
    folder = work / "inputs"
    folder.mkdir(exist_ok=True)
    for number, content in enumerate(inputs):
        (folder / f"seed-{number}").write_bytes(content)
    options = [
        f"-max_total_time={seconds:.0f}",
        f"-artifact_prefix={work}/finding-",
        "-timeout=20",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder)], target)
    atheris.Fuzz()


def with_mutations(target: Callable[[bytes], None], inputs: list[bytes], work: Path, seconds: float) -> None:
    """Mutations of mutations of the good files for so long."""
    pool, rng = list(inputs), random.Random(0)
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        _, data = mutated(rng.choice(pool) or b"\0", number)
        try:
            target(data)
        except BaseException:
            (work / f"finding-{number}").write_bytes(data)
            raise
        if rng.random() < 0.1:
            pool = [*inputs, *pool[-200:], data]
    print(f"stat::number_of_executed_units: {number}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reader", choices=READERS, required=True)
    parser.add_argument(
        "--seeds", type=Path, nargs="+", required=True, help="good files; the first names all"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of inputs and findings")
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    seeds = arguments.seeds
    read = file_reader(arguments.reader, seeds[0], arguments.work)
    contents = [seed.read_bytes() for seed in seeds]
    inputs = [unpacked(content) for content in contents] if arguments.reader == "arrays" else contents
    with instrumented:
        for content in inputs:
            read(content)

    def target(data: bytes) -> None:
        with contextlib.suppress(GlocalError):
            read(data)

    fuzz = with_atheris if HAS_ATHERIS else with_mutations
    fuzz(target, inputs, arguments.work, arguments.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())

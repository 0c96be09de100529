"""Read hostile files in a process with limits of memory and time, and say what became of each."""

import contextlib
import hashlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from hostile.generators import HostileFile

MEMORY_BYTES = 3 << 30
SECONDS = 20
DIGESTED_FRAMES = 200


class Outcome(NamedTuple):
    """What became of a file: `result` or `error` are good, all else is a finding."""

    file: HostileFile
    verdict: str
    detail: str


def read_video(path: Path) -> str:
    """A digest of all frames, the same in three passes."""
    import glocal

    digests = set()
    for _ in range(3):
        video = glocal.read_video(path)
        digest = hashlib.sha256()
        for index, frame in enumerate(video):
            digest.update(frame.tobytes() if index < DIGESTED_FRAMES else b"frame")
        digests.add(digest.hexdigest())
    if len(digests) > 1:
        raise AssertionError("three passes over the file decode different pixels")
    return digests.pop()


def read_explanation(path: Path) -> str:
    import glocal

    explanation = glocal.Explanation.load(path)
    explanation.frame(0)
    return f"{explanation!r} {explanation.relevance.sum():.3f}"


def read_edit(path: Path) -> str:
    from glocal.explanation import Edit

    return repr(Edit.load(path, (6, 32, 48)))


def read_checkpoint(path: Path) -> str:
    from glocal.models.checkpoints import read_checkpoint

    return str(sorted(read_checkpoint(path, 64 << 20))[:5])


def read_ucf24(path: Path) -> str:
    from glocal.datasets.ucf24 import read_annotations

    return str(len(read_annotations(path)))


def read_jhmdb(path: Path) -> str:
    from glocal.datasets.jhmdb import read_boxes

    return str(len(read_boxes(path)))


def read_csv(path: Path) -> str:
    from glocal.datasets.folder import read_csv

    return str(len(read_csv(path)))


def read_labels(path: Path) -> str:
    from glocal.models.labels import read_labels

    return str(len(read_labels(path)))


def read_recipe(path: Path) -> str:
    from glocal.training import read_recipe

    return repr(read_recipe(path))[:200]


def read_card(path: Path) -> str:
    from glocal.models.card import read_card

    return repr(read_card(path))


def read_xml(path: Path) -> str:
    from glocal.datasets.ilsvrc import _from_xml

    return str(_from_xml(path.parent, path).problem)


def read_network(path: Path) -> str:
    import glocal

    return repr(glocal.load_model(path))


READERS: dict[str, Callable[[Path], str]] = {
    "video": read_video,
    "explanation": read_explanation,
    "edit": read_edit,
    "checkpoint": read_checkpoint,
    "ucf24": read_ucf24,
    "jhmdb": read_jhmdb,
    "csv": read_csv,
    "labels": read_labels,
    "recipe": read_recipe,
    "card": read_card,
    "xml": read_xml,
    "onnx": read_network,
}


class OutOfTime(BaseException):
    """A file takes too long to read."""


def read(file: HostileFile) -> tuple[str, str]:
    """The verdict on one file, and what was read or the message."""
    from glocal.errors import GlocalError

    def stop(number: int, frame: object) -> None:
        raise OutOfTime

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return "result", READERS[file.reader](file.path)
    except GlocalError as error:
        message = str(error)
        good = len(message) < 1000 and "\n" not in message and "Traceback" not in message
        return ("error" if good else "long message"), message
    except OutOfTime:
        return "too slow", f"more than {SECONDS} s"
    except BaseException as error:
        return f"raw {type(error).__name__}", traceback.format_exc()[-1500:]
    finally:
        signal.alarm(0)


def serve_reads(connection: Connection) -> None:
    """Read the files that come over the connection, one by one."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["OMP_NUM_THREADS"] = "1"
    with contextlib.suppress(EOFError), open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 2)
        while True:
            file = HostileFile(*connection.recv())
            connection.send(read(file))


def read_all(files: Sequence[HostileFile]) -> Iterator[Outcome]:
    """Read all files in one process after the other; one that dies is a finding, and is replaced."""
    context = multiprocessing.get_context("spawn")
    place = 0
    while place < len(files):
        ours, theirs = context.Pipe()
        process = context.Process(target=serve_reads, args=(theirs,))
        process.start()
        theirs.close()
        try:
            while place < len(files):
                file = files[place]
                ours.send((file.reader, file.path))
                if not ours.poll(SECONDS + 60):
                    yield Outcome(file, "hung", "no reply")
                    place += 1
                    break
                yield Outcome(file, *ours.recv())
                place += 1
        except (EOFError, ConnectionError):
            process.join()
            yield Outcome(files[place], "crashed", f"exit code {process.exitcode}")
            place += 1
        finally:
            process.kill()
            process.join()
            ours.close()


def corpus(kind: str, folder: Path, count: int | None = None) -> list[HostileFile]:
    """The files of a kind, written into a folder."""
    from hostile.kinds import KINDS

    generate, whole = KINDS[kind]
    return list(generate(folder / kind, count or whole))


def report(kind: str, files: Sequence[HostileFile]) -> dict[str, Any]:
    """Read the files of a kind, print what became of them, and return the counts and the findings."""
    start, counts, findings = time.monotonic(), dict[str, int](), []
    for outcome in read_all(files):
        counts[outcome.verdict] = counts.get(outcome.verdict, 0) + 1
        if outcome.verdict not in ("result", "error"):
            findings.append(f"{outcome.verdict}: {outcome.file.path}\n{outcome.detail}")
    text = json.dumps(counts, sort_keys=True)
    print(f"{kind}: {len(files)} files in {time.monotonic() - start:.0f} s: {text}", flush=True)
    for finding in findings:
        print(finding, file=sys.stderr, flush=True)
    return {"counts": counts, "findings": findings}

"""`python -m hostile.fuzz`: the whole corpus of hostile files, then fuzzing of each reader that we wrote.

A finding is kept in the folder that is named, and ends the run with exit code 1.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hostile.generators import annotated_matlab
from hostile.kinds import KINDS
from hostile.reading import corpus, report

OURS = {
    "explanation": ["explanations/seeds/good.json"],
    "arrays": ["explanations/seeds/good.npz"],
    "edit": ["explanations/edits/2.npz", "explanations/edits/0.npz"],
    "card": ["recipes/seeds/card.json"],
    "ledger": ["ledger.jsonl"],
    "ucf24": ["annotations/seeds/a.pkl"],
    "matlab": ["plain.mat", "packed.mat"],
    "jhmdb": ["annotations/seeds/boxes.json"],
    "csv": ["annotations/seeds/clips.csv"],
    "labels": ["annotations/seeds/labels.json"],
    "label table": ["labels.csv"],
    "xml": ["recipes/seeds/image.xml"],
}
"""Reader that we wrote → good files below the folder of the corpus, from which the fuzzer starts."""

LEDGER = '{"video": "a.mp4", "name": "a", "key": "0", "files": ["a.json"], "sizes": [2], "seconds": 1.0}\n'


def read_corpus(folder: Path, share: float) -> int:
    """Read the files of each kind, and return the number of findings."""
    findings = 0
    for kind, (_, whole) in KINDS.items():
        count = max(30, round(whole * share))
        findings += len(report(kind, corpus(kind, folder, count))["findings"])
    return findings


def fuzz(reader: str, folder: Path, work: Path, seconds: float) -> bool:
    """Fuzz a reader in a process of its own, and return whether there is a finding."""
    seeds = [folder / name for name in OURS[reader]]
    work.mkdir(parents=True, exist_ok=True)
    for beside in seeds[0].parent.glob(f"{seeds[0].stem}.*"):
        (work / beside.name).write_bytes(beside.read_bytes())
    before = set(work.glob("finding-*"))
    command = [sys.executable, "-m", "hostile.fuzz_reader", "--reader", reader, "--work", str(work)]
    command += ["--seconds", str(seconds), "--seeds", *map(str, seeds)]
    start = time.monotonic()
    run = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    found = run.returncode != 0 or set(work.glob("finding-*")) != before
    files = re.findall(r"number_of_executed_units:\s*(\d+)", run.stderr)
    covered = re.findall(r"cov: (\d+)", run.stderr)
    print(
        f"{reader}: {files[-1] if files else '?'} files in {time.monotonic() - start:.0f} s, "
        f"coverage {covered[-1] if covered else 'not measured'}, {f'FINDING in {work}' if found else 'no finding'}",
        flush=True,
    )
    if found:
        print(run.stderr[-3000:], file=sys.stderr, flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of fuzzing, all readers together")
    parser.add_argument("--share", type=float, default=1, help="of the corpus")
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"), help="folder of the findings")
    parser.add_argument("--readers", default=",".join(OURS), help="to be fuzzed, joined by commas")
    arguments = parser.parse_args()
    readers = arguments.readers.split(",")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        findings = read_corpus(folder, arguments.share)
        (folder / "ledger.jsonl").write_text(LEDGER)
        (folder / "labels.csv").write_text('index,name\n0,walk\n1,run\n2,"jump, high"\n')
        (folder / "plain.mat").write_bytes(annotated_matlab(compressed=False))
        (folder / "packed.mat").write_bytes(annotated_matlab(compressed=True))
        for reader in readers:
            seconds = 60 * arguments.minutes / len(readers)
            findings += fuzz(reader, folder, arguments.keep.absolute() / reader, seconds)
    print(f"{findings} findings", flush=True)
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())

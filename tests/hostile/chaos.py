"""`python -m hostile.chaos`: kill commands at random moments, and run them on machines that lack something.

After each, what is in the folder of the results is whole, and the command, run again, gives what an undisturbed
one gives. Results that are the same in two undisturbed runs are compared, times in JSON files aside.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hostile import chaos_machine as machine
from hostile.chaos_checks import (
    READ_ONLY_MESSAGE,
    damaged,
    differences,
    digests,
    leftovers,
    not_a_sentence,
    same_in_both,
)
from hostile.chaos_run import Command, import_all, write_inputs
from hostile.chaos_server import kill_servers, undisturbed

PARTS = ("kills", "full", "read-only", "descriptors")


class Undisturbed:
    """Two runs of a command that nothing disturbs.

    Attributes:
        seconds: of the second one, or of a faster one since.
        results: that are the same in both.
        sizes: bytes of all, and of caches alone.
    """

    def __init__(self, name: str, arguments: list[str], folder: Path) -> None:
        self.name, self.arguments = name, arguments
        self.clip = (folder / "a.mp4").read_bytes()
        made = []
        for number in range(2):
            place, start = folder / f"{name}-undisturbed-{number}", time.monotonic()
            if name == "serve":
                self.states = undisturbed(arguments, place, self.clip)[0]
            else:
                ended = Command(arguments, place).end()
                assert ended.code == 0, ended
                made.append(digests(place / "out"))
            self.seconds = time.monotonic() - start
        self.results = same_in_both(*made) if made else {}
        self.sizes = {below: machine.used(place / below) for below in ("", "cache")}
        print(
            f"{name}: {self.seconds:.1f} s, {self.sizes['']} bytes, {len(self.results)} results", flush=True
        )

    def run(self, place: Path, before: Callable[[], None] | None = None) -> tuple[list[str], bool]:
        """Run the command at a place; returns what is wrong with its end, and whether it did its work."""
        if self.name == "serve":
            states, _, ended = undisturbed(self.arguments, place, self.clip, before)
            return not_a_sentence(ended, (0, 1, 143)), states == self.states
        ended = Command(self.arguments, place, before).end()
        return not_a_sentence(ended, (0, 1, 2)), ended.code == 0

    def problems(self, place: Path, *, done: bool) -> list[str]:
        """What is wrong with the results at a place; `done`: the command has done its work."""
        wrong = damaged(place)
        if done and self.name != "serve":
            wrong += differences(self.results, place / "out")
            wrong += [f"{path} is left" for path in leftovers(place)]
        return wrong


def kill_at_random(plain: Undisturbed, folder: Path, kills: int, rng: random.Random) -> list[str]:
    """Kill a command so often, look at what it left, and let it end."""
    place, problems, killed, left = folder / f"{plain.name}-killed", list[str](), 0, list[str]()
    while killed < kills:
        before, start = leftovers(place), time.monotonic()
        command = Command(plain.arguments, place)
        if command.wait(rng.uniform(0.02, 1.0) * plain.seconds):  # then begin from nothing
            plain.seconds = min(plain.seconds, time.monotonic() - start)
            problems += not_a_sentence(command.end(), (0,)) + plain.problems(place, done=True)
            shutil.rmtree(place)
            continue
        killed += 1
        kind = rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
        ended = command.kill(kind)
        if kind == signal.SIGTERM:
            problems += not_a_sentence(ended, (0, 143, -signal.SIGTERM))
            problems += [
                f"{path} is left" for path in leftovers(place) if ended.code == 143 and path not in before
            ]
        problems += plain.problems(place, done=ended.code == 0)
        left += command.left() if plain.name == "batch" else []
    wrong, done = plain.run(place)
    problems += wrong + plain.problems(place, done=done) + ([] if done else ["the last run failed"])
    problems += [f"processes are left: {left}"] if left else []
    print(f"{plain.name}: {killed} kills, {len(problems)} findings", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    return [f"{plain.name}, killed: {problem}" for problem in problems]


def fill_disk(plain: Undisturbed, folder: Path, levels: int, below: str = "") -> list[str]:
    """Run a command on disks that are too small, then again once there is room.

    Args:
        below: what is on the small disk: all, or only `cache`.
    """
    problems, failed, whole = list[str](), 0, plain.sizes[below]
    for level in range(levels):
        size = max(1, round(whole * (level + 0.5) / levels / machine.PAGE)) * machine.PAGE
        place = folder / f"{plain.name}-full-{below}-{level}"
        with machine.disk(place / below, size) as small:
            wrong, done = plain.run(place)
            failed += not done
            wrong += plain.problems(place, done=done)
            machine.grow(small)
            wrong_again, done = plain.run(place)
            wrong += wrong_again + plain.problems(place, done=done)
            wrong += [] if done else ["it fails with room, too"]
            problems += [f"{plain.name}, {below} disk of {size} bytes: {problem}" for problem in wrong]
        shutil.rmtree(place, ignore_errors=True)
    what = f"small disks for the {below}" if below else "small disks"
    print(f"{plain.name}: {levels} {what}, {failed} runs failed; {len(problems)} findings", flush=True)
    return problems


def protect_folder(plain: Undisturbed, folder: Path) -> list[str]:
    """Run a command on a disk that is read-only, and on one that becomes so meanwhile."""
    problems = list[str]()
    with machine.disk(folder / f"{plain.name}-read-only", machine.LARGE) as place:
        machine.protect(place)
        ended = Command(plain.arguments, place).end()
        problems += not_a_sentence(ended, (1,))
        if READ_ONLY_MESSAGE not in ended.messages:
            problems.append(f"no sentence about it: {ended.messages[-500:]}")
        machine.unprotect(place)
        command = Command(plain.arguments, place)
        command.wait(0.5 * plain.seconds)
        became = machine.protect(place)
        ended = command.kill(signal.SIGTERM) if plain.name == "serve" else command.end()
        problems += not_a_sentence(ended, (0, 1, 143)) + plain.problems(place, done=False)
        if became:
            machine.unprotect(place)
        wrong, done = plain.run(place)
        problems += wrong + plain.problems(place, done=done) + ([] if done else ["the last run failed"])
    print(f"{plain.name}: read-only before and meanwhile, {len(problems)} findings", flush=True)
    return [f"{plain.name}, read-only: {problem}" for problem in problems]


def limit_descriptors(plain: Undisturbed, folder: Path, levels: int) -> list[str]:
    """Run a command with room for few more open files."""
    problems, failed = list[str](), 0
    for level in range(levels):
        place = folder / f"{plain.name}-descriptors-{level}"
        wrong, done = plain.run(place, machine.few_descriptors(1 + 3 * level))
        failed += not done
        wrong += plain.problems(place, done=done)
        problems += [f"{plain.name}, {1 + 3 * level} more descriptors: {problem}" for problem in wrong]
        shutil.rmtree(place, ignore_errors=True)
    print(
        f"{plain.name}: {levels} low limits of open files, of which {failed} too low; "
        f"{len(problems)} findings",
        flush=True,
    )
    return problems


def try_all(plain: Undisturbed, folder: Path, arguments: argparse.Namespace, private: bool) -> list[str]:
    """All parts that are asked for, of one command."""
    rng, parts, problems = random.Random(arguments.seed), arguments.parts.split(","), list[str]()
    if "kills" in parts and plain.name == "serve":
        problems += kill_servers(plain.arguments, folder, arguments.kills, lambda: rng.uniform(0.1, 1.1))
    elif "kills" in parts:
        problems += kill_at_random(plain, folder, arguments.kills, rng)
    if "full" in parts and private:
        problems += fill_disk(plain, folder, arguments.levels)
        problems += fill_disk(plain, folder, arguments.levels, "cache") if plain.sizes["cache"] else []
    if "read-only" in parts and private:
        problems += protect_folder(plain, folder)
    if "descriptors" in parts:
        problems += limit_descriptors(plain, folder, arguments.levels)
    for problem in problems:
        print(f"FINDING {problem}", file=sys.stderr, flush=True)
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    parser.add_argument("--levels", type=int, default=10, help="of a full disk, and of few open files")
    parser.add_argument("--only", help="names of commands, joined by commas")
    parser.add_argument("--parts", default=",".join(PARTS), help="joined by commas")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    private = machine.enter_private_mounts()
    if not private:
        print("disks cannot be mounted here: full and read-only ones are left out", flush=True)
    import_all()
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ["TMPDIR"] = name
        commands = write_inputs(folder)
        names = arguments.only.split(",") if arguments.only else list(commands)
        problems = [
            problem
            for name in names
            for problem in try_all(Undisturbed(name, commands[name], folder), folder, arguments, private)
        ]
    print(f"{len(problems)} findings", flush=True)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())

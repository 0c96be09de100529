"""A server that is killed while clips are sent to it and explained: what it has accepted is not lost."""

import contextlib
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from hostile.chaos_checks import damaged, not_a_sentence
from hostile.chaos_run import Command, Ended, without_times

JOBS = 3
START_SECONDS = 120.0


class Users:
    """Users who send a clip and ask what has become of it, of one server after the other.

    Attributes:
        accepted: the jobs that a server has accepted.
        problems: what users could complain of.
    """

    def __init__(self, clip: bytes) -> None:
        self.clip = clip
        self.accepted: list[str] = []
        self.problems: list[str] = []

    def visit(self, url: str, until: float, jobs: int = JOBS) -> dict[str, dict[str, Any]]:
        """Send clips up to so many, and ask until then, or until all have ended; returns the last states."""
        states: dict[str, dict[str, Any]] = {}
        with (
            httpx.Client(base_url=url, timeout=30, trust_env=False) as client,
            contextlib.suppress(httpx.HTTPError),
        ):
            while time.monotonic() < until:
                if len(self.accepted) < jobs:
                    self._send(client)
                for identity in self.accepted:
                    answer = client.get(f"/api/jobs/{identity}")
                    if answer.status_code != 200:
                        self.problems.append(f"an accepted job is lost: {answer.status_code} {answer.text}")
                    states[identity] = answer.json()
                ended = [state for state in states.values() if state.get("state") in ("done", "failed")]
                if len(ended) == len(self.accepted) >= jobs:
                    break
                time.sleep(0.05)
        return states

    def _send(self, client: httpx.Client) -> None:
        answer = client.post("/api/jobs", files={"video": ("a.mp4", self.clip)})
        if answer.status_code == 202:
            self.accepted.append(answer.json()["id"])
        elif answer.status_code not in (429, 503):
            self.problems.append(f"a clip is refused: {answer.status_code} {answer.text}")


def address(command: Command, until: float) -> str | None:
    """The address of a server, once it listens."""
    while time.monotonic() < until:
        if match := re.search(r"http://\S+/", command.said):
            return match[0]
        if command.wait(0.02):
            return None
    return None


def facts(states: dict[str, dict[str, Any]]) -> list[object]:
    """What a user sees of the jobs, but for their names and times."""
    kept = ("state", "prediction", "target", "files", "error")
    return [without_times({key: state.get(key) for key in kept}) for state in states.values()]


def undisturbed(
    arguments: list[str], place: Path, clip: bytes, before: Callable[[], None] | None = None
) -> tuple[list[object], float, Ended]:
    """What becomes of the clips at a server, the time that takes, and how the server ends."""
    start, users = time.monotonic(), Users(clip)
    command = Command(arguments, place, before)
    url = address(command, start + START_SECONDS)
    states = users.visit(url, time.monotonic() + START_SECONDS) if url else {}
    length = time.monotonic() - start
    return facts(states), length, command.kill(signal.SIGTERM)


def kill_servers(arguments: list[str], folder: Path, kills: int, moment: Callable[[], float]) -> list[str]:
    """Kill servers on one folder at so many moments, given as shares of an undisturbed run."""
    clip = (folder / "a.mp4").read_bytes()
    wanted, length, _ = undisturbed(arguments, folder / "serve-plain", clip)
    place, users, problems = folder / "serve-killed", Users(clip), []
    for number in range(kills):
        start = time.monotonic()
        end = start + moment() * length
        command = Command(arguments, place)
        if url := address(command, end):
            users.visit(url, end, jobs=JOBS + number)
        command.wait(max(0.0, end - time.monotonic()))
        command.kill(signal.SIGTERM if number % 3 == 2 else signal.SIGKILL)
        problems += damaged(place)
    command = Command(arguments, place)
    url = address(command, time.monotonic() + START_SECONDS)
    states = users.visit(url, time.monotonic() + 20 * START_SECONDS, len(users.accepted)) if url else {}
    ended = command.kill(signal.SIGTERM)
    problems += users.problems + not_a_sentence(ended, (0, 143)) + damaged(place)
    stopped = [state for state in facts(states) if "server stopped" in str(state)]
    others = [state for state in facts(states) if state not in wanted and state not in stopped]
    problems += [f"another result: {state}" for state in others]
    if len(states) != len(users.accepted):
        problems.append(f"{len(users.accepted) - len(states)} of {len(users.accepted)} jobs are lost")
    if left := command.left():
        problems.append(f"processes are left: {left}")
    print(
        f"serve: {kills} kills, {len(users.accepted)} accepted jobs, of which {len(stopped)} were given up "
        f"after the second kill; {len(problems)} findings",
        flush=True,
    )
    shutil.rmtree(place, ignore_errors=True)
    return [f"serve: {problem}" for problem in problems]

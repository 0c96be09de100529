"""`python -m hostile.load`: many users of `glocal serve` at once on loopback, some of them hostile or slow.

The server is a process of its own and says how long each of its responses took from the first byte of the
request; the users measure what they wait, which here includes the time in which they wait for each other.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

MEMORY_SECONDS = 10
POLL_SECONDS = 2.0
UPLOADERS = 25
"""One of so many users sends a clip and asks for its state; the others ask for the state of what is not there."""


class Figures:
    """What the users have seen: seconds of requests, and requests without the response that they should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.lost: list[str] = []
        self.accepted: set[str] = set()
        self.done: set[str] = set()


async def request(streams: Any, text: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send a request on an open connection, and return status and body of the response."""
    reader, writer = streams
    writer.write(f"{text} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n".encode())
    writer.write((b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" if body else b"\r\n") + body)
    await writer.drain()
    header = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"content-length: (\d+)", header, re.IGNORECASE)
    content = await reader.readexactly(int(length[1])) if length else b""
    return int(header.split()[1]), content


def form(clip: bytes) -> bytes:
    """A form with a clip."""
    head = b'--x\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'
    return head + clip + b"\r\n--x--\r\n"


async def user(port: int, number: int, clip: bytes, seconds: float, figures: Figures) -> None:
    """Send a clip, or none, and ask for a state every two seconds."""
    end = time.monotonic() + seconds
    await asyncio.sleep(POLL_SECONDS * (number * 0.618 % 1))
    job, streams = "", None
    while time.monotonic() < end:
        try:
            streams = streams or await asyncio.open_connection("127.0.0.1", port)
            if not job and number % UPLOADERS == 0:
                status, content = await request(streams, "POST /api/jobs", form(clip))
                job = json.loads(content)["id"] if status == 202 else ""
                figures.accepted |= {job} - {""}
            start = time.monotonic()
            status, content = await request(streams, f"GET /api/jobs/{job or 'x' * 32}")
            figures.seconds.append(time.monotonic() - start)
            if status != (200 if job else 404):
                figures.lost.append(f"status {status}")
            elif job and json.loads(content)["state"] == "done":
                figures.done.add(job)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            figures.lost.append(repr(error)[:80])
            streams = None
        await asyncio.sleep(POLL_SECONDS)
    if streams:
        streams[1].close()


HOSTILE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: ",
    b"\x16\x03\x01\x02\x00",
    b"",
    b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 90000\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n",
    b"GET /api/jobs/../../etc/passwd HTTP/1.1\r\nHost: evil.example\r\n\r\n",
)


async def hostile(port: int, number: int, seconds: float) -> None:
    """Open connections, send a little, then a byte a second, and begin again when cut off."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HOSTILE[number % len(HOSTILE)])
            while time.monotonic() < end:
                await writer.drain()
                await asyncio.sleep(1)
                writer.write(b"a")
            writer.close()
        except OSError:
            await asyncio.sleep(0.2)


async def visit(port: int, clip: bytes, arguments: argparse.Namespace) -> Figures:
    """All users at once."""
    figures, count = Figures(), round(arguments.users * arguments.hostile)
    await asyncio.gather(
        *(hostile(port, number, arguments.seconds) for number in range(count)),
        *(user(port, n, clip, arguments.seconds, figures) for n in range(arguments.users - count)),
    )
    return figures


def serve(out: Path) -> None:
    """Run a server whose connections measure their responses; the figures are printed at its end."""
    import glocal.server.connections as connections
    from glocal.cli.app import main

    taken: list[float] = []

    class Timed(connections.GuardedProtocol):
        started = 0.0

        def data_received(self, data: bytes) -> None:
            if not self.started:
                self.started = time.monotonic()
            super().data_received(data)

        def on_response_complete(self) -> None:
            taken.append(time.monotonic() - self.started)
            self.started = 0.0
            super().on_response_complete()

    connections.GuardedProtocol = Timed  # type: ignore[misc]
    options = ["--port", "0", "--queue", "1000", "--rate", "100000", "--model", "resnext3d-small"]
    main(["serve", *options, "--out", str(out)])
    print(json.dumps(taken), flush=True)


def milliseconds(seconds: list[float]) -> dict[str, float]:
    """Median, 95th percentile and the longest."""
    p95 = statistics.quantiles(seconds, n=20)[-1]
    named = {"p50": statistics.median(seconds), "p95": p95, "longest": max(seconds)}
    return {name: round(1000 * value, 1) for name, value in named.items()}


async def measure(arguments: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Start a server, let the users visit it, and return the figures and what was lost."""
    from helpers.serving import write_clip  # not in the server's process, which imports this file

    clip = write_clip(folder / "clip.mp4").read_bytes()
    command = [sys.executable, "-m", "hostile.load", "--serve", str(folder / "out")]
    server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, limit=1 << 26)
    port = int(re.search(rb":(\d+)/", await server.stdout.readline())[1])
    process = psutil.Process(server.pid)
    await asyncio.sleep(5)  # for the sample clips
    before = process.memory_info().rss, process.num_fds(), process.num_threads()
    cpu = process.cpu_times()
    figures = await visit(port, clip, arguments)
    used = process.cpu_times()
    await asyncio.sleep(MEMORY_SECONDS)
    after = process.memory_info().rss, process.num_fds(), process.num_threads()
    server.terminate()
    taken = json.loads(await server.stdout.read())
    await server.wait()
    facts = {
        "users": arguments.users,
        "hostile": round(arguments.users * arguments.hostile),
        "seconds": arguments.seconds,
        "requests": len(figures.seconds),
        "lost": len(figures.lost),
        "clips": f"{len(figures.done)} of {len(figures.accepted)} done",
        "milliseconds that users wait": milliseconds(figures.seconds),
        "milliseconds in the server": milliseconds(taken),
        "processor of the server": round(
            (used.user + used.system - cpu.user - cpu.system) / arguments.seconds, 2
        ),
        "load of the machine": round(os.getloadavg()[0], 1),
        "memory before and after, MB": [before[0] >> 20, after[0] >> 20],
        "open files before and after": [before[1], after[1]],
        "threads before and after": [before[2], after[2]],
    }
    return facts, figures.lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--hostile", type=float, default=0.2, help="share of the users")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--serve", type=Path, help="run the server that is measured, with this --out")
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        facts, lost = asyncio.run(measure(arguments, Path(name)))
    print(json.dumps(facts, indent=1), *sorted(set(lost))[:5], sep="\n")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())

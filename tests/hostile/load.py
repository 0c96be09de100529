"""`python -m hostile.load`: many users of `glocal serve` at once on loopback, some of them hostile or slow."""

import argparse
import json
import socket
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil

from helpers.serving import ask, serving, write_clip

HOSTILE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: ",
    b"\x16\x03\x01\x02\x00",
    b"",
    b"POST /api/jobs HTTP/1.1\r\n",
)


def memory() -> int:
    """Bytes of this process, which runs the server."""
    return int(psutil.Process().memory_info().rss)


def user(url: str, number: int, clip: Path, seconds: float, times: list[float], lost: list[str]) -> None:
    """Look at a page, send a clip now and then, and ask for its state."""
    end = time.monotonic() + seconds
    with httpx.Client(base_url=url, timeout=60, verify=False, trust_env=False) as client:
        job = None
        while time.monotonic() < end:
            try:
                if job is None and number % 25 == 0:
                    answer = ask(client, clip, layers="layer4")
                    job = answer.json().get("id") if answer.status_code == 202 else None
                start = time.monotonic()
                answer = client.get(f"/api/jobs/{job}" if job else "/api/limits")
                times.append(time.monotonic() - start)
                if answer.status_code != 200:
                    lost.append(f"status {answer.status_code}")
            except httpx.HTTPError as error:
                lost.append(repr(error))
            time.sleep(2)


def hostile(port: int, number: int, seconds: float) -> None:
    """Open connections, send a little of a request, byte by byte, and begin again when cut off."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(HOSTILE[number % len(HOSTILE)])
                while time.monotonic() < end:
                    time.sleep(1)
                    connection.sendall(b"a")
        except OSError:
            time.sleep(0.2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--hostile", type=float, default=0.2, help="share of the users")
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    times, lost = list[float](), list[str]()
    with tempfile.TemporaryDirectory() as name:
        clip = write_clip(Path(name) / "clip.mp4")
        with serving(Path(name) / "out", connections=1024, waiting=arguments.users, rate=100_000) as client:
            client.get("/api/limits")
            before, url, port = memory(), str(client.base_url), client.base_url.port
            with ThreadPoolExecutor(arguments.users) as pool:
                for number in range(arguments.users):
                    if number < arguments.users * arguments.hostile:
                        pool.submit(hostile, port, number, arguments.seconds)
                    else:
                        pool.submit(user, url, number, clip, arguments.seconds, times, lost)
            time.sleep(5)
            after = memory()
    p95 = statistics.quantiles(times, n=20)[-1]
    facts = {
        "users": arguments.users,
        "requests": len(times),
        "lost": len(lost),
        "p50_ms": round(1000 * statistics.median(times)),
        "p95_ms": round(1000 * p95),
        "memory_before_mb": before >> 20,
        "memory_after_mb": after >> 20,
        "threads": threading.active_count(),
    }
    print(json.dumps(facts), *sorted(set(lost))[:5], sep="\n")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())

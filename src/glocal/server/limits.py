"""Limits of uploads, jobs and clients."""

import ipaddress
import signal
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from glocal.utils.process_limits import confine, lower_priority

JOB_NICENESS = 5
"""By how much the priority of a job is lower than that of the server."""


@dataclass(frozen=True)
class Limits:
    """The largest clip that is accepted, and the resources of a job.

    Attributes:
        bytes: size of an upload.
        seconds: length of a clip.
        frames: number of frames of a clip.
        pixels: size of a frame.
        waiting: number of jobs that are being uploaded or wait in the queue.
        rate: jobs per minute from one address.
        memory: bytes that a job may allocate.
        wall: duration of a job, in seconds.
        cpu: computing time of a job on all cores together, in seconds.
        upload: duration of an upload, in seconds.
        threads: threads of PyTorch in a job.
    """

    bytes: int = 100 * 2**20
    seconds: float = 60.0
    frames: int = 4000
    pixels: int = 9_000_000
    waiting: int = 20
    rate: int = 30
    memory: int = 8 * 2**30
    wall: float = 600.0
    cpu: int = 3600
    upload: float = 600.0
    threads: int = 1

    def confine(self) -> None:
        """Apply the limits of memory, time and file size to the calling process, permanently.

        It gets a lower priority than the server, whose responses do not wait for it.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        confine(memory=self.memory, seconds=self.cpu, file_bytes=max(2**30, 4 * self.bytes))
        lower_priority(JOB_NICENESS)


class RateLimit:
    """Counts the calls of each address in the last minute; an IPv6 network of 64 bits is one address.

    Args:
        limit: calls per minute.
        clock: seconds, increasing.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Return the seconds until an address may call again; if that is now, count a call and return 0."""
        now = self._clock()
        while self._calls and next(iter(self._calls.values()))[-1] <= now - 60:
            self._calls.popitem(last=False)
        calls = self._calls.setdefault(network_of(address), deque())
        while calls and calls[0] <= now - 60:
            calls.popleft()
        if len(calls) >= self._limit:
            return calls[0] + 60 - now
        calls.append(now)
        self._calls.move_to_end(network_of(address))
        return 0.0


def network_of(address: str) -> str:
    """Return the address, or of an IPv6 address its network of 64 bits, which one client can have."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network(f"{parsed}/64", strict=False))

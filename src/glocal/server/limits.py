"""How much one job, one client and all of them together may ask for."""

import ipaddress
import resource
import signal
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What is taken, and what a job may use.

    Attributes:
        bytes: of an upload.
        seconds: of video.
        frames: of video, however short they are.
        pixels: of a frame.
        waiting: jobs that are uploaded or wait.
        rate: jobs a minute from one address.
        memory: bytes that a job may allocate.
        wall: seconds that a job may take.
        cpu: seconds of computing, of all cores together, that a job may take.
        upload: seconds that an upload may take.
        threads: of PyTorch in a job.
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
        """Hold the calling process to these limits, for good."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        # what a process allocates, without the address space that CUDA reserves
        _lower(resource.RLIMIT_DATA, self.memory)
        _lower(resource.RLIMIT_CPU, self.cpu, self.cpu + 5)  # first a signal that tells why, then the end
        _lower(resource.RLIMIT_FSIZE, max(2**30, 4 * self.bytes))
        _lower(resource.RLIMIT_CORE, 0)


def _lower(what: int, soft: int, hard: int | None = None) -> None:
    _, highest = resource.getrlimit(what)
    bounds = [soft, soft if hard is None else hard]
    if highest != resource.RLIM_INFINITY:
        bounds = [min(bound, highest) for bound in bounds]
    resource.setrlimit(what, (bounds[0], bounds[1]))


class Rate:
    """At most so many calls a minute from an address; an IPv6 network of 64 bits counts as one."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until `address` may call again; 0 counts this call."""
        now = self._clock()
        while self._calls and next(iter(self._calls.values()))[-1] <= now - 60:
            self._calls.popitem(last=False)
        calls = self._calls.setdefault(_network(address), deque())
        while calls and calls[0] <= now - 60:
            calls.popleft()
        if len(calls) >= self._limit:
            return calls[0] + 60 - now
        calls.append(now)
        self._calls.move_to_end(_network(address))
        return 0.0


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network(f"{parsed}/64", strict=False))

"""HTTP connections with time limits, which make room for new ones when all places are taken."""

import asyncio
import contextlib
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from glocal.utils.process_limits import raise_open_files, require_open_files

REQUEST_SECONDS = 15.0
"""Time in which a connection must send the header of its first or next request, however slowly."""

STALL_SECONDS = 30.0
"""Time after which a client that does not take its response is disconnected."""

CLOSE_SECONDS = 5.0
"""Time for a client to take the rest of what was sent before its connection is cut."""

MAX_CONNECTIONS = 1024
"""Connections at the same time, where the operating system allows as many open files."""


OPEN_FILES, OPEN_FILES_A_JOB = 64, 8
"""Open files without which the server cannot work: its own with few connections, and for each running job."""


def max_connections(workers: int) -> int:
    """Raise the limit of open files as far as allowed, and return how many connections fit into it.

    Args:
        workers: number of jobs that run at the same time.

    Raises:
        ResourceError: the limit cannot be raised so far that the server can run its jobs.
    """
    require_open_files(OPEN_FILES + OPEN_FILES_A_JOB * workers, f"a server with --workers {workers}")
    return min(MAX_CONNECTIONS, raise_open_files(2 * MAX_CONNECTIONS) // 2)


class StoppableServer(uvicorn.Server):
    """A server that SIGHUP stops as SIGTERM does, unless it is ignored."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Inside, signals stop the server; at the end they are raised again."""
        number = getattr(signal, "SIGHUP", None)
        in_main_thread = threading.current_thread() is threading.main_thread()
        with super().capture_signals():
            if number is None or not in_main_thread or signal.getsignal(number) is signal.SIG_IGN:
                yield
                return
            handler = signal.signal(number, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(number, handler)


class GuardedProtocol(H11Protocol):
    """An HTTP connection that is closed when its client takes too long.

    When there are as many connections as the server's `limit_concurrency`, a new one takes the place of one
    without a request: first one that never had any, of the address with the most, the oldest.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.has_served: bool = False
        self.waiting_since: float = 0.0
        self._request_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    @property
    def is_active(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def address(self) -> str:
        """Address of the client."""
        return self.client[0] if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for the connection, and wait for its request."""
        self._make_room()
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._stop_timers()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Handle what has arrived; the time of a request ends with its header."""
        super().handle_events()
        if self.is_active and self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.has_served = True
        super().on_response_complete()
        if not self.is_active and not self.transport.is_closing():
            self._await_request()

    def pause_writing(self) -> None:
        """Start the time in which the client must take its response."""
        super().pause_writing()
        self._stall_timer = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop that time."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        super().resume_writing()

    def drop(self) -> None:
        """Cut the connection."""
        self.connections.discard(self)
        self.transport.abort()

    def _await_request(self) -> None:
        self._stop_timers()
        self.waiting_since = self.loop.time()
        self._request_timer = self.loop.call_later(REQUEST_SECONDS, self._close)

    def _close(self) -> None:
        self.transport.close()
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _stop_timers(self) -> None:
        for timer in (self._request_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        self._request_timer = self._stall_timer = None

    def _make_room(self) -> None:
        """Drop connections without a request until one more fits."""
        while self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency - 1:
            idle = [c for c in self.connections if isinstance(c, GuardedProtocol) and not c.is_active]
            if not idle:
                return
            counts = Counter(connection.address for connection in idle)
            min(idle, key=lambda c: (c.has_served, -counts[c.address], c.waiting_since)).drop()

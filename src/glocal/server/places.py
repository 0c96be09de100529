"""Places for uploads: slow ones, and those of an address that has many, give way when none is free."""

import time
from collections import Counter
from collections.abc import Callable, Collection

GRACE_SECONDS = 5.0
"""Age from which the speed of an upload counts, and the length of the time over which it is measured."""

MIN_SPEED = 16 * 1024
"""Bytes a second below which an upload gives way when others wait."""


class UploadPlace:
    """The place of an upload, which counts its bytes.

    Args:
        address: of the client.
        clock: seconds, increasing.
    """

    gave_way: bool = False

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.address = address
        self._clock = clock
        self._started = self._window_start = clock()
        self._before = self._window = 0
        self._cancel: Callable[[], object] = lambda: None

    def on_give_way(self, cancel: Callable[[], object]) -> None:
        """Call `cancel` when this upload gives way to another."""
        self._cancel = cancel

    def count(self, received: int) -> None:
        """Count bytes that have arrived."""
        now = self._clock()
        if now - self._window_start >= GRACE_SECONDS:
            self._before, self._window, self._window_start = self._window, 0, now
        self._window += received

    @property
    def speed(self) -> float:
        """Bytes a second lately; infinite for an upload that has just begun."""
        now = self._clock()
        if now - self._started < GRACE_SECONDS:
            return float("inf")
        elapsed = now - self._window_start
        if elapsed >= GRACE_SECONDS or self._window_start == self._started:
            return self._window / max(elapsed, GRACE_SECONDS)
        return (self._before + self._window) / (GRACE_SECONDS + elapsed)

    def give_way(self) -> None:
        """Stop this upload."""
        self.gave_way = True
        self._cancel()


def upload_to_stop(places: Collection[UploadPlace], address: str) -> UploadPlace | None:
    """Choose the upload that gives way to a new one of `address`.

    Returns:
        The slowest upload that is too slow; or else the slowest of the address that has the most, if that
        address still has as many as the new one's afterwards; or None.
    """
    slowest = min(places, key=lambda place: place.speed, default=None)
    if slowest is None or slowest.speed < MIN_SPEED:
        return slowest
    counts = Counter(place.address for place in places)
    largest, count = counts.most_common(1)[0]
    if count <= counts[address] + 1:
        return None
    return min((place for place in places if place.address == largest), key=lambda place: place.speed)

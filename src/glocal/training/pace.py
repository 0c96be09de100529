"""How fast a training run goes through its clips, and how long the network waits for them."""

from time import perf_counter


class Pace:
    """A clock of the current epoch, without its validation.

    Attributes:
        clips: of the batches that are done.
        working: seconds in which the network was trained.
        waiting: seconds in which it waited for the next batch.
    """

    clips: int
    working: float
    waiting: float

    def __init__(self) -> None:
        self.start_epoch()

    def start_epoch(self) -> None:
        """Start to wait for the first batch of an epoch."""
        self.clips, self.working, self.waiting = 0, 0.0, 0.0
        self._since = perf_counter()

    def start_batch(self) -> None:
        """Start to work on a batch, which has been waited for until now."""
        self.waiting += self._seconds()

    def finish_batch(self, clips: int) -> None:
        """Count the clips of a batch that is done, and start to wait for the next one."""
        self.working += self._seconds()
        self.clips += clips

    def _seconds(self) -> float:
        """Seconds since the last call."""
        before, self._since = self._since, perf_counter()
        return self._since - before

    @property
    def clips_per_second(self) -> float:
        """Clips a second, of all batches of the epoch that are done."""
        return self.clips / max(self.working + self.waiting, 1e-9)

    def measures(self) -> dict[str, float]:
        """Clips a second, and the share of the time in which the network waited for clips."""
        share = self.waiting / max(self.working + self.waiting, 1e-9)
        return {"speed/clips_per_second": self.clips_per_second, "speed/waiting": share}

"""The learning rate over a run, as a factor in [0, 1]; no state but that of a plateau."""

import math

from glocal.training.recipe import Schedule


def factor(schedule: Schedule, epoch: float, epochs: int) -> float:
    """Of the learning rate, `epoch` epochs (and a fraction) after the start of a run of `epochs`.

    A plateau's own factor comes on top, see `Plateau`.
    """
    rise = min(1.0, epoch / schedule.warmup) if schedule.warmup else 1.0
    if schedule.name == "step":
        return rise * schedule.factor ** (math.floor(epoch) // schedule.every)
    if schedule.name == "cosine":
        return rise * (1 + math.cos(math.pi * min(1.0, epoch / epochs))) / 2
    return rise


class Plateau:
    """A factor that shrinks when the loss has not fallen for more than `patience` epochs."""

    def __init__(self, schedule: Schedule):
        self.schedule = schedule
        self.factor = 1.0
        self.best = math.inf
        self.waited = 0

    def update(self, loss: float) -> None:
        """After an epoch, with its loss."""
        if self.schedule.name != "plateau":
            return
        if loss < self.best:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited > self.schedule.patience:
            self.factor *= self.schedule.factor
            self.waited = 0

    def state(self) -> dict[str, float]:
        """For a checkpoint."""
        return {"factor": self.factor, "best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, float]) -> None:
        """From a checkpoint."""
        self.factor, self.best, self.waited = state["factor"], state["best"], int(state["waited"])

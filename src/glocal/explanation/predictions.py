"""Predictions for a video from those of its windows, and the votes of a gated network's gates."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from torch import Tensor, nn

from glocal.attribution import exclusive
from glocal.explanation.parts import Prediction
from glocal.models.gated import Gated
from glocal.models.model import Model

NUM_BEST = 5
"""Predictions that are kept unless told otherwise."""


class MeanProbabilities:
    """Running mean of class probabilities `(num_classes,)`."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._count = 0

    def add(self, probabilities: Tensor) -> None:
        """Add the probabilities `(num_classes,)` of one window."""
        self._sum = probabilities if self._sum is None else self._sum + probabilities
        self._count += 1

    @property
    def value(self) -> Tensor:
        """`(num_classes,)`, the mean over the windows added."""
        assert self._sum is not None, "a video has at least one window"
        return self._sum / self._count


def best_predictions(
    labels: Sequence[str], probabilities: Tensor, count: int = NUM_BEST
) -> tuple[Prediction, ...]:
    """Return the `count` classes of the highest probabilities `(num_classes,)`, best first."""
    values, indices = probabilities.topk(min(count, len(probabilities)))
    return tuple(
        Prediction(labels[index], index, round(value, 6))
        for value, index in zip(values.tolist(), indices.tolist(), strict=True)
    )


class GateVotes:
    """The classes that each gate of a gated network predicts alone, over a video; none for other networks.

    The gates' logits are taken from the forward pass that `attribute` makes: no pass is added.
    """

    def __init__(self, model: Model) -> None:
        self._model, self._network = model, model.network
        self._gates = dict(model.network.gates.items()) if isinstance(model.network, Gated) else {}
        self._means = {gate: MeanProbabilities() for gate in self._gates}
        self._logits: dict[str, Tensor] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Inside, record the gates' logits in the first pass of a window's clip `(1, C, T, H, W)`.

        Other threads do not run the network meanwhile.
        """
        self._logits = {}
        with exclusive(self._network), ExitStack() as hooks:
            for gate, linear in self._gates.items():
                hooks.callback(linear.register_forward_hook(partial(self._record, gate)).remove)
            yield

    def _record(self, gate: str, _module: nn.Module, _inputs: object, logits: Tensor) -> None:
        self._logits.setdefault(gate, logits.detach())

    def count_window(self, sample: int = 0) -> None:
        """Add the logits recorded last to the means: those of one sample of the batch."""
        for gate, logits in self._logits.items():
            self._means[gate].add(self._model.probabilities(logits)[sample].cpu())

    def best(self, labels: Sequence[str]) -> Mapping[str, tuple[Prediction, ...]]:
        """Gate → its best classes, by the mean over the windows of the probabilities of its logits alone."""
        return {gate: best_predictions(labels, mean.value) for gate, mean in self._means.items()}

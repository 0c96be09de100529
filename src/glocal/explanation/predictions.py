"""The classes of a video from those of its windows, and what each depth of a gated network votes for."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from torch import Tensor, nn

from glocal.explanation.explanation import Prediction
from glocal.models.gated import Gated

BEST = 5


class Mean:
    """Running mean of class probabilities `(classes,)`."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._count = 0

    def add(self, probabilities: Tensor) -> None:
        self._sum = probabilities if self._sum is None else self._sum + probabilities
        self._count += 1

    @property
    def value(self) -> Tensor:
        assert self._sum is not None, "a video has at least one window"
        return self._sum / self._count


def best_of(labels: Sequence[str], probabilities: Tensor, count: int = BEST) -> tuple[Prediction, ...]:
    """The classes of the highest probabilities, best first."""
    values, indices = probabilities.topk(min(count, len(probabilities)))
    return tuple(
        Prediction(labels[index], index, round(value, 6))
        for value, index in zip(values.tolist(), indices.tolist(), strict=True)
    )


class Votes:
    """The classes that each gate of a gated network sees on its own, over a video; none for other networks.

    The logits are those that the network computes anyway: no pass is added.
    """

    def __init__(self, network: nn.Module) -> None:
        self._gates = dict(network.gates.items()) if isinstance(network, Gated) else {}
        self._means = {gate: Mean() for gate in self._gates}
        self._heard: dict[str, Tensor] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear the first pass of a window's clip `(1, C, T, H, W)` through the network."""
        self._heard = {}
        with ExitStack() as hooks:
            for gate, linear in self._gates.items():
                hooks.callback(linear.register_forward_hook(partial(self._hear, gate)).remove)
            yield

    def _hear(self, gate: str, _module: nn.Module, _inputs: object, logits: Tensor) -> None:
        self._heard.setdefault(gate, logits.detach())

    def count(self) -> None:
        """Count what was heard last."""
        for gate, logits in self._heard.items():
            self._means[gate].add(logits.float().softmax(1)[0].cpu())

    def best(self, labels: Sequence[str]) -> Mapping[str, tuple[Prediction, ...]]:
        """Gate → its best classes: mean over the windows counted of the softmax of its logits alone."""
        return {gate: best_of(labels, mean.value) for gate, mean in self._means.items()}

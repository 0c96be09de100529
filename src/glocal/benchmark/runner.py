"""Runs explainers over samples: cached, resumable, without those that do not fit the network."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from glocal.benchmark.cache import Cache
from glocal.errors import GlocalError, InputError, ResourceError, WriteError

Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass
class Results(Generic[Value]):
    """What was measured.

    Attributes:
        values: explainer → a value for each sample, in order.
        refused: explainer → why it does not fit the network.
    """

    values: dict[str, list[Value]]
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """A sentence on each explainer that does not fit the network."""
        return [f"{name} is left out: {reason}" for name, reason in self.refused.items()]


def run(
    samples: Iterable[Item],
    explainers: Sequence[str],
    measure: Callable[[Item, str], Value],
    *,
    controls: Collection[str] = (),
    cache: Cache | None = None,
    key: Callable[[Item, str], Mapping[str, Any]] | None = None,
    description: str = "clips",
    total: int | None = None,
    progress: bool = False,
) -> Results[Value]:
    """Measure every explainer on every sample.

    An explainer that refuses the network is left out of the results, and the reason is noted.

    Args:
        samples: taken one by one.
        explainers: names, controls among them.
        measure: the value of a sample and an explainer; plain data where it is cached.
        controls: explainers that ignore the network; at least one other must fit it.
        cache: where values are kept between runs.
        key: what the value of a sample and an explainer follows from; needed with `cache`.
        description: label of the progress bar.
        total: number of samples, for the progress bar.
        progress: show a progress bar where stderr is a terminal.

    Raises:
        InputError: no explainer but controls fits the network, or the cache cannot be written.
        ResourceError: the machine lacks memory, disk space, open files or threads.
    """
    results: Results[Value] = Results({name: [] for name in explainers})
    bar = tqdm(samples, desc=description, total=total, unit="clip", disable=None if progress else True)
    for sample in bar:
        for name in list(results.values):
            bar.set_postfix_str(name)
            compute = partial(measure, sample, name)
            try:
                value = cache.get(dict(key(sample, name)), compute) if cache and key else compute()
            except (WriteError, ResourceError):
                raise  # says nothing about the explainer
            except GlocalError as problem:
                del results.values[name]
                results.refused[name] = str(problem)
                if not set(results.values) - set(controls):
                    raise InputError(f"none of the methods fits the network: {problem}") from problem
            else:
                results.values[name].append(value)
    return results

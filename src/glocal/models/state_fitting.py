"""Find the weights of a network among the keys of a checkpoint: prefixes, and what is beside them."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

COUNTERS = ("total_ops", "total_params")
"""Last parts of the names of buffers that profilers leave in a network."""

MOVING_AVERAGES = ("ema", "model_ema", "ema_model", "teacher")
"""Parts of a prefix that tell a moving average, which is used only where there is nothing else."""

DEEPEST_PREFIX = 4
"""Number of parts of a prefix at most."""


@dataclass(frozen=True)
class FittedState:
    """The part of a checkpoint that is a network's.

    Attributes:
        state: under the network's own keys.
        dropped: keys of the file that are left out: outside of the prefix, of modules that the network does
            not have, and counters of profilers.
    """

    state: dict[str, Tensor]
    dropped: tuple[str, ...] = ()


def fit_state(
    state: Mapping[str, Tensor], keys: Collection[str], rename: Callable[[str], str] | None = None
) -> FittedState:
    """Strip the prefix under which a checkpoint holds a network, and drop what is beside the network.

    Keys of modules that the network has, such as those of further blocks, are kept, so that a checkpoint of a
    larger network is not taken for one of a smaller.

    Args:
        state: as stored.
        keys: of the network's state dict.
        rename: from the keys of the file, without prefix, to the network's.
    """
    rename = rename or (lambda key: key)
    own = set(keys)
    prefix = _best_prefix(state, own, rename)
    inside = {rename(key.removeprefix(prefix)): key for key in state if key.startswith(prefix)}
    if own.isdisjoint(inside):
        return FittedState({rename(key): tensor for key, tensor in state.items()})
    roots = {key.partition(".")[0] for key in own}
    foreign = {
        key
        for key in inside
        if key not in own and (key.rpartition(".")[2] in COUNTERS or key.partition(".")[0] not in roots)
    }
    outside = [key for key in state if not key.startswith(prefix)]
    dropped = [*(inside[key] for key in inside if key in foreign), *outside]
    return FittedState(
        {key: state[source] for key, source in inside.items() if key not in foreign}, tuple(dropped)
    )


def _best_prefix(state: Mapping[str, Tensor], keys: set[str], rename: Callable[[str], str]) -> str:
    """The prefix under which most of a network's keys are; no moving average and a short one if several."""
    matches: dict[str, int] = {"": 0}
    for key in state:
        for prefix in _prefixes(key):
            if rename(key.removeprefix(prefix)) in keys:
                matches[prefix] = matches.get(prefix, 0) + 1
    return max(matches, key=lambda prefix: (matches[prefix], not _is_average(prefix), -len(prefix)))


def _prefixes(key: str) -> Iterator[str]:
    parts = key.split(".")
    for count in range(min(len(parts), DEEPEST_PREFIX + 1)):
        yield "".join(f"{part}." for part in parts[:count])


def _is_average(prefix: str) -> bool:
    return not set(prefix.split(".")).isdisjoint(MOVING_AVERAGES)

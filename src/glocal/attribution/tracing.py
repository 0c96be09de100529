"""Run a network once to see which of its modules return maps over the input."""

import contextlib
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Size, Tensor, nn

from glocal.attribution.frozen_network import frozen
from glocal.attribution.inputs.layer_layout import LayoutFinder, first_samples
from glocal.attribution.inputs.network_inputs import InputName, Inputs, call, to_network
from glocal.attribution.inputs.readings import Reading, possible_readings
from glocal.attribution.inputs.token_grid import Grid, OutputLayout, is_attention
from glocal.attribution.tape import first_tensor, outputs_of, several_maps


class TracedMap(NamedTuple):
    """Shape `(C, T, H, W)` or `(C, H, W)` of an output, and its number of tokens that are not on the grid."""

    shape: tuple[int, ...]
    extra: int | None


class Trace(NamedTuple):
    """What the modules of a network returned.

    Attributes:
        maps: module → its map, for those that are called once, or once for each of some frames.
        called: all modules that were called.
        forks: modules that returned several maps.
    """

    maps: dict[nn.Module, TracedMap]
    called: set[nn.Module]
    forks: set[nn.Module]


class _Call(NamedTuple):
    shape: Size
    layout: OutputLayout


def trace_maps(network: nn.Module, example: Inputs, grid: Grid | None, input: InputName) -> Trace:
    """Run the network once, and on some of the modules that it calls several times once more.

    One sample is run where the network can be run on one, else all. Frames and tokens are told by the shapes;
    `record` looks closer.
    """
    moved = to_network(example, network)
    batch = OutputLayout.of(network, moved, grid, input).batch
    samples: list[Inputs] = list(first_samples(moved, input)) if batch > 1 else []
    for sample in samples:
        try:
            return _Tracer(network, sample, grid, input).trace()
        except Exception:  # of any kind: the network is not written for such sizes
            continue
    return _Tracer(network, moved, grid, input).trace()


class _Tracer:
    """One run of a network with a hook on each module."""

    def __init__(self, network: nn.Module, sample: Inputs, grid: Grid | None, input: InputName) -> None:
        self.network, self.sample, self.input = network, sample, input
        self.layout = OutputLayout.of(network, sample, grid, input)
        self.calls: dict[nn.Module, list[_Call | None]] = {}
        self.forks: set[nn.Module] = set()

    def trace(self) -> Trace:
        modules = [m for m in self.network.modules() if not isinstance(m, torch.jit.ScriptModule)]
        with frozen(self.network), torch.no_grad(), contextlib.ExitStack() as stack:
            for module in modules:
                if module is not self.network:
                    stack.callback(module.register_forward_hook(self._hook).remove)
            call(self.network, self.sample)
        in_loops = self._in_loops()
        maps: dict[nn.Module, TracedMap] = {}
        for module in self.calls:
            readings = self._readings(module)
            if readings and (len(self.calls[module]) == 1 or module in in_loops):
                maps[module] = self._map(module, readings[0])
        return Trace(maps, set(self.calls), self.forks)

    def _hook(self, module: nn.Module, args: Any, result: Any) -> None:
        output = first_tensor(result)
        is_map = output is not None and output.dim() in (3, 4, 5) and not is_attention(output)
        seen = (
            _Call(output.shape, self.layout.with_grid_of(result)) if is_map and output is not None else None
        )
        self.calls.setdefault(module, []).append(seen)
        if several_maps(result):
            self.forks.add(module)

    def _stacked(self, module: nn.Module) -> tuple[int, ...]:
        """Shape `(K, …)` of what a module returned for one sample."""
        calls = self.calls[module]
        assert calls[0] is not None, "modules without a map are left out before"
        first, *shape = calls[0].shape
        batch = self.layout.batch
        return (len(calls), first // batch if first % batch == 0 else first, *shape)

    def _readings(self, module: nn.Module) -> list[Reading]:
        """The readings of what a module returned; none where its calls differ."""
        calls = self.calls[module]
        if calls[0] is None or len({traced and traced.shape for traced in calls}) > 1:
            return []
        return possible_readings(self._stacked(module), calls[0].layout, module, self.network)

    def _map(self, module: nn.Module, reading: Reading) -> TracedMap:
        video = len(self.layout.size) == 3
        shape = reading.shape(self._stacked(module), video=video)
        return TracedMap(shape, reading.extra if reading.has_tokens else None)

    def _in_loops(self) -> set[nn.Module]:
        """Modules called once for each of some frames, as the smallest one called as often is."""
        if self.layout.batch > 1:
            return set()
        followed: set[nn.Module] = set()
        for modules in self._by_number_of_calls():
            weighted = [module for module in modules if any(True for _ in module.parameters())]
            smallest = min(weighted or modules, key=lambda module: prod(self._stacked(module)))
            first = self.calls[smallest][0]
            assert first is not None, "it has readings"
            if self._follows_frames(smallest, first.layout):
                followed.update(modules)
        return followed

    def _follows_frames(self, module: nn.Module, layout: OutputLayout) -> bool:
        named = {"": module}

        def run(clips: Inputs) -> tuple[dict[str, list[Tensor]], Any]:
            return outputs_of(self.network, clips, named)

        finder = LayoutFinder(self.network, run, self.sample, self.input, lambda result: True)
        return finder.find(run(self.sample)[0], {"": layout}, named)[""] is not None

    def _by_number_of_calls(self) -> list[list[nn.Module]]:
        """Modules that may follow the frames, together with those called as often.

        Modules without parameters alone, which a network may use in many places, must be called once a frame.
        """
        groups: dict[int, list[nn.Module]] = {}
        for module, calls in self.calls.items():
            if len(calls) > 1 and self._readings(module):
                groups.setdefault(len(calls), []).append(module)
        return [
            modules
            for count, modules in groups.items()
            if count == self.layout.size[0] or any(True for m in modules for _ in m.parameters())
        ]

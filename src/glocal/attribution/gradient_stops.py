"""Find out why no gradient passes a network: no_grad, inference_mode or detach in its forward."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution.frozen_network import frozen
from glocal.attribution.inputs.network_inputs import Inputs, call, map_tensors, tensors, to_network
from glocal.attribution.tape import NoInfluenceError
from glocal.errors import InputError

ABOUT_GRADIENTS = ("grad", "nference tensor", "inference mode")
"""Words in errors of PyTorch that may come from a forward that stops gradients."""
OVERWRITTEN = re.compile(r"modified by an inplace operation.*?(?:output \d+ of (\w+)|$)")
"""PyTorch's words for a tensor that a gradient needs, and the function whose result it was."""
ADVICE = "or use a method that needs no gradients, such as rise, occlusion or scorecam"


@contextlib.contextmanager
def gradient_stops_named(network: nn.Module, inputs: Inputs) -> Iterator[None]:
    """Inside, an error about missing gradients names where they stop, if that can be found.

    Raises:
        InputError: in place of such an error.
    """
    try:
        yield
    except (NoInfluenceError, RuntimeError) as problem:
        if overwritten := OVERWRITTEN.search(str(problem)):
            raise InputError(_overwritten(overwritten[1])) from problem
        is_known = isinstance(problem, NoInfluenceError)
        if not is_known and not any(words in str(problem) for words in ABOUT_GRADIENTS):
            raise
        layers = problem.layers if isinstance(problem, NoInfluenceError) else ()
        if reason := why_no_gradient(network, inputs, layers):
            raise InputError(reason) from problem
        raise


def _overwritten(source: str | None) -> str:
    result = f"the result of {source}" if source else "a tensor"
    return (
        f"the network changes {result} in place, which its gradient needs; write x = x + y for x += y in its "
        f"forward, {ADVICE}."
    )


def why_no_gradient(network: nn.Module, inputs: Inputs, layers: Sequence[str] = ()) -> str | None:
    """One sentence that names the part of the network at which gradients stop, and why, if there is one.

    The network is run once more.

    Args:
        network: any module.
        inputs: as the network takes them.
        layers: the layers without gradient, if others have one: only parts around or inside them count.
    """
    if (name := _made_in_inference_mode(network)) is not None:
        return (
            f"'{name}' of the network was made under torch.inference_mode, so no gradient passes it; build "
            f"and load the network outside of it, {ADVICE}."
        )
    watcher = _Watcher(network)
    with torch.inference_mode(False), torch.enable_grad(), frozen(network), watcher.hooks():
        leaves = map_tensors(to_network(inputs, network), _leaf)
        with contextlib.suppress(Exception):  # of any kind: what is known until then is enough
            call(network, leaves)
    return watcher.sentence(layers)


def _made_in_inference_mode(network: nn.Module) -> str | None:
    named = [*network.named_parameters(), *network.named_buffers()]
    return next((name for name, tensor in named if tensor.is_inference()), None)


def _leaf(x: Tensor) -> Tensor:
    return x.detach().clone().requires_grad_() if x.is_floating_point() else x


class _Watcher:
    """Notes in which modules of a network gradients stop during one run."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._names = {module: name for name, module in network.named_modules()}
        self._switched_off: dict[str, str] = {}
        self._cut: list[str] = []

    @contextlib.contextmanager
    def hooks(self) -> Iterator[None]:
        """Inside, runs of the network are watched."""
        with contextlib.ExitStack() as stack:
            for module in self._network.modules():
                if isinstance(module, torch.jit.ScriptModule):
                    continue
                stack.callback(module.register_forward_pre_hook(self._entered, with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(self._left, with_kwargs=True).remove)
            yield

    def _entered(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        name = self._names[module]
        if torch.is_inference_mode_enabled():
            self._switched_off.setdefault(name, "torch.inference_mode")
        elif not torch.is_grad_enabled():
            self._switched_off.setdefault(name, "torch.no_grad")

    def _left(self, module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        is_cut = _has_gradient((args, kwargs)) and not _has_gradient(result) and torch.is_grad_enabled()
        inner = [name for name in self._cut if name.startswith(f"{self._names[module]}.".removeprefix("."))]
        if is_cut and not inner:
            self._cut.append(self._names[module])

    def sentence(self, layers: Sequence[str]) -> str | None:
        """What was noted, in one sentence."""
        for name, context in self._switched_off.items():
            if _is_near(name, layers):
                return (
                    f"{_subject(name)} runs under {context}, so no gradient passes it; take that out of the "
                    f"network's forward (requires_grad_(False) freezes weights without it), {ADVICE}."
                )
        for name in self._cut:
            if _is_near(name, layers):
                return (
                    f"{_subject(name)} cuts gradients off, as detach(), .data, numpy() or rounding do; take "
                    f"that out of the network's forward, {ADVICE}."
                )
        return None


def _subject(name: str) -> str:
    return f"'{name}' of the network" if name else "the network"


def _is_near(name: str, layers: Sequence[str]) -> bool:
    """Whether a module is around or inside one of the layers."""
    return (
        not layers
        or any(f"{layer}.".startswith(f"{name}.".removeprefix(".")) for layer in layers)
        or any(name.startswith(f"{layer}.") for layer in layers)
    )


def _has_gradient(values: Any) -> bool:
    """Whether a tensor among arguments or results requires gradients."""
    if hasattr(values, "__dict__") and not isinstance(values, Tensor):
        values = {**vars(values)}
    return any(tensor.requires_grad for tensor in tensors(values))

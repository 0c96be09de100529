"""One forward pass and as many partial backward passes as there are targets, for any set of layers.

The graph starts at the lowest layer asked for: what lies before it keeps nothing for a backward pass,
and no gradient of a parameter is ever computed.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from glocal.attribution.inputs.network_inputs import Inputs, call, describe, to_network
from glocal.attribution.inputs.token_grid import Canvas, Grid
from glocal.attribution.inputs.wrappers import check_readable, eagerly
from glocal.errors import InputError, UsageError


class Tape:
    """Logits, layer activations, and the way from the ones to the others.

    Attributes:
        logits: `(B, classes)`.
        activations: layer name → `(B, C_k, T_k, H_k, W_k)`, or `(B, C_k, H_k, W_k)` for images, in whatever
            order of axes or tokens the layer returned it.
    """

    def __init__(
        self, logits: Tensor, outputs: dict[str, Tensor], fold: Callable[[str, Tensor], Tensor]
    ) -> None:
        self.logits = logits
        self.activations = {name: fold(name, output) for name, output in outputs.items()}
        self._outputs = outputs
        self._fold = fold

    def gradients(self, score: Tensor, *, keep: bool = False) -> dict[str, Tensor]:
        """Gradient of the scalar `score` at every layer, by one backward pass down to the lowest of them.

        Set `keep` when another backward pass follows.

        Raises:
            UsageError: a layer has no influence on the score.
        """
        names = list(self._outputs)
        if not score.requires_grad:
            raise UsageError(f"none of the layers {', '.join(names)} has any influence on the logits.")
        gradients = torch.autograd.grad(
            score, list(self._outputs.values()), retain_graph=keep, allow_unused=True
        )
        found: dict[str, Tensor] = {}
        for name, gradient in zip(names, gradients, strict=True):
            if gradient is None:
                raise UsageError(f"layer '{name}' has no influence on the logits; leave it out.")
            found[name] = self._fold(name, gradient)
        return found


@contextlib.contextmanager
def record(
    network: nn.Module,
    inputs: Inputs,
    layers: Mapping[str, nn.Module],
    output: Callable[[Any], Tensor] | None = None,
    grid: Grid | None = None,
) -> Iterator[Tape]:
    """Run `network` once in eval mode and keep what a partial backward pass needs.

    Nothing is copied; where a module behind a layer overwrites that layer's output in place, the network is
    run a second time on copies of it.

    The network is untouched afterwards, also after an error: train/eval mode, `requires_grad`, hooks and
    `.grad` are as they were.

    Args:
        network: any module; `inputs` go to its device, and floating ones to its dtype.
        inputs: see `Inputs`.
        layers: name → submodule, each called exactly once in a forward pass.
        output: takes the logits out of whatever the network returns; needed where they are not the
            output itself, its `logits` entry or attribute, or the first item of a tuple.
        grid: of the tokens, where the network does not tell it itself.

    Raises:
        UsageError: a layer is not called, called repeatedly, or returns something that is no map over the
            input; or the network is quantised.
        InputError: the logits are not `(B, classes)` or not finite.
    """
    check_readable(network, layers)
    canvas = Canvas.of(network, inputs, grid)

    def fold(name: str, found: Tensor) -> Tensor:
        folded = records[name].canvas.fold(found, layers[name])
        if folded is None:
            raise UsageError(_not_a_map(name, found))
        return folded

    with torch.inference_mode(False), torch.enable_grad(), frozen(network):
        moved = to_network(inputs, network)
        result, records = _run(network, moved, layers, canvas, copied=())
        if overwritten := [name for name, record in records.items() if record.overwritten]:
            result, records = _run(network, moved, layers, canvas, copied=overwritten)
        yield Tape(find_logits(result, output), {name: records[name].activation for name in layers}, fold)


class _Record(NamedTuple):
    activation: Tensor
    version: int
    canvas: Canvas

    @property
    def overwritten(self) -> bool:
        """Whether a module behind the layer changed its output in place."""
        return self.activation._version != self.version


def _run(
    network: nn.Module,
    inputs: Inputs,
    layers: Mapping[str, nn.Module],
    canvas: Canvas,
    copied: Sequence[str],
) -> tuple[Any, dict[str, _Record]]:
    """What the network returns, and each layer's activation.

    Behind the layers `copied`, the network goes on with a copy that it may overwrite.
    """
    records: dict[str, _Record] = {}
    anchor = torch.zeros((), requires_grad=True)

    def recorder(name: str) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(module: nn.Module, args: Any, result: Any) -> Any:
            found = first_tensor(result)
            if name in records:
                raise UsageError(
                    f"layer '{name}' is called more than once in a forward pass, so its activation is "
                    "ambiguous; name a layer that is called once, such as the block around it."
                )
            if found is None:
                raise UsageError(_not_a_map(name, result))
            activation: Tensor = found if found.requires_grad else _Start.apply(found, anchor)  # type: ignore[no-untyped-call]
            records[name] = _Record(activation, activation._version, canvas.beside(result))
            passed = activation.clone() if name in copied else activation
            return passed if isinstance(result, Tensor) else type(result)((passed, *result[1:]))

        return hook

    with contextlib.ExitStack() as stack:
        for name, module in layers.items():
            stack.callback(module.register_forward_hook(recorder(name)).remove)
        result = call(network, inputs)
    for name in layers:
        if name not in records:
            raise UsageError(f"layer '{name}' is not used in a forward pass; choose one that is.")
    return result, records


def first_tensor(result: Any) -> Tensor | None:
    """What a module returned: a tensor, or the first item of a tuple or list if that alone is a map."""
    if type(result) in (tuple, list) and result and not several_maps(result):
        result = result[0]
    return result if isinstance(result, Tensor) else None


def several_maps(result: Any) -> bool:
    """Whether a module returned a tuple or list of maps, such as one for each pathway."""
    return (
        isinstance(result, tuple | list) and sum(isinstance(x, Tensor) and x.dim() == 5 for x in result) > 1
    )


def _not_a_map(name: str, result: Any) -> str:
    sentence = f"layer '{name}' returns {describe(result)}, "
    if isinstance(result, Tensor) and result.dim() == 3:
        return (
            f"{sentence}and the network does not tell how these lie over its input; "
            "give grid=(T, H, W) if they are tokens (B, N, C), or name another layer."
        )
    return (
        f"{sentence}not one tensor (B, C, T, H, W) or (B, C, H, W) over its input; "
        "name a layer inside or around it."
    )


class _Start(torch.autograd.Function):
    """A tensor as the first node of a graph: neither copied nor a leaf, so that it may be overwritten."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor) -> Tensor:
        return x.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        return None, None


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Eval mode, no parameter gradients and no compiled code inside, everything as it was afterwards."""
    training = [module for module in network.modules() if module.training]
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        for module in training:
            module.training = False
        for parameter in trainable:
            parameter.requires_grad_(False)
        with eagerly(network):
            yield
    finally:
        for module in training:
            module.training = True
        for parameter in trainable:
            parameter.requires_grad_(True)


def find_logits(result: Any, output: Callable[[Any], Tensor] | None = None) -> Tensor:
    """The logits `(B, classes)` in what a network returned.

    Raises:
        InputError: there are none, or they are not finite.
    """
    logits = result
    if output is not None:
        logits = output(result)
    elif isinstance(result, Mapping):
        logits = result.get("logits", next(iter(result.values())) if len(result) == 1 else None)
    elif hasattr(result, "logits"):
        logits = result.logits
    elif isinstance(result, tuple | list) and result:
        logits = result[0]
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        raise InputError(
            f"the network returns {describe(result)}, where logits (B, classes) are needed; "
            "pass output= to take them out of it."
        )
    if not logits.isfinite().all():
        raise InputError(
            "the network's logits are not finite (NaN or infinity); check its weights and input."
        )
    return logits

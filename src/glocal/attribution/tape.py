"""Record one forward pass of a network, so that gradients at a set of layers can be computed from it.

Forward hooks note what the layers return; one partial backward pass for each class then gives the gradients
at all of them. The autograd graph starts at the lowest of the layers: modules before it save nothing for a
backward pass, and no gradient of a parameter is computed.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from glocal.attribution.inputs.network_inputs import InputName, Inputs, call, describe, to_network
from glocal.attribution.inputs.token_grid import Grid, OutputLayout, is_attention
from glocal.attribution.inputs.wrappers import check_readable, eagerly
from glocal.attribution.locking import exclusive
from glocal.errors import InputError, UsageError


class Tape:
    """A recorded forward pass: its logits, the activations of the layers, and the graph between them.

    Attributes:
        logits: `(B, num_classes)`, with a graph down to the lowest layer.
        activations: layer name → `(B, C_k, T_k, H_k, W_k)`, or `(B, C_k, H_k, W_k)` for images; axes and
            tokens are rearranged where the layer returns them in another order.
    """

    def __init__(
        self, logits: Tensor, outputs: dict[str, Tensor], fold: Callable[[str, Tensor], Tensor]
    ) -> None:
        self.logits = logits
        self.activations: dict[str, Tensor] = {name: fold(name, output) for name, output in outputs.items()}
        self._outputs = outputs
        self._fold = fold

    def gradients(self, score: Tensor, *, keep: bool = False) -> dict[str, Tensor]:
        """Gradient of a score at every layer, by one backward pass down to the lowest of them.

        Args:
            score: a scalar computed from `logits`.
            keep: keep the graph, because another backward pass follows.

        Returns:
            Layer name → gradient, in the shape of the layer's activation.

        Raises:
            UsageError: a layer has no influence on the score.
        """
        names = list(self._outputs)
        if not score.requires_grad:
            raise UsageError(f"none of the layers {', '.join(names)} has any influence on the logits.")
        gradients = torch.autograd.grad(
            score, list(self._outputs.values()), retain_graph=keep, allow_unused=True
        )
        folded: dict[str, Tensor] = {}
        for name, gradient in zip(names, gradients, strict=True):
            if gradient is None:
                raise UsageError(f"layer '{name}' has no influence on the logits; leave it out.")
            folded[name] = self._fold(name, gradient)
        return folded


@contextlib.contextmanager
def record(
    network: nn.Module,
    inputs: Inputs,
    layers: Mapping[str, nn.Module],
    *,
    output: Callable[[Any], Tensor] | None = None,
    grid: Grid | None = None,
    input: InputName = None,
) -> Iterator[Tape]:
    """Run `network` once in eval mode and record what backward passes down to `layers` need.

    Activations are not copied. Where a module after a layer overwrites that layer's output in place, the
    network is run a second time on a copy of it.

    Inside the context the network stays in eval mode. Afterwards, also after an error, train/eval mode,
    `requires_grad`, hooks and `.grad` are as they were.

    Args:
        network: any module; `inputs` go to its device, and floating ones to its dtype.
        inputs: see `Inputs`.
        layers: name → submodule, each called exactly once in a forward pass.
        output: takes the logits out of what the network returns; needed where they are not the output
            itself, its `logits` entry or attribute, or the first item of a tuple.
        grid: of the tokens, where the network does not tell it itself.
        input: the one of several inputs that the layers lie over; by default the video.

    Raises:
        UsageError: a layer is not called, called repeatedly, or returns something that is not a map over
            the input; or the network is quantised.
        InputError: the logits are not `(B, num_classes)` or not finite.
    """
    check_readable(network, layers)
    output_layout = OutputLayout.of(network, inputs, grid, input)

    def fold(name: str, output: Tensor) -> Tensor:
        folded = records[name].output_layout.fold(output, layers[name])
        if folded is None:
            raise UsageError(_not_a_map(name, output))
        return folded

    with torch.inference_mode(False), torch.enable_grad(), frozen(network):
        moved = to_network(inputs, network)
        result, records = _run(network, moved, layers, output_layout, copied=())
        if overwritten := [name for name, record in records.items() if record.overwritten]:
            result, records = _run(network, moved, layers, output_layout, copied=overwritten)
        yield Tape(find_logits(result, output), {name: records[name].activation for name in layers}, fold)


class _Record(NamedTuple):
    activation: Tensor
    version: int
    output_layout: OutputLayout

    @property
    def overwritten(self) -> bool:
        """Whether a module behind the layer changed its output in place."""
        return self.activation._version != self.version


def _run(
    network: nn.Module,
    inputs: Inputs,
    layers: Mapping[str, nn.Module],
    output_layout: OutputLayout,
    copied: Sequence[str],
) -> tuple[Any, dict[str, _Record]]:
    """Run the network: what it returns, and each layer's activation.

    Modules after the layers `copied` get a copy of the activation, which they may overwrite.
    """
    records: dict[str, _Record] = {}
    anchor = torch.zeros((), requires_grad=True)

    def recorder(name: str) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(module: nn.Module, args: Any, result: Any) -> Any:
            output = first_tensor(result)
            if name in records:
                raise UsageError(
                    f"layer '{name}' is called more than once in a forward pass, so its activation is "
                    "ambiguous; name a layer that is called once, such as the block around it."
                )
            if output is None or is_attention(output):
                raise UsageError(_not_a_map(name, result))
            activation: Tensor = output if output.requires_grad else _Start.apply(output, anchor)  # type: ignore[no-untyped-call]
            records[name] = _Record(activation, activation._version, output_layout.with_grid_of(result))
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
    """The tensor that a module returned, alone or as the only map at the start of a tuple or list."""
    if type(result) in (tuple, list) and result and not several_maps(result):
        result = result[0]
    return result if isinstance(result, Tensor) else None


def several_maps(result: Any) -> bool:
    """Whether a module returned a tuple or list of maps, such as one for each input rate."""
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
    """Inside, the network is in eval mode, needs no gradients of parameters and runs no compiled code.

    Other threads wait meanwhile, see `exclusive`. Afterwards, also after an error, everything is as it was.
    """
    with exclusive(network):
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
    """Find the logits `(B, num_classes)` in what a network returned.

    Args:
        result: the logits; a mapping or object with an entry `logits`; a mapping with one entry; or a tuple
            or list that starts with them.
        output: takes the logits out of any other result.

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
            f"the network returns {describe(result)}, where logits (B, num_classes) are needed; "
            "pass output= to take them out of it."
        )
    if not logits.isfinite().all():
        raise InputError(
            "the network's logits are not finite (NaN or infinity); check its weights and input."
        )
    return logits

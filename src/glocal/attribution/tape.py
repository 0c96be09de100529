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

from glocal.attribution.frozen_network import frozen
from glocal.attribution.inputs.layer_layout import LayerLayout, LayoutFinder
from glocal.attribution.inputs.network_inputs import InputName, Inputs, call, describe, to_network
from glocal.attribution.inputs.token_grid import Grid, OutputLayout, is_attention
from glocal.attribution.inputs.wrappers import check_readable
from glocal.errors import InputError, UsageError


class NoInfluenceError(UsageError):
    """The score has no gradient at a layer.

    Attributes:
        layers: the layer; empty if there is none at any.
    """

    def __init__(self, message: str, *layers: str) -> None:
        super().__init__(message)
        self.layers = layers


class Tape:
    """A recorded forward pass: its logits, the activations of the layers, and the graph between them.

    Attributes:
        logits: `(B, num_classes)`, with a graph down to the lowest layer.
        activations: layer name → `(B, C_k, T_k, H_k, W_k)`, or `(B, C_k, H_k, W_k)` for images; axes, tokens
            and the outputs of several calls are rearranged where the layer returns them in another order.
        layouts: layer name → how its outputs lie over the input.
    """

    def __init__(
        self, logits: Tensor, outputs: dict[str, list[Tensor]], layouts: dict[str, LayerLayout]
    ) -> None:
        self.logits = logits
        self.layouts = layouts
        self.activations: dict[str, Tensor] = {
            name: layouts[name].fold([output.detach() for output in of_layer])
            for name, of_layer in outputs.items()
        }
        self._outputs = outputs

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
            raise NoInfluenceError(f"none of the layers {', '.join(names)} has any influence on the logits.")
        flat = [output for outputs in self._outputs.values() for output in outputs]
        gradients = iter(torch.autograd.grad(score, flat, retain_graph=keep, allow_unused=True))
        folded: dict[str, Tensor] = {}
        for name, outputs in self._outputs.items():
            of_calls = [next(gradients) for _ in outputs]
            if all(gradient is None for gradient in of_calls):
                raise NoInfluenceError(f"layer '{name}' has no influence on the logits; leave it out.", name)
            pairs = zip(of_calls, outputs, strict=True)
            folded[name] = self.layouts[name].fold(
                [torch.zeros_like(x) if g is None else g for g, x in pairs]
            )
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
    gradients: bool = True,
) -> Iterator[Tape]:
    """Run `network` once in eval mode and record what backward passes down to `layers` need.

    Activations are not copied. Where a module after a layer overwrites that layer's output in place, the
    network is run a second time on a copy of it.

    Inside the context the network stays in eval mode. Afterwards, also after an error, train/eval mode,
    `requires_grad`, hooks and `.grad` are as they were.

    Args:
        network: any module; `inputs` go to its device, and floating ones to its dtype.
        inputs: see `Inputs`.
        layers: name → submodule, each called once in a forward pass, or once for each frame.
        output: takes the logits out of what the network returns; needed where they are not the output
            itself, its `logits` entry or attribute, or the first item of a tuple.
        grid: of the tokens, where the network does not tell it itself.
        input: the one of several inputs that the layers lie over; by default the video.
        gradients: whether a graph is kept for `Tape.gradients`.

    Raises:
        UsageError: a layer is not called, called repeatedly for the same frames, or returns something that is
            not a map over the input; or the network is quantised.
        InputError: the logits are not `(B, num_classes)` or not finite.
    """
    check_readable(network, layers)
    output_layout = OutputLayout.of(network, inputs, grid, input)
    with torch.inference_mode(False), torch.set_grad_enabled(gradients), frozen(network):
        moved = to_network(inputs, network)
        result, records = _run(network, moved, layers, output_layout, copied=())
        if overwritten := [name for name, calls in records.items() if any(c.overwritten for c in calls)]:
            result, records = _run(network, moved, layers, output_layout, copied=overwritten)
        logits = find_logits(result, output)
        outputs = {name: [call.activation for call in records[name]] for name in layers}
        layouts = _find_layouts(network, moved, layers, records, output, input, logits)
        yield Tape(logits, outputs, layouts)


def _find_layouts(
    network: nn.Module,
    inputs: Inputs,
    layers: Mapping[str, nn.Module],
    records: Mapping[str, Sequence["_Record"]],
    output: Callable[[Any], Tensor] | None,
    input: InputName,
    logits: Tensor,
) -> dict[str, LayerLayout]:
    """Layer → how its outputs lie over the input.

    Raises:
        UsageError: those of a layer are no map, or its calls do not follow the frames.
    """

    def same_logits(result: Any) -> bool:
        try:
            row = find_logits(result, output)
        except Exception:  # of any kind, of a function of the caller's that expects a batch
            return True
        return row.shape[1:] == logits.shape[1:] and torch.allclose(
            row[:1].float(), logits[:1].float(), rtol=1e-2, atol=1e-2 * float(logits.detach().abs().max())
        )

    finder = LayoutFinder(
        network, lambda clips: outputs_of(network, clips, layers), inputs, input, same_logits
    )
    layouts = finder.find(
        {name: [call.activation for call in calls] for name, calls in records.items()},
        {name: calls[0].output_layout for name, calls in records.items()},
        layers,
    )
    found: dict[str, LayerLayout] = {}
    for name, layout in layouts.items():
        if layout is None:
            calls = records[name]
            if name in finder.mixed:
                raise UsageError(_mixed(name, len(logits)))
            raise UsageError(
                _not_a_map(name, calls[0].activation) if len(calls) == 1 else _ambiguous(name, len(calls))
            )
        found[name] = layout
    return found


def outputs_of(
    network: nn.Module, inputs: Inputs, modules: Mapping[str, nn.Module]
) -> tuple[dict[str, list[Tensor]], Any]:
    """Run the network without gradients: what each module returns, call by call, and the network's result."""
    outputs: dict[str, list[Tensor]] = {}

    def keeper(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, result: Any) -> None:
            if (output := first_tensor(result)) is not None:
                outputs.setdefault(name, []).append(output.clone())

        return hook

    with frozen(network), torch.no_grad(), contextlib.ExitStack() as stack:
        for name, module in modules.items():
            stack.callback(module.register_forward_hook(keeper(name)).remove)
        result = call(network, inputs)
    return outputs, result


class _Record(NamedTuple):
    activation: Tensor
    version: int | None
    output_layout: OutputLayout

    @property
    def overwritten(self) -> bool:
        """Whether a module behind the layer changed its output in place."""
        return self.version is not None and self.activation._version != self.version


def _run(
    network: nn.Module,
    inputs: Inputs,
    layers: Mapping[str, nn.Module],
    output_layout: OutputLayout,
    copied: Sequence[str],
) -> tuple[Any, dict[str, list[_Record]]]:
    """Run the network: what it returns, and each layer's activation, call by call.

    Modules after the layers `copied` get a copy of the activation, which they may overwrite.
    """
    records: dict[str, list[_Record]] = {}
    anchor = torch.zeros((), requires_grad=True)

    def recorder(name: str) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(module: nn.Module, args: Any, result: Any) -> Any:
            output = first_tensor(result)
            if output is None or is_attention(output):
                raise UsageError(_not_a_map(name, result))
            starts = torch.is_grad_enabled() and not output.requires_grad
            activation: Tensor = _Start.apply(output, anchor) if starts else output  # type: ignore[no-untyped-call]
            record = _Record(
                activation,
                None if output.is_inference() else activation._version,
                output_layout.with_grid_of(result),
            )
            records.setdefault(name, []).append(record)
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


def _mixed(name: str, batch: int) -> str:
    return (
        f"layer '{name}' returns something else for a sample alone than for the same one among {batch}, so "
        "that its samples cannot be distinguished from its frames; explain one clip at a time."
    )


def _ambiguous(name: str, calls: int) -> str:
    return (
        f"layer '{name}' is called more than once in a forward pass, so its activation is ambiguous: its "
        f"{calls} calls do not follow the frames of the clip; name a layer that is called once, such as the "
        "block around it."
    )


def _not_a_map(name: str, result: Any) -> str:
    sentence = f"layer '{name}' returns {describe(result)}, "
    if isinstance(result, Tensor) and result.dim() == 3:
        return (
            f"{sentence}and the network does not tell how these lie over its input; if they are tokens "
            "(B, N, C), give grid=(T, H, W), or glocal.TokenGrid((T, H, W), skipped=K) for K others before "
            "them; or name another layer."
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


def find_logits(result: Any, output: Callable[[Any], Tensor] | None = None) -> Tensor:
    """Find the logits `(B, num_classes)` in what a network returned.

    Args:
        result: the logits; a mapping or object with an entry `logits`; a mapping with one entry; or a tuple
            or list that starts with them.
        output: takes the logits out of any other result.

    Raises:
        InputError: there are none, or they are not finite.
        UsageError: `output` is no function.
    """
    logits = result
    if output is not None:
        if not callable(output):
            raise UsageError(f"output is {output!r}; give a function, such as lambda result: result['x'].")
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

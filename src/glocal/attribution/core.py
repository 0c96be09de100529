"""`attribute`: explain what a network says of clips by one of the methods."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, SupportsIndex

import torch
from torch import Tensor, nn

from glocal.attribution.aggregation import AGGREGATES, positive, upsampler
from glocal.attribution.aggregation import aggregate as combine
from glocal.attribution.frozen_network import frozen
from glocal.attribution.gradient_stops import gradient_stops_named
from glocal.attribution.inputs.axes import CANONICAL, check_layout, layout_of, rearrange, taking_canonical
from glocal.attribution.inputs.default_device import defaults_on_cpu
from glocal.attribution.inputs.network_inputs import Inputs, check_clips, map_size, to_network
from glocal.attribution.inputs.token_grid import Grid
from glocal.attribution.inputs.wrappers import unwrap
from glocal.attribution.layers import LayerNames
from glocal.attribution.locking import exclusive
from glocal.attribution.method import METHODS, InputMethod, LayerFormula, LayerMethod, Method, Upsample
from glocal.attribution.recording import recorded
from glocal.attribution.reduced_precision import gradient_scale
from glocal.attribution.request import AttributionRequest
from glocal.attribution.targets import Score, Target, class_scores, find_targets
from glocal.errors import InputError, UsageError


@dataclass(frozen=True, repr=False)
class Attribution:
    """Why a network gave a class its score, over the space and time of its input.

    Attributes:
        attention: the attribution map, float32 `(B, T, H, W)` in [0, 1], or `(B, H, W)` for images: `raw`
            divided by its maximum per sample, zero where there is no positive evidence.
        raw: the aggregate over the layers before that division.
        layers: layer name → that layer's map, same shape; empty for a method that looks at no layer.
        grids: layer name → `(h, w)` of the layer's own grid, from which its map is interpolated.
        logits: `(B, num_classes)`.
        target: `(B,)`, the class explained for each sample.
        lower_ranked: with `target="topK"`, the attributions of the second to the K-th class.
    """

    attention: Tensor
    raw: Tensor
    layers: dict[str, Tensor]
    logits: Tensor
    target: Tensor
    lower_ranked: tuple["Attribution", ...] = ()
    grids: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def per_class(self) -> tuple["Attribution", ...]:
        """One attribution a class, best class first; the first is this one."""
        return (self, *self.lower_ranked)

    def __repr__(self) -> str:
        shape, targets = tuple(self.attention.shape), [part.target.tolist() for part in self.per_class]
        return f"Attribution(attention={shape}, layers={list(self.layers)}, targets={targets})"


def attribute(
    network: nn.Module,
    clips: Inputs,
    layers: LayerNames | None = None,
    *,
    method: str = "3dcam",
    aggregate: str = "sum",
    target: Target = None,
    counterfactual: bool = False,
    options: Mapping[str, Any] | None = None,
    score: Score = "logit",
    output: Callable[[Any], Tensor] | None = None,
    size: tuple[int, ...] | None = None,
    grid: Grid | None = None,
    layout: str | None = None,
    input: int | str | None = None,
    progress: bool = False,
) -> Attribution:
    """Explain a network's score of a class on `clips`, from several layers at once (paper A, eq. 1 to 7).

    A layer method takes one forward pass for all layers and classes, and one partial backward pass for all
    layers of a class; what the others cost is in `METHODS[name].cost`. The network may be in train mode; it
    is left as it was. Calls from several threads on one network, or on networks that share modules, follow
    each other; see `glocal.attribution.exclusive` for forward passes of one's own beside them.

    Args:
        network: returns logits `(B, num_classes)`; see `output` for others.
        clips: `(B, C, T, H, W)`, or `(B, C, H, W)` for images; in another order of the axes if the network
            takes it so, see `layout`. A list is passed on as one argument, a tuple as several, a mapping as
            keyword arguments.
        layers: names or submodules; by default the output of every stage before pooling.
        method: a name in `glocal.METHODS`.
        aggregate: a name in `glocal.AGGREGATES`: how the layers' maps are combined, `"sum"`, `"mean"`,
            `"max"`, or `"auto"` to weigh them by their agreement; unused by a method that looks at no layer.
        target: class index, one index a sample, `"topK"`, or None for the arg-max class.
        counterfactual: negate the gradient (eq. 7): what speaks against the class.
        options: of the method, such as `{"samples": 500}`; see `METHODS[name].options`.
        score: what is differentiated, or measured: `"logit"`, `"centred"` (the logit less the mean of all),
            `"probability"` (softmax, or the sigmoid of a single logit), or a function from logits to scores
            of the same shape.
        output: takes the logits out of what the network returns.
        size: `(T, H, W)` or `(H, W)` of the attribution map; by default that of the input explained.
        grid: `(T, H, W)` of the tokens of a network that has some and does not tell how they lie over its
            input; a `TokenGrid` if they do not run through time, rows and columns in this order.
        layout: order of the axes of clips, `"BCTHW"`, `"BTCHW"` or `"BTHWC"`; by default it is told by where
            the number of channels stands that the network takes.
        input: position or keyword of the input that the map lies over, where there are several; by default
            the video: the clip or clips, or without one the image.
        progress: show a progress bar for a method of many passes, where stderr is a terminal.

    Raises:
        UsageError: an argument is not among what is allowed; the message lists what is.
        InputError: the network's output cannot be used.
    """
    (attribution,) = attribute_variants(
        network,
        clips,
        layers,
        [Variant(method, aggregate, counterfactual, options)],
        target=target,
        score=score,
        output=output,
        size=size,
        grid=grid,
        layout=layout,
        input=input,
        progress=progress,
    )
    return attribution


class Variant(NamedTuple):
    """One of several explanations of the same clips; its fields are arguments of `attribute`."""

    method: str
    aggregate: str = "sum"
    counterfactual: bool = False
    options: Mapping[str, Any] | None = None


@defaults_on_cpu()
def attribute_variants(
    network: nn.Module,
    clips: Inputs,
    layers: LayerNames | None,
    variants: Sequence[Variant],
    *,
    target: Target = None,
    score: Score = "logit",
    output: Callable[[Any], Tensor] | None = None,
    size: tuple[int, ...] | None = None,
    grid: Grid | None = None,
    layout: str | None = None,
    input: int | str | None = None,
    progress: bool = False,
) -> list[Attribution]:
    """Explain clips by several layer methods, from the same passes through the network, or by one method.

    Args:
        network: this and what follows as for `attribute`.
        clips: as for `attribute`.
        layers: as for `attribute`.
        variants: all of layer methods, or one of another kind. The first explains all classes of the target,
            the others the best of them.
        target: as for `attribute`.
        score: as for `attribute`.
        output: as for `attribute`.
        size: as for `attribute`.
        grid: as for `attribute`.
        layout: as for `attribute`.
        input: as for `attribute`.
        progress: as for `attribute`.

    Returns:
        One attribution for each variant.

    Raises:
        UsageError: an argument is not among what is allowed; the message lists what is.
        InputError: the network's output cannot be used.
    """
    methods = [METHODS[variant.method] for variant in variants]
    options = [m.resolve_options(variant.options) for m, variant in zip(methods, variants, strict=True)]
    AGGREGATES.check(*(variant.aggregate for variant in variants))
    network = unwrap(network)
    check_clips(network, clips, input)
    layout = layout_of(network, clips) if layout is None else check_layout(layout)
    clips = rearrange(clips, layout, CANONICAL)
    first = variants[0]
    request = AttributionRequest(
        network, clips, first.method, layers, first.counterfactual, score, output, grid, progress, input
    )
    upsample = upsampler(_map_size(size, map_size(clips, input)), request.frame_positions)
    with exclusive(network), taking_canonical(network, layout), gradient_stops_named(network, clips):
        if isinstance(methods[0], InputMethod):
            explained = [_run_input_method(methods[0], request, target, options[0], upsample)]
        else:
            formulas = list(map(_SignedFormula.of, methods, variants, options))
            explained = _run_layer_methods(formulas, request, target, upsample)
    attributions = []
    for per_class, variant in zip(explained, variants, strict=True):
        best, *lower_ranked = (_attribution(one_class, variant.aggregate) for one_class in per_class)
        attributions.append(replace(best, lower_ranked=tuple(lower_ranked)))
    return attributions


def _map_size(size: tuple[int, ...] | None, of_clips: tuple[int, ...]) -> tuple[int, ...]:
    """The size of a map: as the caller says, else that of the clips.

    Raises:
        UsageError: it has another number of axes than the clips, or no whole numbers above 0.
    """
    if size is None:
        return of_clips
    sides = tuple(size) if isinstance(size, Sequence) else (size,)
    if len(sides) != len(of_clips) or not all(isinstance(side, SupportsIndex) and side > 0 for side in sides):
        axes = "(T, H, W)" if len(of_clips) == 3 else "(H, W)"
        raise UsageError(f"size is {size}; give {axes} in whole numbers above 0, such as {of_clips}.")
    return sides


class _Explained(NamedTuple):
    """What a method returned for one class of each sample, at the size of the clip."""

    maps: Tensor | dict[str, Tensor]
    logits: Tensor
    targets: Tensor
    grids: dict[str, tuple[int, int]]


class _SignedFormula(NamedTuple):
    """The formula of a layer method, and the sign of the gradients that it gets."""

    formula: LayerFormula
    sign: int

    @classmethod
    def of(cls, method: Method, variant: Variant, options: dict[str, Any]) -> "_SignedFormula":
        assert isinstance(method, LayerMethod), "other methods come alone"
        return cls(partial(method.formula, **options), -1 if variant.counterfactual else 1)


def _run_layer_methods(
    formulas: Sequence[_SignedFormula], request: AttributionRequest, target: Target, upsample: Upsample
) -> list[list[_Explained]]:
    """One forward pass, one backward pass a class, and the formulas on every layer: formula → class."""
    explained: list[list[_Explained]] = [[] for _ in formulas]
    scale = gradient_scale(request.network, request.clips)
    with recorded(request) as tape:
        logits = tape.logits.detach()
        _check_rows(logits, request)
        scores = class_scores(tape.logits.float(), request.score_type)
        activations = {name: _float(a.detach()) for name, a in tape.activations.items()}
        columns = find_targets(tape.logits, target).unbind(1)
        for targets in columns:
            total = scores.gather(1, targets[:, None]).sum() * scale
            gradients = tape.gradients(total, keep=targets is not columns[-1])
            wanted = formulas if targets is columns[0] else formulas[:1]
            for (formula, sign), per_class in zip(wanted, explained, strict=False):
                with torch.no_grad(), _without_autocast(logits):
                    maps = {
                        name: formula(
                            activation, _scaled(_float(gradients[name]), sign / scale), upsample
                        ).float()
                        for name, activation in activations.items()
                    }
                per_class.append(_Explained(maps, logits, targets, _grids(activations)))
    return explained


def _run_input_method(
    method: InputMethod,
    request: AttributionRequest,
    target: Target,
    options: dict[str, Any],
    upsample: Upsample,
) -> list[_Explained]:
    """One forward pass for the logits, and the method once for every class."""
    per_class: list[_Explained] = []
    with torch.inference_mode(False), torch.enable_grad(), frozen(request.network):
        request.clips = to_network(request.clips, request.network)
        with torch.no_grad():
            logits = request.logits_of(request.clips)
        _check_rows(logits, request)
        for targets in find_targets(logits, target).unbind(1):
            result = method.explain(request.with_targets(targets, logits), **options)
            with torch.no_grad(), _without_autocast(logits):
                maps = (
                    _full_size(result, upsample)
                    if isinstance(result, Tensor)
                    else {name: _full_size(positive(x), upsample) for name, x in result.items()}
                )
            grids = {} if isinstance(result, Tensor) else _grids(result)
            per_class.append(_Explained(maps, logits, targets, grids))
    return per_class


def _grids(maps: Mapping[str, Tensor]) -> dict[str, tuple[int, int]]:
    """Rows and columns of each layer's tensor."""
    return {name: (tensor.shape[-2], tensor.shape[-1]) for name, tensor in maps.items()}


def _check_rows(logits: Tensor, request: AttributionRequest) -> None:
    """Refuse logits that do not have one row a sample."""
    batch = len(request.videos[0])
    if len(logits) != batch:
        raise InputError(
            f"the network returns logits {tuple(logits.shape)} for {batch} samples, where "
            "(B, num_classes) are needed; combine the rows of a sample by output=, such as "
            f"output=lambda logits: logits.unflatten(0, ({batch}, -1)).mean(1)."
        )


def _attribution(explained: _Explained, aggregate: str) -> Attribution:
    """Combine the layers' maps of one class and normalise them."""
    layer_maps = {} if isinstance(explained.maps, Tensor) else explained.maps
    raw = explained.maps if isinstance(explained.maps, Tensor) else combine([*layer_maps.values()], aggregate)
    if not raw.isfinite().all():
        raise InputError("the attribution is not finite (NaN or infinity); run the network in float32.")
    return Attribution(
        positive(raw), raw, layer_maps, explained.logits, explained.targets, grids=explained.grids
    )


def _full_size(maps: Tensor, upsample: Upsample) -> Tensor:
    return upsample(_float(maps.detach()).clamp(min=0)).float()


def _without_autocast(like: Tensor) -> AbstractContextManager[Any]:
    return torch.autocast(like.device.type, enabled=False)


def _scaled(gradient: Tensor, factor: float) -> Tensor:
    """`factor · gradient`; the gradient itself where that is the same, as it may be large."""
    return gradient if factor == 1 else factor * gradient


def _float(x: Tensor) -> Tensor:
    """Half precision as float32; float64 as it is."""
    return x if x.dtype == torch.float64 else x.float()

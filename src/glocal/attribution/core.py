"""`attribute`: the methods driven over the layers of a network."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glocal.attribution.aggregation import AGGREGATES, positive, upsampler
from glocal.attribution.aggregation import aggregate as combine
from glocal.attribution.inputs.axes import CANONICAL, check_layout, layout_of, rearrange, taking_canonical
from glocal.attribution.inputs.network_inputs import Inputs, call, describe, frame_times, tensors, to_network
from glocal.attribution.inputs.token_grid import Grid
from glocal.attribution.inputs.wrappers import unwrap
from glocal.attribution.layers import LayerNames, find_layers
from glocal.attribution.method import METHODS, InputMethod, LayerMethod, Upsample
from glocal.attribution.request import Call, Question, is_map
from glocal.attribution.tape import find_logits, frozen, record
from glocal.attribution.targets import Target, class_scores, target_classes
from glocal.errors import InputError, UsageError


@dataclass(frozen=True)
class Attribution:
    """Why a network gave a class its score, over the space and time of its input.

    Attributes:
        attention: float32 `(B, T, H, W)` in [0, 1], or `(B, H, W)` for images: `raw` divided by its
            maximum per sample, zero where there is no positive evidence.
        raw: the aggregate over the layers before that division.
        layers: layer name → that layer's map, same shape; empty for a method that looks at no layer.
        logits: `(B, classes)`.
        target: `(B,)`, the class explained for each sample.
        others: with `target="topK"`, the explanations of the second to the K-th class.
    """

    attention: Tensor
    raw: Tensor
    layers: dict[str, Tensor]
    logits: Tensor
    target: Tensor
    others: tuple["Attribution", ...] = ()

    @property
    def classes(self) -> tuple["Attribution", ...]:
        """One explanation a class, best class first; the first is this one."""
        return (self, *self.others)


def attribute(
    network: nn.Module,
    clips: Inputs,
    layers: LayerNames | None = None,
    method: str = "3dcam",
    aggregate: str = "sum",
    target: Target = None,
    counterfactual: bool = False,
    *,
    options: Mapping[str, Any] | None = None,
    score: str = "logit",
    output: Callable[[Any], Tensor] | None = None,
    size: tuple[int, ...] | None = None,
    grid: Grid | None = None,
    layout: str | None = None,
    progress: bool = False,
) -> Attribution:
    """Attention of `network` on `clips`, from several layers at once (paper A, eq. 1 to 7).

    With a layer method, one forward pass serves all layers and classes, one partial backward pass all
    layers of a class; what the others cost is in `METHODS[name].cost`. The network may be in train mode; it
    comes back as it was.

    Args:
        network: returns logits `(B, classes)`; see `output` for others.
        clips: `(B, C, T, H, W)`, or `(B, C, H, W)` for images; in another order of the axes if the network
            takes it so, see `layout`. A list is passed on as one argument, a tuple as several, a mapping as
            keyword arguments.
        layers: names or submodules; by default the output of every stage before pooling.
        method: a name in `glocal.attribution.METHODS`.
        aggregate: how the layers' maps are combined: `"sum"`, `"mean"`, `"max"` or `"auto"`, see
            `glocal.attribution.aggregation`; nothing to a method that looks at no layer.
        target: class index, one index a sample, `"topK"`, or None for the arg-max class.
        counterfactual: negate the gradient (eq. 7): what speaks against the class.
        options: the method's own, such as `{"samples": 500}`; see `METHODS[name].options`.
        score: what is differentiated, or measured: `"logit"` or `"probability"`.
        output: takes the logits out of what the network returns.
        size: `(T, H, W)` or `(H, W)` of the attention; by default that of the largest input.
        grid: `(T, H, W)` of the tokens of a network that has some and does not tell how they lie over its
            input; a `TokenGrid` if they do not run through time, rows and columns in this order.
        layout: order of the axes of clips, `"BCTHW"`, `"BTCHW"` or `"BTHWC"`; by default it is told by where
            the number of channels stands that the network takes.
        progress: show a progress bar for a method of many passes, where stderr is a terminal.

    Raises:
        UsageError: an argument is not among what is allowed; the message lists what is.
        InputError: the network's output cannot be used.
    """
    chosen = METHODS[method]
    settings = chosen.settings(options)
    AGGREGATES.check(aggregate)
    network = unwrap(network)
    layout = layout_of(network, clips) if layout is None else check_layout(layout)
    clips = rearrange(clips, layout, CANONICAL)
    upsample = upsampler(size or _size(clips), frame_times(clips))
    question = Question(network, clips, layers, target, counterfactual, score, output, grid)
    with taking_canonical(network, layout):
        if isinstance(chosen, LayerMethod):
            answers = _from_layers(chosen, question, upsample)
        else:
            assert isinstance(chosen, InputMethod)
            answers = _from_input(chosen, question, upsample, settings, progress)

    results: list[Attribution] = []
    for maps, logits, classes in answers:
        raw = maps if isinstance(maps, Tensor) else combine(list(maps.values()), aggregate)
        if not raw.isfinite().all():
            raise InputError("the attention is not finite (NaN or infinity); run the network in float32.")
        layer_maps = {} if isinstance(maps, Tensor) else maps
        results.append(Attribution(positive(raw), raw, layer_maps, logits, classes))
    first, *others = results
    return Attribution(first.attention, first.raw, first.layers, first.logits, first.target, tuple(others))


Answer = tuple[Tensor | dict[str, Tensor], Tensor, Tensor]
"""Of one class: a map or one for each layer, at the size of the clip; the logits; the classes `(B,)`."""


def _from_layers(method: LayerMethod, question: Question, upsample: Upsample) -> list[Answer]:
    q = question
    answers: list[Answer] = []
    sign = -1 if q.counterfactual else 1
    layers = find_layers(q.network, q.layers, q.clips, q.grid)
    with record(q.network, q.clips, layers, q.output, q.grid) as tape:
        logits = tape.logits.detach()
        scores = class_scores(tape.logits.float(), q.score)
        columns = target_classes(tape.logits, q.target).unbind(1)
        activations = {name: _float(a.detach()) for name, a in tape.activations.items()}
        for classes in columns:
            picked = scores.gather(1, classes[:, None]).sum()
            gradients = tape.gradients(picked, keep=classes is not columns[-1])
            with torch.no_grad(), _full_precision(logits):
                maps = {
                    name: method.formula(a, sign * _float(gradients[name]), upsample).float()
                    for name, a in activations.items()
                }
            answers.append((maps, logits, classes))
    return answers


def _from_input(
    method: InputMethod, question: Question, upsample: Upsample, settings: dict[str, Any], progress: bool
) -> list[Answer]:
    def full_size(found: Tensor) -> Tensor:
        return upsample(_float(found.detach()).clamp(min=0)).float()

    q = question
    answers: list[Answer] = []
    with torch.inference_mode(False), torch.enable_grad(), frozen(q.network):
        clips = to_network(q.clips, q.network)
        with torch.no_grad():
            logits = find_logits(call(q.network, clips), q.output)
        for classes in target_classes(logits, q.target).unbind(1):
            asked = Call(q, clips, classes, logits, settings, method.name, progress)
            found = method.explain(asked, **settings)
            with torch.no_grad(), _full_precision(logits):
                if isinstance(found, Tensor):
                    answers.append((full_size(found), logits, classes))
                else:
                    maps = {name: full_size(positive(x)) for name, x in found.items()}
                    answers.append((maps, logits, classes))
    return answers


def _full_precision(like: Tensor) -> AbstractContextManager[Any]:
    return torch.autocast(like.device.type, enabled=False)


def _float(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _size(clips: Inputs) -> tuple[int, ...]:
    shapes = [tuple(t.shape) for t in tensors(clips) if isinstance(t, Tensor) and is_map(t)]
    if not shapes:
        raise UsageError(f"clips is {describe(clips)}; give (B, C, T, H, W), or (B, C, H, W) for images.")
    return max(shape[2:] for shape in shapes)

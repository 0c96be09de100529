"""Excitation backprop: marginal winning probabilities, passed down from the class (Zhang et al., IJCV 2018).

The network runs once with the derivative of every function above the lowest explained layer replaced by a
rule, so that an ordinary backward pass carries probabilities instead of gradients.
"""

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from glocal.attribution.method import input_method
from glocal.attribution.methods.excitation_rules import IN_PLACE, LINEAR, RULES, average, relu, routed, scaled
from glocal.attribution.request import AttributionRequest
from glocal.errors import UsageError

NEEDS = "layers, in a network of ReLUs"


@input_method(
    "excitation-backprop",
    title="Excitation backprop (MWP)",
    paper="Zhang et al., IJCV 2018, section 3.2",
    cost="3 to 4 forward, 1 to 2 partial backward",
    needs=NEEDS,
)
def excitation_backprop(request: AttributionRequest) -> dict[str, Tensor]:
    """The marginal winning probability of the class at each layer, summed over the channels."""
    return _winning_probabilities(request, contrastive=False)


@input_method(
    "c-mwp",
    title="Contrastive excitation backprop (c-MWP)",
    paper="Zhang et al., IJCV 2018, section 3.3",
    cost="4 to 6 forward, 2 to 4 partial backward",
    needs=NEEDS,
)
def contrastive(request: AttributionRequest) -> dict[str, Tensor]:
    """The winning probability of the class less that of its opposite: the same weights, negated on top."""
    return _winning_probabilities(request, contrastive=True)


def _winning_probabilities(request: AttributionRequest, contrastive: bool) -> dict[str, Tensor]:
    """Layer → winning probability `(B, T, H, W)`, or its contrast.

    Below the logit every message is linear in the one above it, so that the contrast can be computed at the
    layers themselves. A message of -1 stands for the opposite of the class, see `ExcitationRule`.
    """
    with contextlib.ExitStack() as stack:
        with ExcitationMode(request.method):
            tape = stack.enter_context(request.record())
        logit = tape.logits.gather(1, request.targets[:, None]).sum()
        logit = -logit if request.counterfactual else logit
        maps = {n: p.abs().sum(1) for n, p in tape.gradients(logit, keep=contrastive).items()}
        if contrastive:
            opposite = tape.gradients(-logit)
            maps = {name: p - opposite[name].abs().sum(1) for name, p in maps.items()}
    return maps


class ExcitationMode(TorchFunctionMode):
    """Inside, functions of the explained layers have the derivatives of `RULES`.

    In-place functions return a new tensor instead; a network that keeps using their argument is refused. An
    average over the results of a linear function, such as the scores of several moments, counts as part of
    that function: each message passes unchanged.

    Raises:
        UsageError: a function without a rule.
    """

    def __init__(self, method: str) -> None:
        super().__init__()
        self._method = method
        self._overwritten = _TensorSet()
        self._linear = _TensorSet()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not any(isinstance(x, Tensor) and x.requires_grad for x in _flat(args)):
            return func(*args, **kwargs)
        rule = RULES.get(func)
        if rule is scaled and any(isinstance(factor, Tensor) for factor in args[1:]):
            rule = None
        if self._overwritten.any_of(args):
            raise self._refusal("a tensor after it was changed in place")
        if func in IN_PLACE or (rule is relu and kwargs.get("inplace")):
            self._overwritten.add(args[0])
        still_linear = rule in (average, routed, scaled) and self._linear.any_of(args)
        if rule is average and still_linear:
            rule = routed
        result = rule(func, *args, **kwargs) if rule else func(*args, **kwargs)
        if rule is None and any(isinstance(x, Tensor) and x.requires_grad for x in _flat([result])):
            raise self._refusal(f"'{getattr(func, '__name__', func)}'")
        if still_linear or rule in LINEAR:
            self._linear.add(result)
        return result

    def _refusal(self, what: str) -> UsageError:
        return UsageError(
            f"method '{self._method}' has no rule for {what}, which the network uses above the lowest layer "
            "asked for; name layers above it, or choose another method."
        )


class _TensorSet:
    """A set of tensors, by identity, that does not keep them alive."""

    def __init__(self) -> None:
        self._known: dict[int, weakref.ref[Tensor]] = {}

    def add(self, values: Any) -> None:
        self._known.update((id(x), weakref.ref(x)) for x in _flat([values]) if isinstance(x, Tensor))

    def any_of(self, values: Any) -> bool:
        return any((known := self._known.get(id(x))) and known() is x for x in _flat(values))


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value

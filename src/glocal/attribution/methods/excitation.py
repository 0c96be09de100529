"""Excitation backprop: the probability to win that a layer hands to the one below (Zhang et al., IJCV 2018).

The network runs once with every function that lies above the lowest layer asked for replaced by itself with
another derivative, so that an ordinary backward pass carries probabilities where it carried gradients.
"""

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from glocal.attribution.method import input_method
from glocal.attribution.methods.excitation_rules import IN_PLACE, LINEAR, RULES, average, relu, routed, scaled
from glocal.attribution.request import Call
from glocal.errors import UsageError

NEEDS = "layers, in a network of ReLUs"


@input_method(
    "excitation-backprop",
    title="Excitation backprop (MWP)",
    paper="Zhang et al., IJCV 2018, section 3.2",
    cost="3 to 4 forward, 1 to 2 partial backward",
    needs=NEEDS,
)
def excitation_backprop(call: Call) -> dict[str, Tensor]:
    """The marginal winning probability of the class at each layer, summed over the channels."""
    return _winning(call, contrastive=False)


@input_method(
    "c-mwp",
    title="Contrastive excitation backprop (c-MWP)",
    paper="Zhang et al., IJCV 2018, section 3.3",
    cost="4 to 6 forward, 2 to 4 partial backward",
    needs=NEEDS,
)
def contrastive(call: Call) -> dict[str, Tensor]:
    """The winning probability of the class less that of its opposite: the same weights, negated on top."""
    return _winning(call, contrastive=True)


def _winning(call: Call, contrastive: bool) -> dict[str, Tensor]:
    """Layer → winning probability `(B, T, H, W)`, or its contrast.

    From the logit on down every message is linear in the one above, so that the contrast may be taken at the
    layers themselves. A message of -1 asks for the opposite of the class, see `winning.Excited`.
    """
    with contextlib.ExitStack() as stack:
        with Rules(call.name):
            tape = stack.enter_context(call.record())
        logit = tape.logits.gather(1, call.classes[:, None]).sum()
        logit = -logit if call.question.counterfactual else logit
        found = {n: p.abs().sum(1) for n, p in tape.gradients(logit, keep=contrastive).items()}
        if contrastive:
            opposite = tape.gradients(-logit)
            found = {name: p - opposite[name].abs().sum(1) for name, p in found.items()}
    return found


class Rules(TorchFunctionMode):
    """Inside, what depends on the layers asked for is computed with the derivatives of `RULES`.

    Functions that work in place return a result of their own instead; a network that goes on with their
    argument is refused. An average over what a linear function returns, such as the scores of several
    moments, is a part of that function: it passes on each message as it is.

    Raises:
        UsageError: a function without a rule.
    """

    def __init__(self, method: str) -> None:
        super().__init__()
        self._method = method
        self._overwritten = _Tensors()
        self._linear = _Tensors()

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


class _Tensors:
    """Tensors by identity, without keeping them alive."""

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

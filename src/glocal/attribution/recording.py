"""Record a forward pass in the precision and the layout that suit the network and its device."""

import contextlib
from collections.abc import Iterator

from glocal.attribution.inputs.network_inputs import map_tensors
from glocal.attribution.reduced_precision import pays_channels_last, recorded_precisely
from glocal.attribution.request import AttributionRequest
from glocal.attribution.tape import Tape
from glocal.utils.resources import raise_if_lacking


@contextlib.contextmanager
def recorded(request: AttributionRequest) -> Iterator[Tape]:
    """A context with the `Tape` of one forward pass, see `AttributionRequest.record`.

    A network that cannot take channels last, as one that calls `view` on what its convolutions return, is
    run with the layout of its inputs.
    """
    with contextlib.ExitStack() as stack:
        if pays_channels_last(request.network, request.clips):
            try:
                tape = _record(request, stack, is_channels_last=True)
            except RuntimeError as problem:
                raise_if_lacking(problem)
                tape = _record(request, stack, is_channels_last=False)
        else:
            tape = _record(request, stack, is_channels_last=False)
        yield tape


def _record(request: AttributionRequest, stack: contextlib.ExitStack, *, is_channels_last: bool) -> Tape:
    """Enter the contexts of a recording, which `stack` leaves; or leave them at once after an error."""
    with contextlib.ExitStack() as entered:
        lay_out = entered.enter_context(
            recorded_precisely(request.network, request.clips, is_channels_last=is_channels_last)
        )
        tape = entered.enter_context(request.record(map_tensors(request.clips, lay_out)))
        stack.push(entered.pop_all())
    return tape

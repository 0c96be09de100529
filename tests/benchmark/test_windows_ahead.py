"""Windows of the next samples are decoded in a thread beside the network."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

import pytest

from glocal.benchmark.sample_measurer import PreparedWindow, SampleMeasurer
from glocal.benchmark.samples import Sample
from glocal.benchmark.windows_ahead import windows_ahead, windows_of_sample
from glocal.errors import InputError


class Decoder:
    """Yields the name and number of each window in place of the window; `broken` ends after one."""

    def __init__(self) -> None:
        self.threads: set[threading.Thread] = set()
        self.decoded: list[str] = []

    def prepared(self, sample: Sample) -> Iterator[PreparedWindow]:
        for number in range(3):
            self.threads.add(threading.current_thread())
            if sample.name == "broken" and number:
                raise InputError("broken cannot be read")
            self.decoded.append(f"{sample.name} {number}")
            yield cast(PreparedWindow, self.decoded[-1])


def samples(*names: str) -> list[Sample]:
    return [Sample(name, cast(Any, None)) for name in names]


def ahead(decoder: Decoder, items: list[Sample]) -> Any:
    return closing(windows_ahead(cast(SampleMeasurer, decoder), items))


def test_each_sample_gets_its_windows_from_another_thread() -> None:
    decoder, items = Decoder(), samples("first", "broken", "last")
    with ahead(decoder, items) as windows:
        assert list(windows_of_sample(items[0], windows)) == ["first 0", "first 1", "first 2"]
        with pytest.raises(InputError, match="broken cannot be read"):
            list(windows_of_sample(items[1], windows))
        assert list(windows_of_sample(items[2], windows)) == ["last 0", "last 1", "last 2"]
    assert len(decoder.threads) == 1
    assert threading.current_thread() not in decoder.threads


def test_windows_that_a_sample_left_are_passed_over() -> None:
    items = samples("first", "last")
    with ahead(Decoder(), items) as windows:
        assert next(windows_of_sample(items[0], windows)) == "first 0"
        assert list(windows_of_sample(items[1], windows)) == ["last 0", "last 1", "last 2"]


def test_decoding_stops_with_its_caller() -> None:
    decoder, items = Decoder(), samples(*map(str, range(100)))
    with ahead(decoder, items) as windows:
        next(windows_of_sample(items[0], windows))
    assert len(decoder.decoded) < 10
    assert not any(thread.is_alive() for thread in decoder.threads)

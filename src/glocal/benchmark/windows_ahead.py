"""Windows of several samples that are decoded in a thread, while the network works on those before."""

from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple, cast

from glocal.benchmark.sample_measurer import PreparedWindow, SampleMeasurer
from glocal.benchmark.samples import Sample
from glocal.errors import InputError
from glocal.video.threads import read_ahead

AHEAD = 2
"""Windows that are decoded and wait for the network."""


class SampleWindow(NamedTuple):
    """A window of a sample, or how the sample ends.

    Attributes:
        sample: of which it is a window.
        window: None after the last one.
        problem: why the sample cannot be read any further.
    """

    sample: Sample
    window: PreparedWindow | None
    problem: InputError | None = None


def windows_ahead(measurer: SampleMeasurer, samples: Iterable[Sample]) -> Generator[SampleWindow]:
    """Decode the windows of samples one after another, in a thread that ends when the result is closed."""
    return cast(Generator[SampleWindow], read_ahead(_windows(measurer, samples), AHEAD))


def _windows(measurer: SampleMeasurer, samples: Iterable[Sample]) -> Iterator[SampleWindow]:
    for sample in samples:
        problem: InputError | None = None
        try:
            for window in measurer.prepared(sample):
                yield SampleWindow(sample, window)
        except InputError as error:
            problem = error
        yield SampleWindow(sample, None, problem)


def windows_of_sample(sample: Sample, windows: Iterator[SampleWindow]) -> Iterator[PreparedWindow]:
    """Yield the windows of one sample; those that earlier samples left are passed over.

    Raises:
        InputError: the sample cannot be read.
    """
    for item in windows:
        if item.sample is not sample:
            continue
        if item.problem is not None:
            raise item.problem
        if item.window is None:
            return
        yield item.window

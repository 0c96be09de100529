"""Load the model and go through the videos, as several commands do."""

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glocal.cli.app import escaped, say, unexpected
from glocal.errors import GlocalError, UsageError
from glocal.utils.files import printable, result_key
from glocal.utils.interrupts import raise_received, stop_signal
from glocal.utils.registrations import registered_names

if TYPE_CHECKING:
    from glocal.cli.options import ModelChoice
    from glocal.models import Model
    from glocal.models.source import ModelSource

IMAGE_MODEL = "efficientnet-lite0"
"""Model of videos that is used if neither a model nor weights nor labels are named."""

PACKAGED_MODEL = "puppets/gated"
"""Model that is used instead if the weights of `IMAGE_MODEL` are not installed, and for data sets."""

OVERLAY_SUFFIXES = (".mp4", ".png")
"""Of the overlay of a video, and of an image."""

DEFAULT_NETWORK = "resnext3d-101"
"""Network that is used if weights or labels are named, but no model."""


def load(choice: "ModelChoice", quiet: bool = False, *, data: str | None = None) -> "Model":
    """Load the model that the options name; random weights are drawn from a fixed seed and announced.

    Args:
        choice: the options; a default model is announced with what it knows.
        quiet: print nothing on stdout.
        data: name of the data set that the model is run on; None for videos.
    """
    source = source_of(choice, data)
    model = source.load()
    if choice.name is None and not (choice.weights or choice.labels):
        tell(quiet, _describe_default(model, data))
    if model.weights == "random":
        say(
            f"{source.name} has random weights, so what it attends to means nothing; --weights loads "
            "trained ones."
        )
    return model


def _describe_default(model: "Model", data: str | None) -> str:
    """Say which model is used where none is named, what it knows, and which others there are."""
    sentence = (
        f"without --model it is {model.name}, which knows {model.classes}; "
        "for 400 actions of real people: --model slow-50 --weights kinetics400, downloaded once"
    )
    if model.name == IMAGE_MODEL or data is not None:
        return sentence
    return f"{sentence}; for 1000 kinds of things in real videos: pip install 'glocal[imagenet]'"


def model_name(name: str | None, weights: str | None, labels: str | None, data: str | None = None) -> str:
    """Return the name of the model: the given one, or the default that fits weights, labels and data."""
    if name or weights or labels:
        return name or DEFAULT_NETWORK
    from glocal.models.registry import networks_with_installed_weights

    has_weights = data is None and IMAGE_MODEL in networks_with_installed_weights()
    return IMAGE_MODEL if has_weights else PACKAGED_MODEL


def source_of(choice: "ModelChoice", data: str | None = None) -> "ModelSource":
    """Return how the model that the options name is loaded, by default that for a data set or for videos."""
    from glocal.models.source import ModelSource

    return ModelSource(
        model_name(choice.name, choice.weights, choice.labels, data),
        choice.weights,
        choice.labels,
        outputs=choice.outputs,
        clip=choice.clip,
        device=device_name(choice.device),
    )


def device_name(device: str | None) -> str:
    """Return the device: the given one, or the graphics card if available."""
    import torch

    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def for_each(videos: Sequence[str], run: Callable[[str], None], debug: bool) -> int:
    """Call `run` for every video; one that fails is reported and skipped. Returns the exit code."""
    failed = 0
    for video in videos:
        try:
            run(video)
            raise_received()
        except (UsageError, BrokenPipeError):  # the reader of the output has gone
            raise
        except Exception as error:
            if debug or stop_signal(error):
                raise
            failed += 1
            sentence = str(error) if isinstance(error, GlocalError) else unexpected(error)
            say(f"{printable(video)}: {sentence}" if Path(video).name not in sentence else sentence)
    if failed and len(videos) > 1:
        say(f"{failed} of {len(videos)} videos failed; the others are done.")
    return 1 if failed else 0


def output_stems(
    videos: Sequence[str],
    out: Path,
    suffixes: Collection[str] = OVERLAY_SUFFIXES,
    *,
    inputs: Iterable[str] = (),
) -> dict[str, str]:
    """Map each video to the stem of its files in `out`: its name without suffix, numbered if not unique.

    Args:
        videos: paths.
        out: folder of the results.
        suffixes: of the results.
        inputs: further files that are read.

    Raises:
        UsageError: a result would overwrite a file that is read.
    """
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for video in dict.fromkeys(videos):
        base = Path(os.path.abspath(video)).stem
        stem = next(
            s
            for i in range(1, len(videos) + 2)
            if result_key(s := base if i == 1 else f"{base}-{i}") not in taken
        )
        taken.add(result_key(stem))
        stems[video] = stem
    refuse_overwriting(stems, out, suffixes, inputs=inputs)
    return stems


def refuse_overwriting(
    stems: Mapping[str, str], out: Path, suffixes: Collection[str], *, inputs: Iterable[str] = ()
) -> None:
    """Raise UsageError if the result of a video, of any class, would overwrite a file that is read.

    Args:
        stems: path of each video → stem of its results in `out`.
        out: folder of the results.
        suffixes: of the results.
        inputs: further files that are read.
    """
    places = map(os.path.split, (out / stem for stem in stems.values()))
    results = {os.path.join(os.path.realpath(folder), name) for folder, name in places}
    for path in (*stems, *inputs):
        place = os.path.realpath(path)
        for suffix in suffixes:
            stem = place.removesuffix(suffix)
            if stem != place and not results.isdisjoint((stem, re.sub(r"-top\d+$", "", stem))):
                raise UsageError(f"a result would overwrite {printable(path)}; choose another --out.")


def refinement_names() -> list[str]:
    """Return the names of all refinements."""
    path, group = "localization/refinements.py", "glocal.refinements"
    names = registered_names(path, "REFINEMENTS.register", group=group)
    if names is None:
        from glocal.localization import REFINEMENTS

        return list(REFINEMENTS)
    return names


def tell(quiet: bool, line: str) -> None:
    """Print a line on stdout, with escapes in place of control characters, unless `quiet`."""
    if not quiet:
        click.echo(escaped(line))

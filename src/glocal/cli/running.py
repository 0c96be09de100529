"""Load the model and go through the videos, as several commands do."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glocal.cli.app import escaped, say, unexpected
from glocal.errors import GlocalError, UsageError
from glocal.utils.files import printable

if TYPE_CHECKING:
    from glocal.models import Model

PACKAGED_MODEL = "puppets/gated"
"""Model that is used if neither a model nor weights nor labels are named."""

DEFAULT_NETWORK = "resnext3d-101"
"""Network that is used if weights or labels are named, but no model."""


def load(
    name: str | None, weights: str | None, labels: str | None, device: str | None, quiet: bool = False
) -> "Model":
    """Load the model that the options name; random weights are drawn from a fixed seed and announced."""
    if name is None and model_name(name, weights, labels) == PACKAGED_MODEL:
        tell(
            quiet,
            f"without --model it is {PACKAGED_MODEL}, which knows 20 actions of drawn figures; "
            "for 400 of real people: --model slow-50 --weights kinetics400, downloaded once",
        )
    from glocal.models import load_model

    name = model_name(name, weights, labels)
    model = load_model(name, weights, labels=labels, device=device_name(device))
    if model.weights == "random":
        say(f"{name} has random weights, so what it attends to means nothing; --weights loads trained ones.")
    return model


def model_name(name: str | None, weights: str | None, labels: str | None) -> str:
    """Return the name of the model: the given one, or the default that fits the weights and labels."""
    return name or (DEFAULT_NETWORK if weights or labels else PACKAGED_MODEL)


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
        except UsageError:
            raise
        except Exception as error:
            if debug:
                raise
            failed += 1
            sentence = str(error) if isinstance(error, GlocalError) else unexpected(error)
            say(f"{printable(video)}: {sentence}" if Path(video).name not in sentence else sentence)
    if failed and len(videos) > 1:
        say(f"{failed} of {len(videos)} videos failed; the others are done.")
    return 1 if failed else 0


def output_stems(videos: Sequence[str], out: Path) -> dict[str, str]:
    """Map each video to the stem of its files in `out`: its name without suffix, numbered if not unique.

    Raises:
        UsageError: a result would overwrite one of the videos.
    """
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for video in dict.fromkeys(videos):
        base = Path(os.path.abspath(video)).stem
        stem = next(
            s for i in range(1, len(videos) + 2) if (s := base if i == 1 else f"{base}-{i}") not in taken
        )
        taken.add(stem)
        stems[video] = stem
    refuse_overwriting(stems, out)
    return stems


def refuse_overwriting(stems: Mapping[str, str], out: Path) -> None:
    """Raise UsageError if the result of a video, by its stem in `out`, would overwrite one of the videos."""
    inputs = {Path(video).resolve() for video in stems}
    for video, stem in stems.items():
        for suffix in (".mp4", ".png"):
            if (out / f"{stem}{suffix}").resolve() in inputs:
                raise UsageError(f"the overlay would overwrite {printable(video)}; choose another --out.")


def tell(quiet: bool, line: str) -> None:
    """Print a line on stdout, with escapes in place of control characters, unless `quiet`."""
    if not quiet:
        click.echo(escaped(line))

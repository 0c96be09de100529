"""What the commands that run a model over videos have in common."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
import torch

from glocal.cli.app import say, unexpected
from glocal.errors import GlocalError, InputError, UsageError
from glocal.models import Model, load_model
from glocal.utils.files import shown

EMBEDDED, USUAL = "puppets/gated", "resnext3d-101"


def load(
    name: str | None, weights: str | None, labels: str | None, device: str | None, quiet: bool = False
) -> Model:
    """The model that the options ask for; random weights are drawn from a fixed seed and announced."""
    if name is None and chosen_name(name, weights, labels) == EMBEDDED:
        tell(
            quiet,
            f"without --model it is {EMBEDDED}, which knows 20 actions of drawn figures; "
            "for 400 of real people: --model slow-50 --weights kinetics400, downloaded once",
        )
    name = chosen_name(name, weights, labels)
    model = load_model(name, weights, labels=labels, device=chosen_device(device))
    if model.weights == "random":
        say(f"{name} has random weights, so what it sees means nothing; --weights gives it trained ones.")
    return model


def chosen_name(name: str | None, weights: str | None, labels: str | None) -> str:
    """Without a name it is `EMBEDDED`, which needs nothing, or `USUAL` for weights or labels."""
    return name or (USUAL if weights or labels else EMBEDDED)


def chosen_device(device: str | None) -> str:
    """By default the graphics card, where there is one."""
    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def for_each(videos: Sequence[str], run: Callable[[str], None], debug: bool) -> int:
    """`run` every video; one that fails is reported and the rest are done. Returns the exit code."""
    failed = 0
    for video in videos:
        try:
            run(video)
        except UsageError:
            raise
        except (GlocalError, OSError, RuntimeError, ValueError, MemoryError) as error:
            if debug:
                raise
            failed += 1
            sentence = str(error) if isinstance(error, InputError) else unexpected(error)
            say(f"{shown(video)}: {sentence}" if Path(video).name not in sentence else sentence)
    if failed and len(videos) > 1:
        say(f"{failed} of {len(videos)} videos failed; the others are done.")
    return 1 if failed else 0


def output_stems(videos: Sequence[str], out: Path) -> dict[str, str]:
    """Video → a stem of its own in `out`: its name without suffix, numbered where names collide.

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
    """Raises UsageError where the result of a video, by its stem in `out`, would overwrite one of them."""
    inputs = {Path(video).resolve() for video in stems}
    for video, stem in stems.items():
        for suffix in (".mp4", ".png"):
            if (out / f"{stem}{suffix}").resolve() in inputs:
                raise UsageError(f"the overlay would overwrite {shown(video)}; choose another --out.")


def tell(quiet: bool, line: str) -> None:
    """A line on stdout."""
    if not quiet:
        click.echo(line)

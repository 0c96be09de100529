"""`glocal classify`: predictions only."""

import json
from dataclasses import asdict
from typing import Any

import click

from glocal.cli.options import ModelChoice, common_options, config_options, json_option, model_options
from glocal.cli.running import for_each, load
from glocal.utils.files import printable


@click.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...")
@model_options
@click.option(
    "--best", type=click.IntRange(1), default=5, show_default=True, help="Number of classes to print."
)
@config_options(only=["crop", "cuts"])
@json_option
@common_options
def classify(
    videos: tuple[str, ...],
    model_choice: ModelChoice,
    best: int,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> int:
    """Print the best classes of each VIDEO, from its mean probabilities over windows that do not overlap."""
    from glocal.explanation import classify as classify_video
    from glocal.video import read_video

    model = load(model_choice, quiet or as_json)
    results: list[dict[str, Any]] = []

    def run(path: str) -> None:
        predictions = classify_video(model, read_video(path), best=best, progress=not quiet, **options)
        results.append({"video": printable(path), "predictions": [asdict(p) for p in predictions]})
        if not as_json:
            click.echo(printable(path))
            for prediction in predictions:
                click.echo(f"  {prediction.score:6.1%}  {prediction.label}")

    code = for_each(videos, run, debug)
    if as_json:
        click.echo(json.dumps(results, ensure_ascii=False, indent=1))
    return code

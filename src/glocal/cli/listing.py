"""`glocal models`, `glocal methods` and `glocal layers`: list what can be named in other commands."""

import json
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import click

from glocal.cli.options import ModelChoice, json_option, model_choice_options
from glocal.cli.running import source_of
from glocal.models.listing import listed_models
from glocal.utils.registrations import defaults_of, registered_names, registrations
from glocal.utils.text_table import fitted_table

METHOD_FACTS = ("name", "title", "paper", "cost", "needs", "aggregate", "options")
"""What is listed of an attribution method."""


@click.command()
@click.argument("model", required=False)
@json_option
@click.option("--debug", is_flag=True, hidden=True)
def models(model: str | None, as_json: bool, debug: bool) -> None:
    """List the models with their number of parameters, clips, layers and published weights.

    With MODEL, say what is known of it: its classes, the source and licence of its weights, its measures, and
    where it fails.
    """
    if model is not None:
        print_model(model, as_json)
        return
    rows = listed_models()
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table(
        ["name", "parameters", "clip", "layers", "weights by name", "title"],
        [
            [
                row["name"],
                f"{row['parameters'] / 1e6:.1f} M",
                describe_clip(row["clip"]),
                abbreviate(row["layers"]),
                ", ".join(row["weights"]) or "-",
                row["title"],
            ]
            for row in rows
        ],
    )


def print_model(name: str, as_json: bool) -> None:
    """Print what is known of a model, a line for each fact."""
    from glocal.models.registry import describe

    facts = describe(name)
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=1))
        return
    sources = [f"{weights}: {', '.join(files)}" for weights, files in facts["sources"].items()]
    lines = {
        "title": facts["title"],
        "paper": facts["paper"],
        "knows": facts["knows"],
        "parameters": f"{facts['parameters'] / 1e6:.1f} M",
        "clip": describe_clip(facts["clip"]),
        "layers": ", ".join(facts["layers"]),
        "gates": ", ".join(facts["gates"]),
        "weights": "; ".join(sources) or ", ".join(facts["weights"]),
        "licence": facts["licence"] or ("unknown" if sources else ""),
        "measures": ", ".join(f"{measure} {value:.3g}" for measure, value in facts["measures"].items()),
    }
    table(["", name], [[title, text] for title, text in lines.items() if text])
    if facts["notes"]:
        click.echo(f"\n{click.wrap_text(facts['notes'], width=int(min(100, _console_width())))}")


@click.command()
@json_option
@click.option("--debug", is_flag=True, hidden=True)
def methods(as_json: bool, debug: bool) -> None:
    """List the attribution methods with their cost in passes, requirements, options and paper."""
    rows = method_rows()
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table(
        ["name", "cost", "needs", "options", "paper"],
        [[r["name"], r["cost"], r["needs"], describe_options(r["options"]) or "-", r["paper"]] for r in rows],
    )


def method_rows() -> list[dict[str, Any]]:
    """Return the `METHOD_FACTS` of each method, without importing it unless another package adds methods."""
    path, decorators = "attribution/methods", ("method", "input_method")
    if registered_names(path, *decorators, group="glocal.methods") is None:
        from glocal.attribution import METHODS

        return [{fact: getattr(method, fact) for fact in METHOD_FACTS} for method in METHODS.values()]
    of_decorator = {name: defaults_of("attribution/method.py", name) for name in decorators}
    return [
        {"name": entry.name} | of_decorator[entry.function] | entry.facts | {"options": entry.options}
        for entry in registrations(path, *decorators)
    ]


def describe_options(options: Mapping[str, Any]) -> str:
    """Write options as in `samples=1000 seed=0`."""
    return " ".join(f"{name}={value}" for name, value in options.items())


@click.command()
@click.argument("model")
@click.option(
    "--all", "list_all", is_flag=True, help="List every module that can be explained, not only the defaults."
)
@model_choice_options("weights", "labels", "outputs", "clip")
@json_option
@click.option("--debug", is_flag=True, hidden=True)
def layers(model: str, list_all: bool, model_choice: ModelChoice, as_json: bool, debug: bool) -> None:
    """List the layers of MODEL that can be explained, with the shape of their output for one clip."""
    from glocal.attribution import explainable_layers
    from glocal.models.adapter import example_clip

    loaded = source_of(replace(model_choice, name=model, device="cpu")).load()
    modules = {layer.name: layer for layer in explainable_layers(loaded.network, example_clip(loaded.clip))}
    rows = [
        {**asdict(modules[path]), "name": name, "module": path, "default": True}
        for name, path in loaded.layer_paths.items()
    ]
    if list_all:
        rows += [
            {**asdict(module), "module": path, "default": False}
            for path, module in modules.items()
            if path not in loaded.layer_paths.values()
        ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    axes = "C×H×W" if loaded.clip.image else "C×T×H×W"
    table(
        ["layer", "module", "kind", axes, "default"],
        [
            [r["name"], r["module"], r["kind"], "×".join(map(str, r["shape"])), "yes" if r["default"] else ""]
            for r in rows
        ],
    )


def describe_clip(clip: Mapping[str, Any]) -> str:
    """Describe the fields of a `ClipSpec`, as in `64 frames at 25 fps, 224², flow`."""
    if clip["image"]:
        return f"image {clip['size']}²"
    if clip["fps"]:
        rate = f" at {clip['fps']:g} fps"
    else:
        rate = f", every {clip['stride']}th" if clip["stride"] > 1 else ""
    modality = "" if clip["modality"] == "rgb" else f", {clip['modality']}"
    return f"{clip['frames']} frames{rate}, {clip['size']}²{modality}"


def abbreviate(names: Sequence[str]) -> str:
    """Join names by commas, without the middle of a list of more than five."""
    return ", ".join(names) if len(names) <= 5 else f"{names[0]}, …, {names[-1]}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a header, a rule and rows in columns; in a terminal, within its width."""
    for line in fitted_table(header, rows, width=_console_width()):
        click.echo(line)


def _console_width() -> float:
    """Characters in a line of the terminal; without one, no limit."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf

"""`glocal models`, `glocal methods` and `glocal layers`: list what can be named in other commands."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from glocal.attribution import METHODS, explainable_layers
from glocal.cli.options import json_option
from glocal.models import load_model, summary
from glocal.models.adapter import example_clip
from glocal.utils.text_table import aligned_table


@click.command()
@json_option
@click.option("--debug", is_flag=True, hidden=True)
def models(as_json: bool, debug: bool) -> None:
    """List the models with their number of parameters, clips, layers and published weights."""
    rows = summary()
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


@click.command()
@json_option
@click.option("--debug", is_flag=True, hidden=True)
def methods(as_json: bool, debug: bool) -> None:
    """List the attribution methods with their cost in passes, requirements, options and paper."""
    rows: list[dict[str, Any]] = [
        {name: getattr(m, name) for name in ("name", "title", "paper", "cost", "needs", "options")}
        for m in METHODS.values()
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table(
        ["name", "cost", "needs", "options", "paper"],
        [[r["name"], r["cost"], r["needs"], describe_options(r["options"]) or "-", r["paper"]] for r in rows],
    )


def describe_options(options: Mapping[str, Any]) -> str:
    """Write options as in `samples=1000 seed=0`."""
    return " ".join(f"{name}={value}" for name, value in options.items())


@click.command()
@click.argument("model")
@click.option(
    "--all", "list_all", is_flag=True, help="List every module that can be explained, not only the defaults."
)
@json_option
@click.option("--debug", is_flag=True, hidden=True)
def layers(model: str, list_all: bool, as_json: bool, debug: bool) -> None:
    """List the layers of MODEL that can be explained, with the shape of their output for one clip."""
    loaded = load_model(model)
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
    """Print a header, a rule and rows in columns as wide as their widest entry."""
    rule = ["-" * max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for line in aligned_table([header, rule, *rows], text_columns=len(header)):
        click.echo(line)

"""`glocal models`, `methods` and `layers`: what there is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from glocal.attribution import METHODS, explainable_layers
from glocal.cli.options import json_option
from glocal.models import load_model, summary
from glocal.models.adapter import example_clip
from glocal.utils.text_table import in_columns


@click.command()
@json_option
@click.option("--debug", is_flag=True, hidden=True)
def models(as_json: bool, debug: bool) -> None:
    """List the models: parameters, clip, layers, weights."""
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
                clip_words(row["clip"]),
                compact(row["layers"]),
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
    """List the attribution methods: paper, cost in forward and backward passes, needs and options."""
    rows: list[dict[str, Any]] = [
        {name: getattr(m, name) for name in ("name", "title", "paper", "cost", "needs", "options")}
        for m in METHODS.values()
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table(
        ["name", "cost", "needs", "options", "paper"],
        [[r["name"], r["cost"], r["needs"], settings(r["options"]) or "-", r["paper"]] for r in rows],
    )


def settings(options: Mapping[str, Any]) -> str:
    """`samples=1000 seed=0`."""
    return " ".join(f"{name}={value}" for name, value in options.items())


@click.command()
@click.argument("model")
@click.option(
    "--all", "every", is_flag=True, help="Every module whose output is a map, not only the defaults."
)
@json_option
@click.option("--debug", is_flag=True, hidden=True)
def layers(model: str, every: bool, as_json: bool, debug: bool) -> None:
    """List the layers of MODEL that can be explained, with the shapes that a clip gives them."""
    loaded = load_model(model)
    found = {layer.name: layer for layer in explainable_layers(loaded.network, example_clip(loaded.clip))}
    paths = {module: path for path, module in loaded.network.named_modules()}
    rows = [
        {**asdict(found[paths[module]]), "name": name, "module": paths[module], "default": True}
        for name, module in loaded.layers.items()
    ]
    if every:
        named = {row["module"] for row in rows}
        rows += [
            {**asdict(layer), "module": layer.name, "default": False}
            for layer in found.values()
            if layer.name not in named
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


def clip_words(clip: dict[str, Any]) -> str:
    """A clip spec in a few words."""
    if clip["image"]:
        return f"image {clip['size']}²"
    if clip["fps"]:
        rate = f" at {clip['fps']:g} fps"
    else:
        rate = f", every {clip['stride']}th" if clip["stride"] > 1 else ""
    modality = "" if clip["modality"] == "rgb" else f", {clip['modality']}"
    return f"{clip['frames']} frames{rate}, {clip['size']}²{modality}"


def compact(names: Sequence[str]) -> str:
    """Names joined by commas, the middle of a long list left out."""
    return ", ".join(names) if len(names) <= 5 else f"{names[0]}, …, {names[-1]}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as their widest entry."""
    rule = ["-" * max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for line in in_columns([header, rule, *rows], words=len(header)):
        click.echo(line)

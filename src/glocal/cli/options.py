"""Options that several commands share; those of `ExplainConfig` are made from its fields."""

import contextlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from glocal.explanation.config import ExplainConfig, OptionInfo, options_of

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
ConfigT = TypeVar("ConfigT")


class CommandDecorator(Protocol):
    """Adds options to a command."""

    def __call__(self, command: CommandT, /) -> CommandT:
        """Return the command with the options."""
        ...


def together(*options: Callable[[Any], Any]) -> CommandDecorator:
    """Join several options to one decorator; --help lists them in this order."""

    def decorate(command: CommandT) -> CommandT:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def list_of_names(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    """Read `a,b` as a list."""
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


def mapping_of_pairs(ctx: click.Context, parameter: click.Parameter, value: Sequence[str]) -> dict[str, str]:
    """Read `name=value`, given any number of times, as a mapping."""
    pairs = [text.partition("=") for text in value]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise click.BadParameter(f"'{wrong[0]}' is not name=value.", ctx, parameter)
    return {name.strip(): text.strip() for name, _, text in pairs}


def config_options(
    config: type = ExplainConfig, *, only: Collection[str] | None = None, without: Collection[str] = ()
) -> CommandDecorator:
    """Make the options of a command from the fields of a config.

    Args:
        config: the dataclass.
        only: names of the fields; by default all that the command line has.
        without: names of fields that are left out.
    """
    return together(
        *(
            _option(name, field.default, info)
            for name, (field, info) in options_of(config).items()
            if info.cli and name not in without and (only is None or name in only)
        )
    )


def config_from(values: dict[str, Any], config: type[ConfigT], **others: Any) -> ConfigT:
    """Make a config of the values of a command's options, and take its fields out of `values`."""
    given = {name: values.pop(name) for name in options_of(config) if name in values}
    return config(**given, **others)


def _option(name: str, default: Any, info: OptionInfo) -> Callable[[Any], Any]:
    flag = f"--{info.flag or name.replace('_', '-')}"
    help_text = info.help
    if info.names is not None:
        help_text += f" One of {', '.join(info.names())}."
    if info.kind == "pairs":
        help_text += " May be repeated."
    if info.default_text is not None:
        help_text += f"  [default: {info.default_text}]"
    return click.option(flag, name, **_type_of(default, info, help_text))


def _type_of(default: Any, info: OptionInfo, help_text: str) -> dict[str, Any]:
    """The arguments of `click.option` by which the option of a field is read."""
    if isinstance(default, bool):
        return {"help": help_text, "is_flag": True}
    if info.kind == "pairs":
        return {"help": help_text, "multiple": True, "callback": mapping_of_pairs, "metavar": "NAME=VALUE"}
    facts: dict[str, Any] = {"help": help_text, "default": default, "show_default": default is not None}
    if info.choices:
        return facts | {"type": click.Choice(info.choices)}
    if info.kind == "count" or isinstance(default, int | float):
        number_range: Any = click.FloatRange if isinstance(default, float) else click.IntRange
        return facts | {"type": number_range(info.minimum, info.below, max_open=True)}
    if info.kind == "names":
        return facts | {"callback": list_of_names, "metavar": "NAME,…"}
    return facts | ({"type": click.Path(path_type=Path)} if info.kind == "path" else {})


crop_option: CommandDecorator = config_options(only=["crop"])


@dataclass(frozen=True)
class ModelChoice:
    """The values of `model_options`; None where an option is not given."""

    name: str | None = None
    weights: str | None = None
    labels: str | None = None
    outputs: str | None = None
    clip: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None


def clip_fields(ctx: click.Context, parameter: click.Parameter, value: Sequence[str]) -> dict[str, Any]:
    """Read fields of a `ClipSpec` as `name=value`; lists have commas."""
    return {name: _plain(text) for name, text in mapping_of_pairs(ctx, parameter, value).items()}


def _plain(text: str) -> Any:
    """A number, a list of numbers or a text."""
    for form in (text, f"[{text}]"):
        with contextlib.suppress(ValueError):
            return json.loads(form)
    return text


_MODEL_OPTIONS: Mapping[str, Callable[[Any], Any]] = {
    "name": click.option(
        "--model",
        "name",
        help="Name of a model, see 'glocal models'; FILE with weights; package.module:factory or "
        "file.py:factory, code that is run; folder of save_pretrained; org/name on the Hugging Face hub; or "
        "FILE.onnx.  "
        "[default: efficientnet-lite0 if its weights are installed, or else puppets/gated; "
        "with --weights or --labels, resnext3d-101]",
    ),
    "weights": click.option(
        "--weights",
        help="Checkpoint, or a name such as kinetics400, which is downloaded once. "
        "Without it the weights are random, and the report says so.",
    ),
    "labels": click.option(
        "--labels",
        help="File with one class name a line, or kinetics400, ucf101, … (see 'glocal models').",
    ),
    "outputs": click.option(
        "--outputs",
        type=click.Choice(["logits", "softmax", "sigmoid"]),
        help="What makes probabilities of the network's outputs; sigmoid for labels that do not exclude each "
        "other.  [default: found out for a model of your own, else logits]",
    ),
    "clip": click.option(
        "--clip",
        multiple=True,
        callback=clip_fields,
        metavar="NAME=VALUE",
        help="Change how clips are made for the model: frames, stride, fps, size, short_side, mean, std, …, "
        "as in --clip frames=16 --clip mean=0.45,0.45,0.45.  May be repeated.",
    ),
    "device": click.option(
        "--device",
        default=None,
        help="Device that computes: cpu, cuda, cuda:1, ….  [default: cuda if available]",
    ),
}
"""Field of `ModelChoice` → its option."""


def model_choice_options(*names: str) -> CommandDecorator:
    """Add options that choose a model, which the command gets as one argument, `model_choice`.

    Args:
        names: fields of `ModelChoice`; by default all.
    """
    names = names or tuple(_MODEL_OPTIONS)
    add_options = together(*(_MODEL_OPTIONS[name] for name in names))

    def decorate(command: CommandT) -> CommandT:
        @wraps(command)
        def with_choice(*args: Any, **values: Any) -> Any:
            choice = ModelChoice(**{name: values.pop(name) for name in names})
            return command(*args, model_choice=choice, **values)

        return add_options(with_choice)  # type: ignore[return-value]

    return decorate


model_options: CommandDecorator = model_choice_options()

out_option: CommandDecorator = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out"),
    show_default=True,
    help="Folder for the results; created if missing.",
)

layer_options: CommandDecorator = together(
    click.option(
        "--layers",
        callback=list_of_names,
        help="Layers to explain, such as conv,layer1.  [default: all of the model's]",
    ),
    click.option(
        "--aggregate",
        default="sum",
        show_default=True,
        help="How the maps of several layers are combined: sum, mean, max or auto.",
    ),
)

json_option: CommandDecorator = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

common_options: CommandDecorator = together(
    click.option("--quiet", is_flag=True, help="Show no progress bars and print nothing on stdout."),
    click.option("--debug", is_flag=True, help="Show the traceback of an error."),
)

"""`ExplainConfig`: the options of `explain`, for Python, the command line, batches and the server alike."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, Field, asdict, dataclass, field, fields
from functools import wraps
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeVar, cast, overload

from glocal.errors import UsageError
from glocal.types import Progress
from glocal.utils.registrations import registered_names

if TYPE_CHECKING:
    from torch import nn

    from glocal.explanation.edit import EditLike
    from glocal.explanation.window_stream import VideoLike
    from glocal.models.model import Model
    from glocal.video.clip_spec import Crop
    from glocal.video.scenes import Cuts

T = TypeVar("T")
P = ParamSpec("P")
ConfigT = TypeVar("ConfigT")
ConfigT_contra = TypeVar("ConfigT_contra", contravariant=True)
ReturnT = TypeVar("ReturnT")
ReturnT_co = TypeVar("ReturnT_co", covariant=True)


@dataclass(frozen=True)
class OptionInfo:
    """How one field of a config appears on the command line and in the server's form.

    Attributes:
        help: one sentence, for `--help`, the form's description and the docstring.
        python_help: a sentence that follows in the docstring.
        kind: how a text is read: as it is, as names joined by commas, as `name=value` (which may be
            repeated), as the path of a file or as a whole number. A flag or a number is recognised by its
            default.
        flag: of the command line, where it is not `--<name>`.
        choices: the texts allowed on the command line and in the form.
        names: a function that returns all names known, which `--help` lists.
        minimum: lowest number allowed.
        below: numbers must be lower than this.
        default_text: what a default of None means, for `--help`.
        cli: whether the command line has the option.
        server: whether the server's form has the option.
    """

    help: str
    python_help: str = ""
    kind: Literal["text", "names", "pairs", "path", "count"] = "text"
    flag: str | None = None
    choices: tuple[str, ...] = ()
    names: Callable[[], Iterable[str]] | None = None
    minimum: float | None = None
    below: float | None = None
    default_text: str | None = None
    cli: bool = True
    server: bool = False


INFO = "option"
"""Key of the `OptionInfo` in a field's metadata."""


def option(default: T, *, help: str, compare: bool = True, **facts: Any) -> T:
    """Declare a field of a config: its default, its help text and the other attributes of `OptionInfo`.

    With `compare=False` the field takes no part in comparison, `repr` and `config_as_dict`.
    """
    info = OptionInfo(help, **facts)
    declared: T = field(default=default, compare=compare, repr=compare, metadata={INFO: info})
    return declared


def options_of(config: type) -> dict[str, tuple["Field[Any]", OptionInfo]]:
    """Map the name of each option of a config to its field and its `OptionInfo`, in order."""
    return {entry.name: (entry, entry.metadata[INFO]) for entry in fields(config)}


def _method_names() -> Iterable[str]:
    names = registered_names("attribution/methods", "method", "input_method", group="glocal.methods")
    if names is None:
        from glocal.attribution import METHODS

        return METHODS
    return names


def _aggregate_names() -> Iterable[str]:
    names = registered_names("attribution/aggregation.py", "AGGREGATES.register", group="glocal.aggregates")
    if names is None:
        from glocal.attribution import AGGREGATES

        return AGGREGATES
    return names


@dataclass(frozen=True)
class ExplainConfig:
    """What is explained, and how: the options of `glocal.explain`.

    A new option is one field here, and its use in `glocal.explanation.runner`.

    Raises:
        UsageError: the method, one of its options, or the aggregate is unknown, or a value is not allowed.
    """

    target: str | int = option(
        "top1",
        help="Class to explain: top1, topK (the K best classes), a label, or a class index.",
        server=True,
    )
    _: KW_ONLY
    method: str = option(
        "layercam",
        help="Attribution method; 'glocal methods' describes each.",
        names=_method_names,
        server=True,
    )
    options: Mapping[str, Any] | None = option(
        None,
        help="The method's own options, which 'glocal methods' lists.",
        kind="pairs",
        flag="option",
    )
    layers: Sequence[str] | None = option(
        None,
        help="Names of layers, such as conv,layer1.",
        kind="names",
        default_text="all of the model's",
        server=True,
    )
    aggregate: str | None = option(
        None,
        help="How the layers' maps are combined.",
        names=_aggregate_names,
        default_text="the method's own: auto for layercam, sum for others",
        server=True,
    )
    counterfactual: bool = option(False, help="Explain what speaks against the class.", server=True)
    score: Literal["logit", "centred", "probability"] = option(
        "logit",
        help="Score of the class that is explained; centred: its logit less the mean of all.",
        choices=("logit", "centred", "probability"),
    )
    crop: "Crop | None" = option(
        None,
        help="Part of a frame that is explained: all, or the centre crop that the model was trained on.",
        choices=("full", "center"),
        default_text="the model's own, usually full",
    )
    cuts: "Cuts" = option(
        "auto",
        help="Find scene cuts, which no window of frames crosses, or take the video for one scene.",
        python_help="Or the first frame of every scene but the first.",
        choices=("auto", "none"),
    )
    overlap: float = option(
        0.5, help="Share of a window of frames that the next one covers too.", minimum=0, below=1
    )
    weighting: Literal["probability", "none"] = option(
        "probability",
        help="Weight of a window: the class's probability in it, or the same for all windows.",
        choices=("probability", "none"),
    )
    smooth: float = option(
        0.0,
        help="Deviation of a Gaussian that smooths the maps, in frames and in cells of a map; 0 is off.",
        minimum=0,
        below=100,
    )
    edit: "EditLike | None" = option(
        None,
        help="Values that replace the attention of an ST-ABN: an NPZ file with spatial (T, H, W), "
        "temporal (T,), or box and span.",
        python_help="Or an `Edit`, or an array for `Edit.from_array`.",
        kind="path",
    )
    precision: Literal["float32", "bfloat16", "float16"] = option(
        "float32",
        help="Numbers that the network computes with; 16 bits are faster on a GPU, and less exact.",
        choices=("float32", "bfloat16", "float16"),
    )
    batch_size: int | None = option(
        None,
        help="Windows that go through the network at once.",
        kind="count",
        minimum=1,
        default_text="what fits into the memory of a GPU; 1 without one",
        compare=False,
    )
    progress: Progress = option(
        False,
        help="Whether to show a progress bar where stderr is a terminal.",
        python_help="Or a function that is called with what is being done, the number of windows done, and "
        "their total.",
        compare=False,
        cli=False,
    )

    def __post_init__(self) -> None:
        from glocal.attribution import AGGREGATES, METHODS

        METHODS[self.method].resolve_options(self.options)
        if self.aggregate is not None:
            AGGREGATES.check(self.aggregate)
        for name, (_, info) in options_of(type(self)).items():
            _check_value(name, getattr(self, name), info)

    @property
    def combined_by(self) -> str:
        """The aggregate, which is the method's own where none is given."""
        from glocal.attribution import METHODS

        return self.aggregate or METHODS[self.method].aggregate


def _check_value(name: str, value: Any, info: OptionInfo) -> None:
    """Raise UsageError if a value is not among the choices, or out of range."""
    if info.choices and isinstance(value, str) and value not in info.choices:
        raise UsageError(f"{name} '{value}' is neither {' nor '.join(map(repr, info.choices))}.")
    if value is None:
        return
    if info.minimum is not None and value < info.minimum:
        raise UsageError(f"{name} must be at least {info.minimum:g}, not {value}.")
    if info.below is not None and value >= info.below:
        raise UsageError(f"{name} must be less than {info.below:g}, not {value}.")


def config_as_dict(config: Any) -> dict[str, Any]:
    """Return the fields of a config that identify what it asks for: all but those with `compare=False`."""
    values = asdict(config)
    return {name: values[name] for name, (entry, _) in options_of(type(config)).items() if entry.compare}


class ConfiguredFunction(Protocol[P, ConfigT_contra, ReturnT_co]):
    """A function of a model and a video that takes the fields of a config as arguments, or a config."""

    @overload
    def __call__(
        self, model: "Model | nn.Module", video: "VideoLike", /, *args: P.args, **kwargs: P.kwargs
    ) -> ReturnT_co: ...
    @overload
    def __call__(
        self, model: "Model | nn.Module", video: "VideoLike", /, *, config: ConfigT_contra
    ) -> ReturnT_co: ...


def configured_by(
    config_class: Callable[P, ConfigT],
) -> Callable[
    [Callable[["Model | nn.Module", "VideoLike", ConfigT], ReturnT]], ConfiguredFunction[P, ConfigT, ReturnT]
]:
    """Decorate `function(model, video, config)`, so that callers give the fields of the config instead.

    The signature shows the fields, the docstring describes them in place of its line `**config: …`, and a
    whole config can be given as `config=`.
    """

    def decorate(
        function: Callable[["Model | nn.Module", "VideoLike", ConfigT], ReturnT],
    ) -> ConfiguredFunction[P, ConfigT, ReturnT]:
        @wraps(function)
        def call(model: "Model | nn.Module", video: "VideoLike", *args: Any, **kwargs: Any) -> ReturnT:
            config = kwargs.pop("config", None)
            if config is not None and (args or kwargs):
                raise UsageError("give either the arguments or a config, not both.")
            return function(model, video, config or config_class(*args, **kwargs))

        assert isinstance(config_class, type)
        model_and_video = list(inspect.signature(function).parameters.values())[:2]
        parameters = inspect.signature(config_class).parameters.values()
        call.__signature__ = inspect.Signature([*model_and_video, *parameters])  # type: ignore[attr-defined]
        call.__doc__ = _with_options(inspect.getdoc(function) or "", config_class)
        return cast("ConfiguredFunction[P, ConfigT, ReturnT]", call)

    return decorate


def _with_options(docstring: str, config_class: type) -> str:
    """Replace the line `**config: …` of a docstring by the options and their help texts."""
    lines = []
    for line in docstring.splitlines():
        if not line.strip().startswith("**config:"):
            lines.append(line)
            continue
        indent = line[: len(line) - len(line.lstrip())]
        for name, (_, info) in options_of(config_class).items():
            text = f"{name}: {info.help} {info.python_help}"
            lines += wrap(text, 106, initial_indent=indent, subsequent_indent=f"{indent}    ")
    return "\n".join(lines)

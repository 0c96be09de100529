"""The types of the JSON API: what a client sends and what it receives."""

import re
from collections.abc import Callable, Collection
from typing import Annotated, Any, ClassVar, Literal

from fastapi import HTTPException
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model
from starlette.datastructures import FormData, UploadFile

from glocal.errors import nearest
from glocal.explanation.config import ExplainConfig, OptionInfo, options_of
from glocal.server.job import SAMPLES, STEM, Catalog, OfferedModel, Task

TOP = ("top1", "top2", "top3", "top4", "top5")
NAME_LENGTH = 120

Kind = Literal["html", "json", "npz", "mp4", "png", "jpg"]
MEDIA_TYPES: dict[str, str] = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "npz": "application/octet-stream",
    "mp4": "video/mp4",
    "png": "image/png",
    "jpg": "image/jpeg",
}


class JobForm(BaseModel):
    """The fields of the form that name the clip and the model."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    sample: Annotated[str, Field(description="A sample clip by name, in place of a file.")] = ""
    model: Annotated[str, Field(description="Name in /api/models; by default the first of them.")] = ""


def request_model(config: type) -> type[JobForm]:
    """Make the model of the whole form: `JobForm`, and the fields of a config that the server offers."""
    form_fields: dict[str, Any] = {
        name: (_form_type(field.default, info), "" if field.default is None else field.default)
        for name, (field, info) in options_of(config).items()
        if info.server
    }
    model: type[JobForm] = create_model(
        "JobRequest", __base__=JobForm, __doc__="The fields of the form beside the clip.", **form_fields
    )
    return model


def _form_type(default: Any, info: OptionInfo) -> Any:
    """Return the type of a form's field. An empty text stands for a default of None."""
    description = info.help
    if info.kind == "names":
        description += " Names are joined by commas."
    if info.default_text is not None:
        description += f" By default {info.default_text}."
    if isinstance(default, bool):
        return Annotated[bool, BeforeValidator(_form_boolean), Field(description=description)]
    if info.choices:
        choices = (*info.choices, "") if default is None else info.choices
        return Annotated[Literal[choices], Field(description=description)]
    if isinstance(default, int | float):
        return Annotated[type(default), Field(description=description, ge=info.minimum, lt=info.below)]
    return Annotated[str, Field(description=description)]


def _form_boolean(value: Any) -> Any:
    """Convert the texts `true` and `false`; other spellings of a boolean are not in the API's description."""
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError("it is true or false")
        return value == "true"
    return value


JobRequest: type[JobForm] = request_model(ExplainConfig)
"""The form of a job."""


class JobView(BaseModel):
    """A job as its owner sees it."""

    id: str
    name: Annotated[str, Field(description="Name of the clip.")]
    model: str
    method: str
    created: Annotated[float, Field(description="Seconds since 1970.")]
    state: Literal["queued", "running", "done", "failed"]
    ahead: Annotated[int, Field(description="Jobs that wait before this one.")] = 0
    stage: Annotated[str, Field(description="What is being done.")] = ""
    done: int = 0
    total: Annotated[int, Field(description="Number of steps of the stage; 0 if it cannot be counted.")] = 0
    error: Annotated[str, Field(description="Why it failed, in one sentence.")] = ""
    files: Annotated[list[str], Field(description="Names below this job's address.")] = []
    prediction: Annotated[
        dict[str, Any] | None, Field(description="The best class; `unsure` if it is improbable.")
    ] = None
    target: Annotated[dict[str, Any] | None, Field(description="The class explained.")] = None
    notes: list[str] = []


class ErrorView(BaseModel):
    """What is wrong and what to do, in one sentence."""

    error: str


def request_schema(catalog: Catalog) -> dict[str, Any]:
    """Return the multipart form of a job, for the OpenAPI description.

    Args:
        catalog: the models, methods and aggregates that the server offers.
    """
    schema = JobRequest.model_json_schema()
    clip = {"type": "string", "format": "binary", "description": "A video or an image."}
    schema["properties"] = {"video": clip, **schema["properties"]}
    for name, values in _allowed_values(catalog).items():
        schema["properties"][name]["enum"] = list(values)
    layers = dict.fromkeys(re.escape(layer) for model in catalog["models"] for layer in model["layers"])
    layer = f"({'|'.join(layers)})"
    schema["properties"]["layers"]["pattern"] = f"^({layer}(,{layer})*)?$"
    schema["oneOf"] = [{"required": ["video"]}, {"required": ["sample"]}]
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def _allowed_values(catalog: Catalog) -> dict[str, Collection[str]]:
    """Field of the form → the texts that it may have, with any model."""
    labels = dict.fromkeys(label for model in catalog["models"] for label in model["labels"])
    most = max((len(model["labels"]) for model in catalog["models"]), default=0)
    return {
        "sample": SAMPLES,
        "model": [model["name"] for model in catalog["models"]],
        "target": [*TOP[:most], *labels, *map(str, range(most))],
        "method": [method["name"] for method in catalog["methods"]],
        "aggregate": ["", *catalog["aggregates"]],
    }


def read_form(form: FormData) -> tuple[JobForm, UploadFile | None]:
    """Read the request in a form, and the clip if it has one.

    Raises:
        HTTPException: 422, a field that is unknown or not what it should be.
    """
    fields: dict[str, Any] = dict(form)
    clip = fields.pop("video", None) or None
    if clip is not None and not isinstance(clip, UploadFile):
        raise HTTPException(422, "The field video must be a file.")
    try:
        return JobRequest.model_validate(fields), clip
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        raise HTTPException(422, f"The field {field[:40]} is wrong: {problem['msg']}.") from None


def task_of(request: JobForm, name: str, catalog: Catalog, device: str) -> Task:
    """Make the task of a request.

    Args:
        request: the form.
        name: of the clip.
        catalog: the models, methods and aggregates that the server offers.
        device: of the models.

    Raises:
        HTTPException: 422, something that the server does not offer; the sentence says what it offers.
    """
    models = {model["name"]: model for model in catalog["models"]}
    model = models[_one_of(request.model or next(iter(models)), models, "model")]
    options: dict[str, Any] = {}
    methods = {method["name"]: method for method in catalog["methods"]}
    checks: dict[str, Callable[[Any], Any]] = {
        "target": lambda target: _target(target.strip(), model["labels"]),
        "method": lambda method: _one_of(method, methods, "method"),
        "layers": lambda layers: tuple(_one_of(layer, model["layers"], "layer") for layer in layers),
        "aggregate": lambda name: _one_of(
            name or methods[options["method"]]["aggregate"], catalog["aggregates"], "aggregate"
        ),
    }
    for option, (_, info) in options_of(ExplainConfig).items():
        if info.server:
            value = getattr(request, option)
            if info.kind == "names":
                value = tuple(part.strip() for part in value.split(",") if part.strip())
            options[option] = checks[option](value) if option in checks else value
    return Task(printable(name), OfferedModel(**model["offer"]), device, options)


def printable(name: str) -> str:
    """Return a file's name as it is displayed: one line, no folders, not too long."""
    name = name.replace("%22", '"').replace("\\", "/").rpartition("/")[2]  # browsers escape quotes so
    shown = "".join(char if char.isprintable() else "·" for char in name).strip()
    return shown if len(shown) <= NAME_LENGTH else f"{shown[: NAME_LENGTH - 9]}…{shown[-8:]}"


def _one_of(name: str, known: Collection[str], what: str) -> str:
    if name not in known:
        hint, names = nearest(name, list(known)), ", ".join(known)
        raise HTTPException(422, f"There is no {what} '{name[:60]}'.{hint} Give one of {names}.")
    return name


def _target(target: str, labels: list[str]) -> str:
    """Return a class as `explain` takes it; upper and lower case are the same."""
    folded = {label.casefold(): label for label in labels}
    if target.isdecimal() and target.isascii() and len(target) < 9 and int(target) < len(labels):
        return target
    if target.casefold() in folded:
        return folded[target.casefold()]
    if target in TOP and int(target[3:]) <= len(labels):
        return target
    sentence = f"The model has no class '{target[:60]}'.{nearest(target, labels)}"
    raise HTTPException(422, f"{sentence} Give one of its {len(labels)} labels, or {TOP[0]} to {TOP[-1]}.")


def report_name(kind: str) -> str:
    """Return the name of a result's file."""
    return f"{STEM}.{kind}"

"""What a client can ask for, and what it is told: the types of the JSON API."""

from collections.abc import Collection
from typing import Annotated, Any, Literal

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from glocal.errors import nearest
from glocal.server.job import STEM, OfferedModel, Task

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


class Question(BaseModel):
    """The fields of the form beside the clip."""

    model_config = ConfigDict(extra="forbid")

    sample: Annotated[str, Field(description="A sample clip by name, in place of a file.")] = ""
    model: Annotated[str, Field(description="See /api/models; the first of them by default.")] = ""
    target: Annotated[str, Field(description=f"{', '.join(TOP)}, a label, or a class index.")] = "top1"
    method: Annotated[str, Field(description="See /api/methods.")] = "3dcam"
    layers: Annotated[str, Field(description="Names joined by commas; all of the model's by default.")] = ""
    aggregate: Annotated[str, Field(description="How layers are combined: sum, mean or max.")] = "sum"
    counterfactual: Annotated[bool, Field(description="What speaks against the class.")] = False


class JobView(BaseModel):
    """A job as its owner sees it."""

    id: str
    name: Annotated[str, Field(description="Of the clip.")]
    model: str
    method: str
    created: Annotated[float, Field(description="Seconds since 1970.")]
    state: Literal["queued", "running", "done", "failed"]
    ahead: Annotated[int, Field(description="Jobs that wait before this one.")] = 0
    stage: Annotated[str, Field(description="What is being done.")] = ""
    done: int = 0
    total: Annotated[int, Field(description="0 where the stage cannot be counted.")] = 0
    error: Annotated[str, Field(description="Why it failed, in one sentence.")] = ""
    files: Annotated[list[str], Field(description="Names below this job's address.")] = []
    prediction: Annotated[dict[str, Any] | None, Field(description="The best class.")] = None
    target: Annotated[dict[str, Any] | None, Field(description="The class explained.")] = None
    notes: list[str] = []


class ErrorView(BaseModel):
    """What is wrong and what to do, in one sentence."""

    error: str


def request_schema() -> dict[str, Any]:
    """The multipart form of a job, for the OpenAPI description."""
    schema = Question.model_json_schema()
    clip = {"type": "string", "format": "binary", "description": "A video or an image."}
    schema["properties"] = {"video": clip, **schema["properties"]}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def read_form(form: FormData) -> tuple[Question, UploadFile | None]:
    """The question in a form, and the clip if there is one.

    Raises:
        HTTPException: 422, a field that is unknown or not what it should be.
    """
    fields: dict[str, Any] = dict(form)
    clip = fields.pop("video", None) or None
    if clip is not None and not isinstance(clip, UploadFile):
        raise HTTPException(422, "The field video must be a file.")
    try:
        return Question.model_validate(fields), clip
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        raise HTTPException(422, f"The field {field[:40]} is wrong: {problem['msg']}.") from None


def task_of(question: Question, name: str, stock: dict[str, Any], device: str) -> Task:
    """The job that a question asks for.

    Raises:
        HTTPException: 422, something that the server does not have; the sentence says what it has.
    """
    models = {model["name"]: model for model in stock["models"]}
    model = models[_one_of(question.model or next(iter(models)), models, "model")]
    methods = [method["name"] for method in stock["methods"]]
    layers = [layer.strip() for layer in question.layers.split(",") if layer.strip()]
    return Task(
        name=printable(name),
        offer=OfferedModel(**model["offer"]),
        device=device,
        target=_target(question.target.strip(), model["labels"]),
        method=_one_of(question.method, methods, "method"),
        layers=tuple(_one_of(layer, model["layers"], "layer") for layer in layers),
        aggregate=_one_of(question.aggregate, stock["aggregates"], "aggregate"),
        counterfactual=question.counterfactual,
    )


def printable(name: str) -> str:
    """A file's name as it is shown: one line, no folders, not too long."""
    name = name.replace("%22", '"').replace("\\", "/").rpartition("/")[2]  # browsers escape quotes so
    shown = "".join(char if char.isprintable() else "·" for char in name).strip()
    return shown if len(shown) <= NAME_LENGTH else f"{shown[: NAME_LENGTH - 9]}…{shown[-8:]}"


def _one_of(name: str, known: Collection[str], what: str) -> str:
    if name not in known:
        hint, names = nearest(name, list(known)), ", ".join(known)
        raise HTTPException(422, f"There is no {what} '{name[:60]}'.{hint} Give one of {names}.")
    return name


def _target(target: str, labels: list[str]) -> str:
    """A class as `explain` takes it; any case of letters will do."""
    folded = {label.casefold(): label for label in labels}
    if target.isdecimal() and target.isascii() and len(target) < 9 and int(target) < len(labels):
        return target
    if target.casefold() in folded:
        return folded[target.casefold()]
    if target in TOP and int(target[3:]) <= len(labels):
        return target
    sentence = f"The model has no class '{target[:60]}'.{nearest(target, labels)}"
    raise HTTPException(422, f"{sentence} Give one of its {len(labels)} labels, or {TOP[0]} to {TOP[-1]}.")


def report_name(kind: Kind) -> str:
    """The name of a result's file."""
    return f"{STEM}.{kind}"

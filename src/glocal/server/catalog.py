"""The models, methods and sample clips that the server offers."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse

from glocal.errors import InputError
from glocal.server.child_process import Child
from glocal.server.job import SAMPLES, Offer
from glocal.server.limits import Limits
from glocal.server.schemas import MEDIA_TYPES

PATIENCE = 600.0
"""Seconds in which the models must be loaded when the server starts."""


def open_stock(offers: Sequence[Offer], device: str, limits: Limits) -> dict[str, Any]:
    """The models, each loaded once, and the methods that the server offers; see `stock.stock`.

    Raises:
        InputError: a model cannot be loaded.
    """
    child = Child("glocal.server.stock:run_stock", tuple(offers), device, limits)
    try:
        *_, found = child.messages(PATIENCE)
    finally:
        child.close()
    if found.pop("state") != "done":
        raise InputError(found["error"])
    return found


def sample_names(folder: Path) -> list[str]:
    """The sample clips that are rendered."""
    return [name for name in SAMPLES if (folder / f"{name}.jpg").exists()]


def add_catalogue(app: FastAPI, stock: dict[str, Any], limits: Limits, samples: Path) -> None:
    """The addresses that tell what there is; `samples` is the folder of the sample clips."""

    @app.get("/api/models")
    def models() -> list[dict[str, Any]]:
        """The models, the default first, with their layers and classes."""
        return [{key: row[key] for key in row if key != "offer"} for row in stock["models"]]

    @app.get("/api/methods")
    def methods() -> list[dict[str, str]]:
        """The attribution methods, with their papers and costs."""
        found: list[dict[str, str]] = stock["methods"]
        return found

    @app.get("/api/limits")
    def allowed() -> dict[str, float]:
        """What is taken: bytes, seconds and frames of a clip, pixels of a frame, jobs a minute."""
        names = ("bytes", "seconds", "frames", "pixels", "rate")
        return {name: value for name, value in asdict(limits).items() if name in names}

    @app.get("/api/samples")
    def available() -> list[str]:
        """Names of the sample clips, see /samples/{name}.mp4 and .jpg."""
        return sample_names(samples)

    @app.get("/samples/{name}.{kind}", include_in_schema=False)
    def sample(name: str, kind: str) -> FileResponse:
        if name not in sample_names(samples) or kind not in ("mp4", "jpg"):
            raise HTTPException(404, "There is no such sample.")
        return FileResponse(samples / f"{name}.{kind}", media_type=MEDIA_TYPES[kind])

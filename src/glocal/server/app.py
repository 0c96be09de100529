"""The server: its pages, its JSON API, and what starts and ends with it."""

import shutil
import threading
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as AnyHTTPException

from glocal import __version__
from glocal.errors import InputError
from glocal.server.child import Child
from glocal.server.door import FILE_POLICY, PAGE_POLICY, REPORT_POLICY, Door
from glocal.server.form import (
    MEDIA_TYPES,
    ErrorView,
    JobView,
    Kind,
    read_form,
    report_name,
    request_schema,
    task_of,
)
from glocal.server.jobs import Busy, Job, Jobs
from glocal.server.limits import Limits, Rate
from glocal.server.sniff import NEEDED, is_media
from glocal.server.task import SAMPLES, Offer
from glocal.server.upload import drain, receive_form, too_large

PAGES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
PATIENCE = 600.0
"""Seconds in which the models must be loaded when the server starts."""

FREE = 2
"""So many times an upload's limit must be free on the disk."""


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


def create_app(
    out: Path,
    stock: dict[str, Any],
    limits: Limits = Limits(),  # noqa: B008 (immutable)
    workers: int = 1,
    device: str = "cpu",
    hosts: Collection[str] = (),
) -> FastAPI:
    """The server as an ASGI application.

    Args:
        out: the folder that keeps results; made if need be.
        stock: from `open_stock`.
        workers: jobs that run at the same time.
        device: of the models.
        hosts: see `Door`.
    """
    rate = Rate(limits.rate)
    sample_folder = out / "samples"

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sample_folder.mkdir(parents=True, exist_ok=True)
        app.state.jobs = jobs = Jobs(out, limits, workers)
        child = Child("glocal.server.stock:run_samples", str(sample_folder), limits)
        try:
            yield
        finally:
            child.close()
            await run_in_threadpool(jobs.close)

    app = FastAPI(
        title="glocal",
        version=__version__,
        description="Where, when and why a video model decides.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
        responses={422: {"model": ErrorView}},
    )
    app.add_middleware(Door, hosts=hosts)
    _add_errors(app)
    _add_pages(app)

    def find(request: Request, identity: str) -> Job:
        job: Job | None = request.app.state.jobs.get(identity)
        if job is None:
            raise HTTPException(404, "There is no such result; it may have been removed.")
        return job

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
    def samples() -> list[str]:
        """Names of the sample clips, see /samples/{name}.mp4 and .jpg."""
        return [name for name in SAMPLES if (sample_folder / f"{name}.jpg").exists()]

    @app.get("/samples/{name}.{kind}", include_in_schema=False)
    def sample(name: str, kind: str) -> FileResponse:
        if name not in samples() or kind not in ("mp4", "jpg"):
            raise HTTPException(404, "There is no such sample.")
        return FileResponse(sample_folder / f"{name}.{kind}", media_type=MEDIA_TYPES[kind])

    @app.post(
        "/api/jobs",
        status_code=202,
        responses={code: {"model": ErrorView} for code in (408, 413, 415, 422, 429, 503)},
        openapi_extra={"requestBody": request_schema()},
    )
    async def ask(request: Request) -> JobView:
        """Queue a clip to be explained; its `id` is the only way to it."""
        address = request.client.host if request.client else ""
        if pause := rate.wait(address):
            await drain(request, limits)
            sentence = f"That is more than {limits.rate} clips a minute; try again in {pause:.0f} seconds."
            raise HTTPException(429, sentence, {"Retry-After": f"{pause:.0f}"})
        try:
            with request.app.state.jobs.place():
                return await take(request)
        except Busy:
            await drain(request, limits)
            sentence = "Too many clips wait already; try again in a minute."
            raise HTTPException(503, sentence, {"Retry-After": "60"}) from None

    async def take(request: Request) -> JobView:
        async with receive_form(request, limits) as form:
            question, clip = read_form(form)
            if (clip is None) == (not question.sample):
                raise HTTPException(422, "Give either a file as video, or the name of a sample.")
            if clip is None:
                if question.sample not in samples():
                    raise HTTPException(422, f"There is no such sample, only {', '.join(samples())}.")
                name = f"{question.sample}.mp4"
                task = task_of(question, name, stock, device)
                return await run_in_threadpool(add_sample, request.app.state.jobs, task, name)
            task = task_of(question, clip.filename or "clip", stock, device)
            await check(clip)
            return await run_in_threadpool(add, request.app.state.jobs, task, clip.file)

    async def check(clip: UploadFile) -> None:
        if (clip.size or 0) > limits.bytes:
            raise HTTPException(413, too_large(limits))
        if not clip.size:
            raise HTTPException(422, "The file is empty; choose another one.")
        if not is_media(await clip.read(NEEDED)):
            raise HTTPException(
                415,
                "The file is neither a video nor an image that is known here; give MP4, WebM, AVI or GIF.",
            )
        await clip.seek(0)

    def add(jobs: Jobs, task: Any, file: BinaryIO) -> JobView:
        if shutil.disk_usage(out).free < FREE * limits.bytes:
            raise HTTPException(503, "The server's disk is full; remove results that are no longer needed.")
        return view(jobs, jobs.add(task, file))

    def add_sample(jobs: Jobs, task: Any, name: str) -> JobView:
        with open(sample_folder / name, "rb") as file:
            return add(jobs, task, file)

    @app.get("/api/jobs/{identity}", responses={404: {"model": ErrorView}})
    def job(request: Request, identity: str) -> JobView:
        """How far a job is, and what came of it."""
        return view(request.app.state.jobs, find(request, identity))

    @app.delete("/api/jobs/{identity}", status_code=204, responses={404: {"model": ErrorView}})
    def remove(request: Request, identity: str) -> Response:
        """Cancel a job, or remove its result for good."""
        if not request.app.state.jobs.remove(identity):
            find(request, identity)
        return Response(status_code=204)

    @app.get("/api/jobs/{identity}/report.{kind}", responses={404: {"model": ErrorView}})
    def report(request: Request, identity: str, kind: Kind) -> FileResponse:
        """The result: `html` the report, `json` facts and boxes, `npz` attention, `mp4` overlay, `jpg` a picture."""
        found = find(request, identity)
        name = report_name(kind)
        if name not in found.result.get("files", ()):
            raise HTTPException(404, f"There is no {name} (yet).")
        policy = REPORT_POLICY if kind == "html" else FILE_POLICY
        return FileResponse(
            found.folder / name,
            media_type=MEDIA_TYPES[kind],
            headers={"Content-Security-Policy": policy},
        )

    return app


def view(jobs: Jobs, job: Job) -> JobView:
    """What a job's owner is told."""
    return JobView(
        id=job.id,
        name=job.task.name,
        model=job.task.offer.key,
        method=job.task.method,
        created=job.created,
        state=job.state,  # type: ignore[arg-type]
        ahead=jobs.ahead(job),
        **job.progress,
        **job.result,
    )


def _add_errors(app: FastAPI) -> None:
    """Every error is a sentence."""

    @app.exception_handler(AnyHTTPException)
    async def refused(request: Request, error: AnyHTTPException) -> Response:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"error": "The address is wrong."}, 404)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": "The server failed; try again."}, 500)


def _add_pages(app: FastAPI) -> None:
    def serve(name: str, media_type: str) -> Callable[[], Response]:
        content = package_files(__package__).joinpath("web", name).read_bytes()
        headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
        return lambda: Response(content, media_type=media_type, headers=headers)

    for path, (name, media_type) in PAGES.items():
        app.add_api_route(f"/{path}", serve(name, media_type), include_in_schema=False)

"""The server: its pages, its JSON API, and what starts and ends with it."""

import shutil
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from glocal import __version__
from glocal.server.catalog import add_catalogue, sample_names
from glocal.server.child_process import Child
from glocal.server.job import Job
from glocal.server.limits import Limits, Rate
from glocal.server.middleware import FILE_POLICY, REPORT_POLICY, Door
from glocal.server.pages import add_errors, add_pages
from glocal.server.queue import BusyError, Jobs
from glocal.server.schemas import (
    MEDIA_TYPES,
    ErrorView,
    JobView,
    Kind,
    read_form,
    report_name,
    request_schema,
    task_of,
)
from glocal.server.upload import NEEDED, Body, is_media, receive_form, too_large

FREE = 2
"""So many times an upload's limit must be free on the disk."""


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
        redirect_slashes=False,
        lifespan=lifespan,
        responses={422: {"model": ErrorView}},
    )
    app.add_middleware(Door, hosts=hosts)
    add_errors(app)
    add_pages(app)
    add_catalogue(app, stock, limits, sample_folder)

    def find(request: Request, identity: str) -> Job:
        job: Job | None = request.app.state.jobs.get(identity)
        if job is None:
            raise HTTPException(404, "There is no such result; it may have been removed.")
        return job

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
            await Body(request, limits).drain()
            sentence = f"That is more than {limits.rate} clips a minute; try again in {pause:.0f} seconds."
            raise HTTPException(429, sentence, {"Retry-After": f"{pause:.0f}"})
        try:
            with request.app.state.jobs.place():
                return await take(request)
        except BusyError:
            await Body(request, limits).drain()
            sentence = "Too many clips wait already; try again in a minute."
            raise HTTPException(503, sentence, {"Retry-After": "60"}) from None

    async def take(request: Request) -> JobView:
        async with receive_form(request, limits) as form:
            question, clip = read_form(form)
            if (clip is None) == (not question.sample):
                raise HTTPException(422, "Give either a file as video, or the name of a sample.")
            if clip is None:
                names = sample_names(sample_folder)
                if question.sample not in names:
                    raise HTTPException(422, f"There is no such sample, only {', '.join(names)}.")
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
        """The result: `html` the report, `json` facts, `npz` attention, `mp4` or `png` the overlay."""
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

"""The JSON API: jobs and their files, and what the server offers.

Functions that look at memory alone are asynchronous: they answer at once, and need no thread.
"""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from glocal.server.catalog import sample_names
from glocal.server.job import SAMPLES, Catalog, Job, Task
from glocal.server.limits import Limits, RateLimit, network_of
from glocal.server.middleware import FILE_POLICY, REPORT_POLICY
from glocal.server.places import UploadPlace
from glocal.server.queue import JobQueue, QueueFullError
from glocal.server.schemas import (
    MEDIA_TYPES,
    ErrorView,
    JobView,
    Kind,
    read_form,
    report_name,
    task_of,
)
from glocal.server.upload import HEADER_BYTES, RequestBody, is_media, receive_form, too_large_message

FREE_DISK_FACTOR = 2
"""The disk must have this many times the size limit of an upload free."""

RETRY_AFTER: dict[str, Any] = {
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}}
}
"""Header of responses to clips that may be accepted later, as the API describes it."""

router: APIRouter = APIRouter()


@dataclass(frozen=True)
class ServerState:
    """The state of a running server.

    Attributes:
        out: folder of the results.
        catalog: what the server offers.
        limits: of uploads, jobs and clients.
        device: of the models.
        queue: of the jobs.
        rate: of the clients.
    """

    out: Path
    catalog: Catalog
    limits: Limits
    device: str
    queue: JobQueue
    rate: RateLimit

    @property
    def samples(self) -> Path:
        """The folder of the sample clips."""
        return self.out / "samples"


def _server(request: Request) -> ServerState:
    state: ServerState = request.app.state.server
    return state


@router.post(
    "/api/jobs",
    status_code=202,
    responses={
        **{code: {"model": ErrorView} for code in (408, 413, 415, 422)},
        **{code: {"model": ErrorView, "headers": RETRY_AFTER} for code in (429, 503)},
    },
)
async def submit_job(request: Request) -> JobView:
    """Queue a clip to be explained; only the returned `id` gives access to the job."""
    server = _server(request)
    address = request.client.host if request.client else ""
    if pause := server.rate.wait(address):
        await RequestBody(request, server.limits).drain()
        sentence = f"That is more than {server.limits.rate} clips a minute; try again in {pause:.0f} seconds."
        raise HTTPException(429, sentence, {"Retry-After": f"{pause:.0f}"})
    try:
        with server.queue.reserve(network_of(address)) as place:
            return await _receive_job(request, server, place)
    except QueueFullError:
        await RequestBody(request, server.limits).drain()
        sentence = "Too many clips wait already; try again in a minute."
        raise HTTPException(503, sentence, {"Retry-After": "60"}) from None


async def _receive_job(request: Request, server: ServerState, place: UploadPlace) -> JobView:
    async with receive_form(request, server.limits, place) as form:
        job_form, clip = read_form(form)
        if (clip is None) == (not job_form.sample):
            raise HTTPException(422, "Give either a file as video, or the name of a sample.")
        if clip is None:
            names = sample_names(server.samples)
            if job_form.sample not in names and job_form.sample in SAMPLES:
                raise HTTPException(
                    503, "This sample is not ready yet; try again in a minute.", {"Retry-After": "60"}
                )
            if job_form.sample not in names:
                raise HTTPException(422, f"There is no such sample, only {', '.join(names)}.")
            name = f"{job_form.sample}.mp4"
            task = task_of(job_form, name, server.catalog, server.device)
            return await run_in_threadpool(_add_sample, server, task, name)
        task = task_of(job_form, clip.filename or "clip", server.catalog, server.device)
        await _check_upload(clip, server.limits)
        return await run_in_threadpool(_add_job, server, task, clip.file)


async def _check_upload(clip: UploadFile, limits: Limits) -> None:
    if (clip.size or 0) > limits.bytes:
        raise HTTPException(413, too_large_message(limits))
    if not clip.size:
        raise HTTPException(422, "The file is empty; choose another one.")
    if not is_media(await clip.read(HEADER_BYTES)):
        raise HTTPException(
            415, "The file is neither a video nor an image in a known format; give MP4, WebM, AVI or GIF."
        )
    await clip.seek(0)


def _add_job(server: ServerState, task: Task, file: BinaryIO) -> JobView:
    if shutil.disk_usage(server.out).free < FREE_DISK_FACTOR * server.limits.bytes:
        raise HTTPException(503, "The server's disk is full; remove results that are no longer needed.")
    return _job_view(server.queue, server.queue.add(task, file))


def _add_sample(server: ServerState, task: Task, name: str) -> JobView:
    with open(server.samples / name, "rb") as file:
        return _add_job(server, task, file)


def _find_job(server: ServerState, identity: str) -> Job:
    job = server.queue.get(identity)
    if job is None:
        raise HTTPException(404, "There is no such result; it may have been removed, or failed long ago.")
    return job


def _job_view(queue: JobQueue, job: Job) -> JobView:
    return JobView(
        id=job.id,
        name=job.task.name,
        model=job.task.offer.key,
        method=job.task.options["method"],
        created=job.created,
        state=job.state,  # type: ignore[arg-type]
        ahead=queue.jobs_ahead(job),
        **job.progress,
        **job.result,
    )


@router.get("/api/jobs/{identity}", responses={404: {"model": ErrorView}})
async def get_job(request: Request, identity: str) -> JobView:
    """Return the state, progress and result of a job."""
    server = _server(request)
    return _job_view(server.queue, _find_job(server, identity))


@router.delete("/api/jobs/{identity}", status_code=204, responses={404: {"model": ErrorView}})
def remove_job(request: Request, identity: str) -> Response:
    """Cancel a job, or delete its result permanently."""
    server = _server(request)
    if not server.queue.remove(identity):
        _find_job(server, identity)
    return Response(status_code=204)


@router.get("/api/jobs/{identity}/report.{kind}", responses={404: {"model": ErrorView}})
async def get_job_file(request: Request, identity: str, kind: Kind) -> FileResponse:
    """Return a file of the result: `html` report, `json` facts, `npz` attribution, `mp4` or `png` overlay."""
    job = _find_job(_server(request), identity)
    name = report_name(kind)
    if name not in job.result.get("files", ()):
        raise HTTPException(404, f"There is no {name} (yet).")
    policy = REPORT_POLICY if kind == "html" else FILE_POLICY
    headers = {"Content-Security-Policy": policy}
    return FileResponse(job.folder / name, media_type=MEDIA_TYPES[kind], headers=headers)


@router.get("/api/models")
async def list_models(request: Request) -> list[dict[str, Any]]:
    """Return the models, the default first, with their layers and classes."""
    models = _server(request).catalog["models"]
    return [{key: model[key] for key in model if key != "offer"} for model in models]


@router.get("/api/methods")
async def list_methods(request: Request) -> list[dict[str, str]]:
    """Return the attribution methods, with their papers and costs."""
    methods: list[dict[str, str]] = _server(request).catalog["methods"]
    return methods


@router.get("/api/limits")
async def list_limits(request: Request) -> dict[str, float]:
    """Return the limits: bytes, seconds and frames of a clip, pixels of a frame, jobs per minute."""
    names = ("bytes", "seconds", "frames", "pixels", "rate")
    return {name: value for name, value in asdict(_server(request).limits).items() if name in names}


@router.get("/api/samples")
def list_samples(request: Request) -> list[str]:
    """Return the names of the sample clips, see /samples/{name}.mp4 and .jpg."""
    return sample_names(_server(request).samples)


@router.get("/samples/{name}.{kind}", include_in_schema=False)
def get_sample(request: Request, name: str, kind: str) -> FileResponse:
    """Return a sample clip or its picture."""
    samples = _server(request).samples
    if name not in sample_names(samples) or kind not in ("mp4", "jpg"):
        raise HTTPException(404, "There is no such sample.")
    return FileResponse(samples / f"{name}.{kind}", media_type=MEDIA_TYPES[kind])


def add_head_routes(routes: APIRouter) -> None:
    """Let HEAD return the headers of each GET route."""
    for route in list(routes.routes):
        if isinstance(route, APIRoute) and route.methods == {"GET"}:
            routes.add_api_route(
                route.path, route.endpoint, methods=["HEAD"], include_in_schema=False, response_model=None
            )


add_head_routes(router)

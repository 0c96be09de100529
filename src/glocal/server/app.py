"""The server as an ASGI application: pages, JSON API, error responses, start and shutdown."""

import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from importlib.resources import files as package_files
from pathlib import Path
from typing import BinaryIO

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from glocal import __version__
from glocal.server.child_process import ChildProcess
from glocal.server.job import Catalog
from glocal.server.limits import Limits, RateLimit
from glocal.server.middleware import PAGE_POLICY, RequestGuard
from glocal.server.queue import JobQueue
from glocal.server.routes import ServerState, router
from glocal.server.schemas import ErrorView, request_schema

PAGES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "results.js": ("results.js", "text/javascript; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Address → file and media type."""


def create_app(
    out: Path,
    catalog: Catalog,
    limits: Limits = Limits(),  # noqa: B008 (immutable)
    *,
    workers: int = 1,
    device: str = "cpu",
    hosts: Collection[str] = (),
    lock: BinaryIO | None = None,
) -> FastAPI:
    """Create the server.

    Args:
        out: folder of the results; created if it is missing.
        catalog: from `open_catalog`.
        limits: of uploads, jobs and clients.
        workers: number of jobs that run at the same time.
        device: of the models.
        hosts: host names of the server, see `RequestGuard`.
        lock: of `out`, see `JobQueue`; without it, a folder that cannot be used is found out when it starts.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        samples = out / "samples"
        samples.mkdir(parents=True, exist_ok=True)
        queue = JobQueue(out, limits, workers, lock=lock)
        app.state.server = ServerState(out, catalog, limits, device, queue, RateLimit(limits.rate))
        with contextlib.ExitStack() as stack:
            try:
                renderer = ChildProcess("glocal.server.catalog:run_samples", str(samples), limits)
                stack.callback(renderer.close)
            except OSError as error:  # the server works without them
                print(f"glocal: the sample clips cannot be rendered ({error.strerror}).", file=sys.stderr)
            try:
                yield
            finally:
                await run_in_threadpool(queue.close)

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
    app.add_middleware(RequestGuard, hosts=hosts)
    app.include_router(router)
    _add_error_handlers(app)
    _add_pages(app)
    app.openapi()["paths"]["/api/jobs"]["post"]["requestBody"] = request_schema(catalog)
    return app


def _add_error_handlers(app: FastAPI) -> None:
    """Return every error as JSON with one sentence."""

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(sorted(_methods_at(app, request)))
        return JSONResponse({"error": error.detail}, error.status_code, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid_address(request: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"error": "The address is wrong."}, 404)

    @app.exception_handler(Exception)
    async def internal_error(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": "The server failed; try again."}, 500)


def _methods_at(app: FastAPI, request: Request) -> set[str]:
    """Return the methods that the address of a request has in all of its routes."""
    methods: set[str] = set()
    for route in (*app.routes, *router.routes):
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return methods


def _add_pages(app: FastAPI) -> None:
    """Serve the front page and its files."""

    def page(name: str, media_type: str) -> Callable[[], Awaitable[Response]]:
        content = package_files(__package__).joinpath("web").joinpath(name).read_bytes()
        headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}

        async def respond() -> Response:
            return Response(content, media_type=media_type, headers=headers)

        return respond

    for path, (name, media_type) in PAGES.items():
        app.add_api_route(
            f"/{path}", page(name, media_type), methods=["GET", "HEAD"], include_in_schema=False
        )

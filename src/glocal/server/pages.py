"""The pages that the server shows, and the form of its errors."""

from collections.abc import Callable
from importlib.resources import files as package_files

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from glocal.server.middleware import PAGE_POLICY

PAGES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "results.js": ("results.js", "text/javascript; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}


def add_errors(app: FastAPI) -> None:
    """Every error is a sentence."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"error": "The address is wrong."}, 404)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": "The server failed; try again."}, 500)


def add_pages(app: FastAPI) -> None:
    """The front page and what it consists of."""

    def serve(name: str, media_type: str) -> Callable[[], Response]:
        content = package_files(__package__).joinpath("web").joinpath(name).read_bytes()
        headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
        return lambda: Response(content, media_type=media_type, headers=headers)

    for path, (name, media_type) in PAGES.items():
        app.add_api_route(f"/{path}", serve(name, media_type), include_in_schema=False)

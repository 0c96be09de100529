"""Checks of requests from other sites, and security headers of all responses: an ASGI middleware."""

import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
REPORT_POLICY = "sandbox allow-scripts allow-downloads; frame-ancestors 'none'"
"""A report has a stricter policy of its own. The sandbox separates it from the pages of the server: a script
in it could neither read the list of results in the browser nor send requests on its behalf."""

FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Content-Security-Policy": FILE_POLICY,
    "Cache-Control": "no-store",
}
_SAFE = ("GET", "HEAD")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:@/?#\[\]\\]+))(?::[0-9]*)?")


class RequestGuard:
    """Rejects requests for unknown host names and changes requested by other sites.

    A page of another site whose name is made to point at this machine could otherwise read all responses (DNS
    rebinding). The address at which a request arrives is a name of the server too: no site can have it.

    Args:
        app: the application behind it.
        hosts: host names of the server, in upper or lower case.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, {host.casefold() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["method"] not in _SAFE and message["status"] >= 400:
                    headers["Connection"] = "close"  # do not read the rest of the request
            await send(message)

        headers = Headers(scope=scope)
        error_response = None
        if _host_name(headers.get("host", "")) not in {*self._hosts, _own_address(scope)}:
            error_response = JSONResponse({"error": "This server is not known by that name."}, 421)
        elif scope["method"] not in _SAFE and _is_cross_site(headers):
            error_response = JSONResponse({"error": "Only pages of this server may send this request."}, 403)
        await (error_response or self._app)(scope, receive, send_with_headers)


def _own_address(scope: Scope) -> str:
    """Return the address of this machine at which a request arrived."""
    address = str((scope.get("server") or ("", 0))[0])
    return address.removeprefix("::ffff:").casefold()


def _host_name(host: str) -> str:
    """Return the host of `host:port` or `[host]:port`, or an empty text for anything else."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]).casefold() if match else ""


def _is_cross_site(headers: Headers) -> bool:
    """Return whether the browser marks the request as one of another site."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return True
    return origin is not None and origin.partition("://")[2].casefold() != headers.get("host", "").casefold()

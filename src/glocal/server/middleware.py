"""Who is let in, and what every answer says to the browser: an ASGI layer around the whole server."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
REPORT_POLICY = "sandbox allow-scripts allow-downloads; frame-ancestors 'none'"
"""A report brings a stricter policy of its own, and is shown apart from the server's pages: whatever ran in
it could neither read the history of a browser nor speak for it."""

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


class Door:
    """Refuses hosts that are not its own and changes that another site asks for.

    Args:
        hosts: names under which the server is reached; empty for any. Without them a page of another site
            whose name is made to point at this machine could read all that this server tells (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, {host.casefold() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def dress(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["method"] not in _SAFE and message["status"] >= 400:
                    headers["Connection"] = "close"  # whatever else the client would send
            await send(message)

        headers = Headers(scope=scope)
        refusal = None
        if self._hosts and _name(headers.get("host", "")) not in self._hosts:
            refusal = JSONResponse({"error": "This server is not known by that name."}, 421)
        elif scope["method"] not in _SAFE and _from_elsewhere(headers):
            refusal = JSONResponse({"error": "Only this server's own pages may ask for that."}, 403)
        await (refusal or self._app)(scope, receive, dress)


def _name(host: str) -> str:
    """The host of `host:port` or `[host]:port`."""
    try:
        return (urlsplit(f"//{host}").hostname or "").casefold()
    except ValueError:
        return ""


def _from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that a page of another site asks."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return True
    return origin is not None and origin.partition("://")[2].casefold() != headers.get("host", "").casefold()

"""Uploads: streamed to disk, cut off when too large or too slow, recognised by their first bytes."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from glocal.server.limits import Limits

NEEDED = 200
"""Bytes that `is_media` looks at."""

_STARTS = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"OggS",
    b"FLV\x01",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video
    b"YUV4MPEG2",
    b"GIF87a",
    b"GIF89a",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",  # JPEG
    b"BM",
    b"II*\x00",
    b"MM\x00*",
)
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_RIFF = (b"AVI ", b"WEBP")
_PACKETS = (188, 192)


def is_media(head: bytes) -> bool:
    """Whether `head`, the first `NEEDED` bytes of a file, begin a video or an image."""
    if head.startswith(_STARTS) or head[4:8] in _BOXES:
        return True
    if head[:4] == b"RIFF":
        return head[8:12] in _RIFF
    # MPEG transport streams, plain and with the 4 bytes of a time stamp before each packet
    return any(head[p - 188 :: p][:2] == b"GG" for p in _PACKETS)


FIELDS = 12
FIELD_BYTES = 4096
FORM_BYTES = 64 * 1024
"""What a form may have beside the clip."""

DRAINED_SECONDS = 10.0


class TooLarge(MultiPartException):
    """The body goes on for longer than is taken; the parser removes what it has."""


class Body:
    """The body of a request, which is read up to a limit."""

    def __init__(self, request: Request, limits: Limits) -> None:
        self._receive, self._limits = request.receive, limits
        self._ended = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body, piece by piece.

        Raises:
            TooLarge: it goes on.
            ClientDisconnect: it stops short of its end.
        """
        received = 0
        while not self._ended:
            chunk = await self._next()
            received += len(chunk)
            if received > self._limits.bytes + FORM_BYTES:
                raise TooLarge(too_large(self._limits))
            yield chunk

    async def drain(self) -> None:
        """Read on for a while and drop it: a browser listens to an answer only after it has said all."""

        async def read() -> None:
            received = 0
            while not self._ended and received <= self._limits.bytes:
                received += len(await self._next())

        with contextlib.suppress(asyncio.TimeoutError, ClientDisconnect):
            await asyncio.wait_for(read(), DRAINED_SECONDS)

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._ended = not message.get("more_body", False)
        return bytes(message.get("body", b""))


@asynccontextmanager
async def receive_form(request: Request, limits: Limits) -> AsyncIterator[FormData]:
    """The multipart form in a request; its file is a temporary one, which has no name and is soon gone.

    Raises:
        HTTPException: 413 too large, 408 too slow, 415 no multipart form, 422 a malformed one.
    """
    body = Body(request, limits)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        await body.drain()
        raise HTTPException(415, "Send the clip as multipart/form-data.")
    parser = MultiPartParser(
        request.headers, body.chunks(), max_files=1, max_fields=FIELDS, max_part_size=FIELD_BYTES
    )
    try:
        form = await asyncio.wait_for(parser.parse(), limits.upload)
    except asyncio.TimeoutError:
        raise HTTPException(408, f"The upload took longer than {limits.upload:g} seconds.") from None
    except TooLarge as error:
        await body.drain()
        raise HTTPException(413, error.message) from None
    except (MultiPartException, KeyError, ValueError) as error:
        await body.drain()
        raise HTTPException(422, "The form cannot be read; send it as multipart/form-data.") from error
    except ClientDisconnect:
        raise HTTPException(400, "The upload was cut short.") from None
    try:
        yield form
    finally:
        await form.close()


def too_large(limits: Limits) -> str:
    """The sentence for it."""
    return f"The file is larger than the {limits.bytes / 2**20:g} MB that are taken here; give a smaller one."

"""Uploads: streamed to disk, stopped if too large or too slow, and recognised by their first bytes."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from glocal.server.limits import Limits
from glocal.server.places import UploadPlace

HEADER_BYTES = 200
"""Bytes at the start of a file that `is_media` reads."""

_SIGNATURES = (
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
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_RIFF_FORMATS = (b"AVI ", b"WEBP")
_PACKET_BYTES = (188, 192)


def is_media(head: bytes) -> bool:
    """Return whether the first `HEADER_BYTES` bytes of a file are those of a video or an image."""
    if head.startswith(_SIGNATURES) or head[4:8] in _MP4_BOXES:
        return True
    if head[:4] == b"RIFF":
        return head[8:12] in _RIFF_FORMATS
    # MPEG transport streams, plain and with the 4 bytes of a time stamp before each packet
    return any(head[p - 188 :: p][:2] == b"GG" for p in _PACKET_BYTES)


MAX_FIELDS = 12
MAX_FIELD_BYTES = 4096
MAX_FORM_BYTES = 64 * 1024
"""Size of a form without the clip."""

DRAIN_SECONDS = 10.0

# The parser of forms warns of each malformed one, which its sender is told anyway.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())


class BodyTooLargeError(MultiPartException):
    """The body exceeds the limit; the parser then deletes its temporary file."""


class RequestBody:
    """The body of a request, read up to a limit.

    Args:
        request: its body has not been read yet.
        limits: of the upload.
        place: that counts what arrives.
    """

    def __init__(self, request: Request, limits: Limits, place: UploadPlace | None = None) -> None:
        self._receive, self._limits, self._place = request.receive, limits, place
        self._ended = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body in chunks.

        Raises:
            BodyTooLargeError: it exceeds the limit.
            ClientDisconnect: the client closes the connection before its end.
        """
        received = 0
        while not self._ended:
            chunk = await self._next()
            received += len(chunk)
            if self._place is not None:
                self._place.count(len(chunk))
            if received > self._limits.bytes + MAX_FORM_BYTES:
                raise BodyTooLargeError(too_large_message(self._limits))
            yield chunk

    async def drain(self) -> None:
        """Read and drop the rest of the body: browsers read a response only after sending it whole."""

        async def read() -> None:
            received = 0
            while not self._ended and received <= self._limits.bytes:
                received += len(await self._next())

        with contextlib.suppress(asyncio.TimeoutError, ClientDisconnect):
            await asyncio.wait_for(read(), DRAIN_SECONDS)

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._ended = not message.get("more_body", False)
        return bytes(message.get("body", b""))


@asynccontextmanager
async def receive_form(request: Request, limits: Limits, place: UploadPlace) -> AsyncIterator[FormData]:
    """Parse the multipart form of a request; its file is temporary and deleted at the end of the context.

    Raises:
        HTTPException: 413 too large, 408 too slow, 415 no multipart form, 422 malformed, 400 interrupted, 503
            gave way to another upload.
    """
    body = RequestBody(request, limits, place)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        await body.drain()
        raise HTTPException(415, "Send the clip as multipart/form-data.")
    parser = MultiPartParser(
        request.headers, body.chunks(), max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
    )
    parsing = asyncio.ensure_future(parser.parse())
    place.on_give_way(parsing.cancel)
    try:
        form = await asyncio.wait_for(parsing, limits.upload)
    except asyncio.CancelledError:
        if not place.gave_way:
            raise
        raise HTTPException(
            503, "The upload was stopped, as others wait and it is slow; try again.", {"Retry-After": "60"}
        ) from None
    except asyncio.TimeoutError:
        raise HTTPException(408, f"The upload took longer than {limits.upload:g} seconds.") from None
    except BodyTooLargeError as error:
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


def too_large_message(limits: Limits) -> str:
    """Return the error message for a file that exceeds the limit."""
    return f"The file is larger than the {limits.bytes / 2**20:g} MB that are allowed; give a smaller one."

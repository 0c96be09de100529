"""What a file is, by its first bytes: the first look at an upload, before a decoder sees it."""

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

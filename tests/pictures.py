"""Small pictures for tests: real ones, and what a camera writes beside them."""

import base64
import struct
import zlib

_ONE_DOT = (
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////"
    "////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA="
)
JPEG = base64.b64decode(_ONE_DOT) + b"\xff\xd9"
HOME = b"50.00 N 8.25 E, Rheinstr. 1"


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def png(*more: bytes, shade: int = 128, width: int = 4, height: int = 4) -> bytes:
    """A grey picture; `more` are chunks between its header and its data."""
    rows = (b"\0" + bytes([shade]) * width) * height
    parts = [
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        *more,
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    return b"".join(parts)


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def exif(orientation: int, order: str = ">") -> bytes:
    """What a camera says: which way up the picture is, and where it was taken."""
    head = b"MM" if order == ">" else b"II"
    tags = [(0x010F, 2, 4, 0x41424300), (0x0112, 3, 1, orientation << 16 if order == ">" else orientation)]
    body = b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags)
    tiff = head + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", len(tags)) + body + b"\0\0\0\0" + HOME
    return segment(0xE1, b"Exif\0\0" + tiff)


def jpeg(*more: bytes) -> bytes:
    """The picture of one dot with further segments at its beginning."""
    return JPEG[:2] + b"".join(more) + JPEG[2:]

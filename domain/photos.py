"""Photos: what counts as one, judged by its bytes and never by its name, and what of it is kept.

Where and with what a photo was taken is nobody's business: what a camera writes beside the picture is left out. Only
which way up it is stays, or a page would show it lying on its side.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from domain.errors import Malformed

MEDIA_TYPES = ("image/jpeg", "image/png")
ENDINGS = {"image/jpeg": "jpg", "image/png": "png"}
MAX_PIXELS = 80_000_000
MAX_SCANS = 100  # passes in which a JPEG is drawn; cameras make ten, and each costs whoever draws it the whole picture
MAX_PROFILE = 1_000_000  # bytes of a PNG's profile of colours, unpacked
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"

_END, _SCAN = 0xD9, 0xDA
_RESTARTS = frozenset(range(0xD0, 0xD8))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Tables, frames, scans and their restarts: what a picture consists of. Whatever else stands in a file can be anything.
_PICTURE = _FRAMES | {0xC4, 0xCC, _END, _SCAN, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF}
_JFIF, _ADOBE, _COLOURS = b"JFIF\0", b"Adobe", b"ICC_PROFILE\0"
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
# The picture, its transparency, and how its colours are meant. What a reader may skip and is not named here is dropped.
_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"pHYs"}
)


class Photo(NamedTuple):
    """A picture that may be kept and shown: one of `MEDIA_TYPES`, and its bytes without anything but the picture."""

    media_type: str
    content: bytes


def checked(content: bytes, *, most_bytes: int) -> Photo:
    """The picture in an upload. Raises `Malformed` for what is no whole JPEG or PNG, or is too large."""
    if not content:
        raise Malformed("The photo is empty. Take it again.")
    if len(content) > most_bytes:
        raise Malformed(f"A photo has {most_bytes // 1_000_000} MB at most. Take it with a lower resolution.")
    try:
        if content.startswith(_JPEG):
            return Photo("image/jpeg", _jpeg(content))
        if content.startswith(_PNG):
            return Photo("image/png", _png(content))
    except (IndexError, struct.error) as error:
        raise _broken() from error
    raise Malformed("This is no photo that can be shown. Send a JPEG or a PNG, as cameras of phones make them.")


def _broken() -> Malformed:
    return Malformed("The photo is damaged or was cut off on its way. Send it again.")


def _check_size(width: int, height: int) -> None:
    if not width or not height or width * height > MAX_PIXELS:
        raise Malformed(f"A photo has {MAX_PIXELS // 1_000_000} million pixels at most. Take it with fewer.")


# ---------------------------------------------------------------------- JPEG
def _jpeg(content: bytes) -> bytes:
    """The same picture up to its end, without comments and application data but for its colours and its way up."""
    kept, way_up, has_frame, scans = [_JPEG], b"", False, 0
    for marker, segment in _segments(content):
        body = segment[4:]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", body[1:5])
            _check_size(width, height)
            has_frame = True
        if marker == 0xE1 and body.startswith(_EXIF) and not way_up:
            way_up = _exif_of(_orientation(body[len(_EXIF) :]))
        scans += marker == _SCAN
        if scans > MAX_SCANS:
            raise Malformed(f"A photo is drawn in {MAX_SCANS} passes at most. Send it as your camera has made it.")
        if marker in _PICTURE:
            kept.append(segment)
        else:
            kept.append(_about_colours(marker, body))
    if not has_frame or len(kept) < 3:
        raise _broken()
    return b"".join([kept[0], way_up, *kept[1:]])


def _about_colours(marker: int, body: bytes) -> bytes:
    """What a segment beside the picture says of how its colours and dots are coded; nothing for any other, and nothing
    that it carries along: the head of JFIF may hold a small picture of what this one was before it was cut.
    """
    if marker == 0xE0 and body.startswith(_JFIF) and len(body) >= 14:
        return _segment(marker, body[:12] + bytes(2))
    if marker == 0xEE and body.startswith(_ADOBE) and len(body) >= 12:
        return _segment(marker, body[:12])
    return _segment(marker, body) if marker == 0xE2 and body.startswith(_COLOURS) else b""


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, its bytes) up to the end of the picture; a scan's bytes include its data. Raises as it is malformed."""
    at = len(_JPEG)
    while True:
        if content[at] != 0xFF:
            raise _broken()
        marker = content[at + 1]
        if marker == 0xFF:  # fill bytes may stand before a marker
            at += 1
            continue
        if marker == _END:
            yield marker, content[at : at + 2]
            return
        (length,) = struct.unpack_from(">H", content, at + 2)
        end = at + 2 + length
        if length < 2 or end > len(content):
            raise _broken()
        if marker == _SCAN:
            end = _end_of_scan(content, end)
        yield marker, content[at:end]
        at = end


def _end_of_scan(content: bytes, at: int) -> int:
    """Where the next marker stands that is no part of the scan's data."""
    while True:
        at = content.find(b"\xff", at)
        if at < 0:
            raise _broken()
        after = content[at + 1]
        if after != 0 and after not in _RESTARTS and after != 0xFF:
            return at
        at += 1 if after == 0xFF else 2


def _orientation(tiff: bytes) -> int:
    """1 to 8, as Exif counts them; 1 where it says none, or something else."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for number in range(min(count, 200)):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * number)
            if tag == _ORIENTATION and kind == 3:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1  # what the camera wrote is beside the picture, which may be whole all the same
    return 1


def _exif_of(orientation: int) -> bytes:
    """A segment that says nothing but which way up the picture is; none for the usual way."""
    if orientation == 1:
        return b""
    tiff = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)
    body = _EXIF + tiff
    return _segment(0xE1, body)


# ---------------------------------------------------------------------- PNG
def _png(content: bytes) -> bytes:
    """The same picture up to its end: its own chunks, each with the checksum that it must have."""
    kept, at, kind = [_PNG], len(_PNG), b""
    has_data = False
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if end > len(content) or zlib.crc32(content[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end]):
            raise _broken()
        if (kind == b"IHDR") is not (at == len(_PNG)):
            raise _broken()
        if kind == b"IHDR":
            _check_size(*struct.unpack_from(">II", content, at + 8))
        has_data = has_data or kind == b"IDAT"
        if kind in _PNG_KEPT and (kind != b"iCCP" or _is_profile(content[at + 8 : end - 4])):
            kept.append(content[at:end])
        at = end
    if not has_data:
        raise _broken()
    return b"".join(kept)


def _is_profile(body: bytes) -> bool:
    """Whether a profile of colours can be unpacked, and stays small: a few bytes of it may be any number."""
    packed = body.partition(b"\0")[2][1:]
    reader = zlib.decompressobj()
    try:
        reader.decompress(packed, MAX_PROFILE)
    except zlib.error:
        return False
    return reader.eof

"""Photos as browsers send and show them: read from a form, put into their store, given back under safe headers.

A form that carries photos is `multipart/form-data`. Names of files are never looked at.
"""

import re
import uuid
from collections.abc import Sequence
from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile

from domain.errors import Busy, Malformed, NotFound
from domain.photos import ENDINGS, Photo, checked
from ledger.photos import Stored
from ledger.reads.photos import Picture
from ports.photos import PhotoMissingError, PhotosAwayError, PhotoStore
from settings import Settings

AT_ONCE = 4
PhotoId = Annotated[int, Path(ge=1, le=2**63 - 1)]
# The addresses to which photos are sent; a larger body is refused everywhere else.
SENT_TO = re.compile(r"/c/[^/]+|/store/[^/]+/inspect/.+")


def most_bytes(settings: Settings, path: str) -> int:
    """How large a request to an address may be."""
    if SENT_TO.fullmatch(path):
        return AT_ONCE * settings.photo_max_bytes + settings.max_body_bytes
    return settings.max_body_bytes


def _store(request: Request) -> PhotoStore:
    found: PhotoStore = request.app.state.photos
    return found


async def pictures(request: Request, form: FormData, name: str) -> list[Photo]:
    """The pictures in a field of a form. Raises `Malformed` for what is none, or for too many at once."""
    settings: Settings = request.app.state.settings
    files = [one for one in form.getlist(name) if isinstance(one, UploadFile) and (one.size or one.filename)]
    if len(files) > AT_ONCE:
        raise Malformed(f"Send {AT_ONCE} photos at once at most; send the others after them.")
    return [checked(await one.read(), most_bytes=settings.photo_max_bytes) for one in files]


async def put(request: Request, photos: Sequence[tuple[str | None, Photo]]) -> list[Stored]:
    """Put pictures, each with the line it shows, where they are kept; nobody finds them before their rows are written.

    Raises `Busy` where they cannot be kept just now.
    """
    stored = []
    for line_id, photo in photos:
        key = uuid.uuid4().hex
        try:
            await _store(request).put(key, photo.content, photo.media_type)
        except PhotosAwayError as error:
            raise Busy("Photos cannot be kept just now; nothing was saved. Send it again in a moment.") from error
        stored.append(Stored(key, photo, line_id))
    return stored


async def shown(request: Request, found: Picture) -> Response:
    """A picture as a response that a browser can do nothing with but draw it.

    Raises `NotFound` where its file is gone, `Busy` where the store is away.
    """
    try:
        content = await _store(request).get(found.storage_key)
    except PhotoMissingError as error:
        raise NotFound(f"Photo {found.id} is not in the store of photos any more.") from error
    except PhotosAwayError as error:
        raise Busy("Photos cannot be read just now. Open it again in a moment.") from error
    headers = {
        "Content-Disposition": f'inline; filename="photo-{found.id}.{ENDINGS[found.media_type]}"',
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
        "Cache-Control": "private, no-store",
    }
    return Response(content, media_type=found.media_type, headers=headers)

"""Photos as browsers send and show them: read from a form, put into their store, served under safe headers.

A form that carries photos is `multipart/form-data`. Names of files are never looked at.
"""

import logging
import re
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile

from domain.errors import Busy, Malformed, NotFound
from domain.photos import ENDINGS, Photo, checked
from ledger.photos import Stored, written
from ledger.reads.photos import Picture
from ports.photos import PhotoMissingError, PhotosAwayError, PhotoStore
from settings import Settings
from web.sessions import database_of

log = logging.getLogger("endcap.web")
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


@asynccontextmanager
async def put(request: Request, photos: Sequence[tuple[str | None, Photo]]) -> AsyncIterator[list[Stored]]:
    """Put pictures, each with the line it shows, where they are kept, for somebody who writes their rows meanwhile;
    nobody finds them before. Those that have no row in the end (refused, or the same once more) are removed: what
    nobody counts would fill the store.

    Raises `Busy` where they cannot be kept just now.
    """
    stored: list[Stored] = []
    try:
        for line_id, photo in photos:
            key = uuid.uuid4().hex
            stored.append(Stored(key, photo, line_id))
            try:
                await _store(request).put(key, photo.content, photo.media_type)
            except PhotosAwayError as error:
                raise Busy("Photos cannot be kept just now; nothing was saved. Send it again in a moment.") from error
        yield stored
    finally:
        if stored:
            await _remove_without_rows(request, [one.key for one in stored])


async def _remove_without_rows(request: Request, keys: Sequence[str]) -> None:
    async with database_of(request).read() as conn:
        without = set(keys) - await written(conn, keys)
    for key in sorted(without):
        try:
            await _store(request).remove(key)
        except PhotosAwayError as error:
            log.warning("photo %s has no row and could not be removed: %s", key, error)


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

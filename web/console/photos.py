"""Photos of what came back, for everybody who may see the journey that they belong to."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ledger.reads.photos import picture
from web import photos
from web.pages import ConsoleRoute
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)


@router.get("/console/photos/{photo_id}")
async def show(request: Request, person: SignedIn, photo_id: photos.PhotoId) -> Response:
    async with database_of(request).read() as conn:
        found = await picture(conn, person, photo_id)
    return await photos.shown(request, found)

"""The first page of a store: what is to do now, and how much of each kind of work there is."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from ledger.reads.store import stores_of
from web.journeys import work_of
from web.pages import ConsoleRoute, page, path
from web.sessions import SignedIn, database_of
from web.store.floor import floor_of

router = APIRouter(route_class=ConsoleRoute)


@router.get("/store")
async def choose(request: Request, person: SignedIn) -> Response:
    """The store of somebody who has one; else the choice."""
    async with database_of(request).read() as conn:
        found = await stores_of(conn, person)
    if len(found) == 1:
        return RedirectResponse(f"/store/{path(found[0].code)}", status_code=303)
    return page(request, "store/choose.html", {"person": person, "section": "store", "stores": found})


@router.get("/store/{location}")
async def show(request: Request, person: SignedIn, location: str) -> Response:
    """What to do first, and all that there is to do."""
    floor = await floor_of(request, person, location)
    async with database_of(request).read() as conn:
        tasks, tiles = await work_of(conn, floor.place)
    return floor.show("store/home.html", {"tasks": tasks, "tiles": tiles})

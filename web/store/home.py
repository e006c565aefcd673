"""The first page of a store: what is to do now, and how much of each kind of work there is."""

from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reads.counts import to_count
from ledger.reads.store import FloorOrder, StorePlace, Task, counts, orders_for, stores_of
from web.pages import ConsoleRoute, address, page, path
from web.sessions import SignedIn, database_of
from web.store.floor import floor_of

router = APIRouter(route_class=ConsoleRoute)
FIRST: tuple[Task, ...] = ("verify", "pick", "put_away")


class Tile(NamedTuple):
    """A kind of work: how much there is of it, and the way to it."""

    label: str
    waiting: int
    href: str
    says: str


async def tiles(conn: AsyncConnection, place: StorePlace) -> list[Tile]:
    """The kinds of work of a store, the most urgent first. Another kind of work adds its line here."""
    found = await counts(conn, place)
    base = f"/store/{path(place.code)}"
    counting = address("/console/counts", {"location": place.code})
    return [
        Tile("Verify", found["verify"], f"{base}/pick#verify", "promised units that may be gone"),
        Tile("Pick", found["pick"], f"{base}/pick", "orders to bring to the hold shelf"),
        Tile("Hand over", found["hand_over"], f"{base}/hand-over", "orders that wait for their customer"),
        Tile("Count", await to_count(conn, place.code), counting, "shelves whose book is in doubt, and today's sheet"),
        Tile("Put away", found["put_away"], f"{base}/put-away", "goods that nobody will collect"),
    ]


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
        first: dict[Task, FloorOrder | None] = {}
        for task in FIRST:
            waiting = await orders_for(conn, floor.place, task)
            first[task] = waiting[0] if waiting else None
        ready = await orders_for(conn, floor.place, "hand_over")
        outside = [order for order in ready if order.arrived_at is not None]
        context: dict[str, Any] = {"outside": outside, "tiles": await tiles(conn, floor.place), "first": first}
    return floor.show("store/home.html", context)

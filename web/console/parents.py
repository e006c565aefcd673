"""The page of a parent: the cases of one cause, open and closed, and the way to decide those that are open together."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ledger.reads.parents import parent_view
from ledger.reads.places import all_places, item_names, zone_of
from web.pages import ConsoleRoute, page
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)


@router.get("/console/parents/{parent_id}")
async def show(request: Request, person: SignedIn, parent_id: int) -> Response:
    async with database_of(request).read() as conn:
        parent = await parent_view(conn, person, parent_id)
        context = {
            "person": person,
            "section": "queue",
            "parent": parent,
            "places": await all_places(conn),
            "names": await item_names(conn, {parent.sku} - {""}),
            "zone": await zone_of(conn, person),
        }
    return page(request, "parent.html", context)

"""Working through a view: the filters of the queue travel in the address from case to case.

Whoever opens a case from the queue gets the next case of the same view after a decision, or by the link *Next*; at the
end of the view the queue says so.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.reads.cases import case_row
from ledger.reads.following import next_case
from ledger.reads.places import zone_of
from web.console.queue_address import filter_of, read_address
from web.pages import ConsoleRoute, address, see
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)


def view_of(request: Request) -> dict[str, str]:
    """The view that a case was opened from, by its address; nothing where it was opened by itself."""
    if "tab" not in request.query_params:
        return {}
    wanted = read_address(request.query_params)
    return {"tab": wanted.tab, **wanted.given}


def tail(view: Mapping[str, str]) -> str:
    """What an address needs behind it, so that the view travels along."""
    return f"?{urlencode(view)}" if view else ""


def tail_of(request: Request) -> str:
    """The same for the page that was asked for, with its case's place in the view."""
    view, place = view_of(request), request.query_params.get("at")
    return tail({**view, "at": place} if view and place else view)


async def next_address(conn: AsyncConnection, person: Person, case_id: int, request: Request, *, decided: bool) -> str:
    """Where the next case of the view is (without a view, of all open cases); at its end the queue, which says so."""
    view = view_of(request) or {"tab": "all"}
    now = datetime.now(UTC)
    filters = await filter_of(conn, read_address(view), person, now, await zone_of(conn, person))
    found = await next_case(conn, person, filters, case_id, request.query_params.get("at"))
    said = {"after": str(case_id)} if decided else {}
    if found is None:
        return address("/console/queue", {**view, **said, "end": "yes"})
    return address(f"/console/cases/{found.id}", {**view, **said, "at": found.place})


@router.get("/console/cases/{case_id}/next")
async def go_on(request: Request, person: SignedIn, case_id: int) -> Response:
    async with database_of(request).read() as conn:
        await case_row(conn, person, case_id)  # not found, unless the person may see it
        where = await next_address(conn, person, case_id, request, decided=False)
    return see(request, where)

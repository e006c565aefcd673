"""Working through a view: the filters of the queue travel in the address from case to case.

Whoever opens a case from the queue gets the next case of the same view after a decision, or by the link *Next*; at the
end of the view the queue says so.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.reads.cases import case_detail
from ledger.reads.following import next_case
from ledger.reads.places import zone_of
from web.console.queue import filter_of, read_address
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


async def next_address(
    conn: AsyncConnection, person: Person, case_id: int, view: Mapping[str, str], *, decided: bool = False
) -> str:
    """Where the next case of the view is; at its end the queue, which says so."""
    now = datetime.now(UTC)
    filters = await filter_of(conn, read_address(view), person, now, await zone_of(conn, person))
    found = await next_case(conn, person, filters, case_id)
    where = f"/console/cases/{found}" if found is not None else "/console/queue"
    said: dict[str, object] = {"after": case_id} if decided else {}
    return address(where, {**view, **said, "end": "yes" if found is None else None})


@router.get("/console/cases/{case_id}/next")
async def go_on(request: Request, person: SignedIn, case_id: int) -> Response:
    """The next case of the view; without a view, of all open ones."""
    view: dict[str, Any] = view_of(request) or {"tab": "all"}
    async with database_of(request).read() as conn:
        await case_detail(conn, person, case_id)  # not found, unless the person may see it
        where = await next_address(conn, person, case_id, view)
    return see(request, where)

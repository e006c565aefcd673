"""Approvers: who approves what at a place, from which amount, how many, and who stands in today."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from domain.errors import NotFound
from ledger import reference
from ledger.reads.approvers import approvers
from ledger.reads.places import visible_places
from web.pages import ConsoleRoute, page
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)


@router.get("/console/approvers")
async def show(request: Request, person: SignedIn, place: str = "") -> Response:
    """The matrix of one place; the first that the reader sees unless the address names one."""
    now = datetime.now(UTC)
    async with database_of(request).read() as conn:
        places = await visible_places(conn, person)
        here = next((one for one in places if one.code == place), None)
        if here is None and place:
            raise NotFound(f"There is no location {place} that you see.")
        here = here or (places[0] if places else None)
        found, currency = [], ""
        if here is not None:
            known = await reference.place(conn, here.code)
            currency = known.currency
            found = await approvers(conn, await reference.policy_at(conn, known, now), here, now)
    context = {
        "person": person,
        "section": "more",
        "places": places,
        "at": here,
        "currency": currency,
        "asked": found,
        "gaps": [one for one in found if not one.is_answerable],
    }
    return page(request, "approvers.html", context)

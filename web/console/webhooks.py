"""Webhooks for whoever owns integrations: which there are, what became of each delivery, sending one again."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from domain.errors import NotAllowed
from domain.people import Person
from ledger import webhooks
from ledger.reads.places import zone_of
from ledger.reads.webhooks import endpoint_detail, list_deliveries, list_endpoints
from web.pages import ConsoleRoute, address, page, see
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
ROLES = ("integration_owner", "admin")
STATES = ("queued", "sent", "failed")


def _check(person: Person) -> None:
    if not any(person.has_role(role) for role in ROLES):
        raise NotAllowed("Webhooks are looked after by integration owners and admins.")


@router.get("/console/webhooks")
async def show_all(request: Request, person: SignedIn) -> Response:
    """Every endpoint with what waits for it."""
    _check(person)
    async with database_of(request).read() as conn:
        found, zone = await list_endpoints(conn, owner=None), await zone_of(conn, person)
    return page(request, "webhooks.html", {"person": person, "section": "more", "endpoints": found, "zone": zone})


@router.get("/console/webhooks/{webhook_id}")
async def show_one(
    request: Request, person: SignedIn, webhook_id: str, state: str = "", cursor: str | None = None
) -> Response:
    """The log of one endpoint. Raises `NotFound`."""
    _check(person)
    state = state if state in STATES else ""
    async with database_of(request).read() as conn:
        endpoint = await endpoint_detail(conn, webhook_id, owner=None)
        found = await list_deliveries(conn, webhook_id, owner=None, state=state or None, cursor=cursor or None)
        zone = await zone_of(conn, person)
    here = f"/console/webhooks/{webhook_id}"
    context = {
        "person": person,
        "section": "more",
        "endpoint": endpoint,
        "deliveries": found.items,
        "states": STATES,
        "chosen": state,
        "next_page": address(here, {"state": state, "cursor": found.next}) if found.next else None,
        "zone": zone,
    }
    return page(request, "webhook.html", context)


@router.post("/console/webhooks/{webhook_id}/redeliver")
async def send_again(
    request: Request, person: SignedIn, webhook_id: str, delivery: Annotated[int, Form(ge=1, lt=2**63)]
) -> Response:
    """Send one delivery again, under the same message id."""
    _check(person)
    await webhooks.redeliver(database_of(request), webhook_id, delivery, owner=None, actor=person.id, via="console")
    return see(request, f"/console/webhooks/{webhook_id}")


@router.post("/console/webhooks/{webhook_id}/enable")
async def enable(request: Request, person: SignedIn, webhook_id: str) -> Response:
    """Send to a disabled endpoint again."""
    _check(person)
    await webhooks.enable(database_of(request), webhook_id, owner=None, actor=person.id, via="console")
    return see(request, f"/console/webhooks/{webhook_id}")

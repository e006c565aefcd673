"""Promotions: the list with its filters in the address. One of them is a journey's page."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from domain.journey_kinds import JOURNEY_KINDS
from ledger.reads.places import all_places, visible_places, zone_of
from ledger.reads.promotions import PromotionFilter, list_promotions
from web.pages import ConsoleRoute, address, page
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
FIELDS = ("state", "channel", "location", "sku", "text")


@router.get("/console/promotions")
async def show_list(request: Request, person: SignedIn) -> Response:
    """Promotions at the places that the person sees, those that begin last first, narrowed by what the address says.

    `now=on` are those that run at this moment.
    """
    given = {name: value for name in FIELDS if (value := request.query_params.get(name, "").strip())}
    unknown = [name for name in request.query_params if name not in {*FIELDS, "now", "cursor"}]
    now = request.query_params.get("now") == "on"
    wanted = PromotionFilter.model_validate({**given, "running_at": _this_minute() if now else None})
    kept = {**given, "now": "on"} if now else given
    cursor = request.query_params.get("cursor") or None
    async with database_of(request).read() as conn:
        found = await list_promotions(conn, person, wanted, cursor=cursor)
        context: dict[str, Any] = {
            "places": await all_places(conn),
            "choices": await visible_places(conn, person),
            "zone": await zone_of(conn, person),
        }
    kind = JOURNEY_KINDS["promotion"]
    context |= {
        "person": person,
        "section": kind.section,
        "kind": kind,
        "promotions": found.items,
        "channels": sorted(request.app.state.settings.price_channels),
        "given": given,
        "running": now,
        "narrowed": bool(kept),
        "unknown": unknown,
        "cursor": cursor,
        "first_page": address(kind.list_page, kept),
        "next_page": address(kind.list_page, {**kept, "cursor": found.next}) if found.next else None,
    }
    return page(request, "promotions/list.html", context)


def _this_minute() -> datetime:
    """A list is read on with the same filters, and the instant is one of them."""
    return datetime.now(UTC).replace(second=0, microsecond=0)

"""Promotions: the list with its filters in the address, and what people do to one: submit it, call it off, end it.

One of them is a journey's page.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from domain.errors import DomainError, Malformed, NotFound
from domain.journey_kinds import JOURNEY_KINDS, journey_page
from domain.people import Person
from domain.promotions import PromotionView
from ledger.promotion import intake, requests
from ledger.reads.places import all_places, visible_places, zone_of
from ledger.reads.promotions import PromotionFilter, list_promotions, promotion_view
from web.console.defining_promotions import check_promotes, promotes_somewhere
from web.console.journeys import show_one
from web.pages import ConsoleRoute, address, page, see
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
Reason = Annotated[str, Form(max_length=200)]
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
        "may_define": promotes_somewhere(person),
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


async def _change(
    request: Request,
    person: Person,
    promotion_id: str,
    change: Callable[[PromotionView], Awaitable[None]],
    *,
    reason: str | None = None,
) -> Response:
    """Do it and show the promotion; a refusal stands on its page. `reason`: one that has to be given."""
    async with database_of(request).read() as conn:
        found = await promotion_view(conn, person, promotion_id)
        places = await all_places(conn)
    try:
        check_promotes(person, found, places)
        if reason is not None and not reason.strip():
            raise Malformed("Say why.")
        await change(found)
    except NotFound:
        raise
    except DomainError as refused:
        return await show_one(request, person, found.journey_id, refused=refused)
    return see(request, journey_page(found.journey_id))


@router.post("/console/promotions/{promotion_id}/submit")
async def submit(request: Request, person: SignedIn, promotion_id: str) -> Response:
    """Submit a draft as it stands."""

    async def change(found: PromotionView) -> None:
        await intake.submit(database_of(request), found.journey_id, actor=person.id, via="console")

    return await _change(request, person, promotion_id, change)


@router.post("/console/promotions/{promotion_id}/cancel")
async def cancel(request: Request, person: SignedIn, promotion_id: str, reason: Reason = "") -> Response:
    """Call it off before it begins."""

    async def change(found: PromotionView) -> None:
        await requests.cancel(
            database_of(request), found.journey_id, reason=reason.strip(), actor=person.id, via="console"
        )

    return await _change(request, person, promotion_id, change, reason=reason)


@router.post("/console/promotions/{promotion_id}/end")
async def end(request: Request, person: SignedIn, promotion_id: str, reason: Reason = "") -> Response:
    """End one that has begun, now."""

    async def change(found: PromotionView) -> None:
        await requests.end(
            database_of(request), found.journey_id, at=None, reason=reason.strip(), actor=person.id, via="console"
        )

    return await _change(request, person, promotion_id, change, reason=reason)

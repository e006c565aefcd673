"""Promotions: the list with its filters in the address, and what people do to one: submit it, call it off, end it.

One of them is a journey's page.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import DomainError, Malformed, NotFound
from domain.journey_kinds import JOURNEY_KINDS, journey_page
from domain.people import Person
from domain.promotions import PlaceView, PromotedLineView, PromotionView
from ledger.promotion import intake, requests
from ledger.reads.paging import Page
from ledger.reads.places import all_places, visible_places, zone_of
from ledger.reads.promotions import (
    PromotionFilter,
    PromotionSummary,
    by_state,
    list_promotions,
    promotion_view,
)
from ledger.reads.wrong_prices import WrongPrice, wrong_prices
from web.console.csv_exports import csv_export
from web.console.defining_promotions import check_promotes, instant_of, promotes_somewhere
from web.console.journeys import show_one
from web.console.list_address import Address, read_address
from web.journeys.promotion import DUES
from web.kept import typed_again
from web.pages import ConsoleRoute, address, page, see
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
Reason = Annotated[str, Form(max_length=200)]
KIND = JOURNEY_KINDS["promotion"]
STATES = ("open", "closed", *KIND.transitions)
# The tabs: what each is called, and the states under it.
TABS = (
    ("Drafts", "draft"),
    ("To be agreed", "pending_approval"),
    ("To come", "approved,publishing"),
    ("Running", "active"),
    ("Being taken back", "reverting"),
    ("Over", "ended,settled,cancelled"),
)
SAYS: dict[str, Callable[[str], bool]] = {
    "state": lambda value: set(value.split(",")) <= set(STATES),
    "channel": bool,
    "location": bool,
    "sku": bool,
    "text": bool,
    "now": lambda value: value == "on",
    "asked": lambda value: value == "on",
}
COLUMNS = (
    "promotion_id", "source", "name", "state", "suspended", "offer_words", "stacking", "starts_at", "ends_at", "items",
    "places", "margin_permille", "discount_minor", "currency", "wrong", "cases", "approval_id", "due", "due_at",
)  # fmt: skip


def _filters(asked: Address) -> PromotionFilter:
    """`now=on` are those that run at this moment."""
    given = {name: value for name, value in asked.given.items() if name not in ("now", "asked")}
    running_at = _this_minute() if "now" in asked.given else None
    return PromotionFilter.model_validate({**given, "running_at": running_at, "asked": "asked" in asked.given})


def _this_minute() -> datetime:
    """A list is read on with the same filters, and the instant is one of them."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


@router.get("/console/promotions")
async def show_list(request: Request, person: SignedIn) -> Response:
    """Promotions at the places that the person sees, those that begin last first, narrowed by what the address says."""
    asked = read_address(request.query_params, SAYS)
    filters = _filters(asked)
    cursor = request.query_params.get("cursor") or None
    async with database_of(request).read() as conn:
        found = await list_promotions(conn, person, filters, cursor=cursor)
        counted = await by_state(conn, person, filters)
        context: dict[str, Any] = {
            "places": await all_places(conn),
            "choices": await visible_places(conn, person),
            "zone": await zone_of(conn, person),
        }
    others = {name: value for name, value in asked.given.items() if name != "state"}
    tabs = [
        (name, sum(counted.get(state, 0) for state in states.split(",")), states,
         address(KIND.list_page, {"state": states, **others}))
        for name, states in TABS
    ]  # fmt: skip
    context |= {
        "person": person,
        "section": KIND.section,
        "kind": KIND,
        "promotions": found.items,
        "channels": sorted(request.app.state.settings.price_channels),
        "given": asked.given,
        "tabs": tabs,
        "all_page": address(KIND.list_page, others),
        "dues": DUES,
        "states": STATES,
        "may_define": promotes_somewhere(person),
        "unknown": asked.unknown,
        "cursor": cursor,
        "csv": address(f"{KIND.list_page}.csv", asked.given),
        "first_page": address(KIND.list_page, asked.given),
        "next_page": address(KIND.list_page, {**asked.given, "cursor": found.next}) if found.next else None,
    }
    return page(request, "promotions/list.html", context)


@router.get("/console/promotions.csv")
async def as_table(request: Request, person: SignedIn) -> Response:
    """Raises `Malformed` for what an address says that means nothing: in a file nobody would see it left out."""
    asked = read_address(request.query_params, SAYS).whole()
    filters = _filters(asked)

    async def read(conn: AsyncConnection, cursor: str | None, limit: int) -> Page[PromotionSummary]:
        return await list_promotions(conn, person, filters, cursor=cursor, limit=limit)

    return csv_export(request, person, "promotions", COLUMNS, read)


@router.get("/console/promotions/{promotion_id}/prices.csv")
async def wrong_as_table(request: Request, person: SignedIn, promotion_id: str) -> Response:
    """Every price of it that a channel does not show as it should, or that was given up."""
    database = database_of(request)
    async with database.read() as conn:
        found = await promotion_view(conn, person, promotion_id)

    async def read(conn: AsyncConnection, cursor: str | None, limit: int) -> Page[WrongPrice]:
        return await wrong_prices(conn, found.journey_id, cursor=cursor, limit=limit)

    return csv_export(request, person, f"prices-{found.promotion_id}", list(WrongPrice.model_fields), read)


@router.get("/console/promotions/{promotion_id}/lines.csv")
async def lines_as_table(request: Request, person: SignedIn, promotion_id: str) -> Response:
    """Every line of it; its page shows the first ones."""
    database = database_of(request)
    async with database.read() as conn:
        found = await promotion_view(conn, person, promotion_id)
    return csv_export(
        request, person, f"lines-{found.promotion_id}", list(PromotedLineView.model_fields), _known(found.lines)
    )


@router.get("/console/promotions/{promotion_id}/places.csv")
async def places_as_table(request: Request, person: SignedIn, promotion_id: str) -> Response:
    """Every place of each of its channels."""
    database = database_of(request)
    async with database.read() as conn:
        found = await promotion_view(conn, person, promotion_id)
    return csv_export(
        request, person, f"places-{found.promotion_id}", list(PlaceView.model_fields), _known(found.places)
    )


def _known[T: BaseModel](rows: Sequence[T]) -> Callable[[AsyncConnection, str | None, int], Awaitable[Page[T]]]:
    """Rows that are there already, page by page."""

    async def read(_conn: AsyncConnection, cursor: str | None, limit: int) -> Page[T]:
        begin = int(cursor or 0)
        end = begin + limit
        return Page(items=list(rows[begin:end]), next=str(end) if end < len(rows) else None)

    return read


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
        return await typed_again(request, await show_one(request, person, found.journey_id, refused=refused))
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


@router.post("/console/promotions/{promotion_id}/move")
async def move(
    request: Request,
    person: SignedIn,
    promotion_id: str,
    ends_at: Annotated[str, Form(max_length=40)] = "",
    reason: Reason = "",
) -> Response:
    """Another end, as a local time of its first place: later, or for one that has begun also earlier."""

    async def change(found: PromotionView) -> None:
        database = database_of(request)
        async with database.read() as conn:
            zone = (await all_places(conn))[found.places[0].location].time_zone
        at = instant_of(ends_at.strip(), zone, "ends", "ends_at")
        said, by = reason.strip(), person.id
        if at > found.ends_at:
            await requests.extend(database, found.journey_id, ends_at=at, reason=said, actor=by, via="console")
        else:
            await requests.end(database, found.journey_id, at=at, reason=said, actor=by, via="console")

    return await _change(request, person, promotion_id, change, reason=reason)

"""Stock: search by place and item; one item at one place with its buckets, its promise worked out, who waits."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.adjustments import ASKING_ROLES, REASONS
from domain.people import Person
from domain.stock import BUCKETS
from ledger.reads.adjustments import open_adjustments
from ledger.reads.places import all_places, visible_places
from ledger.reads.stock import StockFilter, list_stock, nearby_stock, stock_detail
from web.console.list_address import read_address
from web.pages import ConsoleRoute, address, page
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
SAYS: dict[str, Callable[[str], bool]] = {
    **dict.fromkeys(("location", "sku", "region", "category", "text"), bool),
    "negative": lambda value: value == "on",
}


async def detail_context(
    conn: AsyncConnection, person: Person, location: str, sku: str, *, draft: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What the page of one item at one place shows. Raises `NotFound` for a record not seen."""
    detail = await stock_detail(conn, person, location, sku)
    places = await all_places(conn)
    item = detail.item
    return {
        "person": person,
        "section": "stock",
        "places": places,
        "buckets": BUCKETS,
        "detail": detail,
        "near": await nearby_stock(conn, person, location, sku, limit=12),
        "zone": places[location].time_zone,
        "waits": await open_adjustments(conn, location, sku),
        "may_adjust": bool(person.roles_at(item.entity, item.region, item.location) & ASKING_ROLES),
        "reasons": REASONS,
        "refusal": None,
        # The form carries its own id: sent twice, it is one adjustment.
        "draft": {"adjustment_id": uuid.uuid4().hex, "quantity": "", "reason": "", **(draft or {})},
    }


@router.get("/console/stock")
async def show(request: Request, person: SignedIn) -> Response:
    """The list; with both a location and a SKU, that one record in full. Raises `NotFound` for a record not seen."""
    given, unknown = read_address(request.query_params, SAYS)
    negative = given.pop("negative", "") == "on"
    async with database_of(request).read() as conn:
        context: dict[str, Any] = {
            "person": person,
            "section": "stock",
            "places": await all_places(conn),
            "choices": await visible_places(conn, person),
            "given": given,
            "negative": negative,
            "unknown": unknown,
            "buckets": BUCKETS,
        }
        if "location" in given and "sku" in given:
            context |= await detail_context(conn, person, given["location"], given["sku"])
            return page(request, "stock_detail.html", context)
        cursor = request.query_params.get("cursor") or None
        filters = StockFilter.model_validate({**given, "negative": negative})
        found = await list_stock(conn, person, filters, cursor=cursor)
    query = {**given, "negative": "on" if negative else None}
    context |= {
        "items": found.items,
        "cursor": cursor,
        "next_page": address("/console/stock", {**query, "cursor": found.next}) if found.next else None,
        "first_page": address("/console/stock", query),
    }
    return page(request, "stock.html", context)

"""Stock: search by place and item; one item at one place with its buckets, its promise worked out, who waits."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from domain.stock import BUCKETS
from ledger.reads.places import all_places, visible_places
from ledger.reads.stock import StockFilter, list_stock, nearby_stock, stock_detail
from web.pages import ConsoleRoute, address, page
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
FIELDS = ("location", "sku", "region", "category", "text")


@router.get("/console/stock")
async def show(request: Request, person: SignedIn) -> Response:
    """The list; with both a location and a SKU, that one record in full. Raises `NotFound` for a record not seen."""
    given = {name: value for name in FIELDS if (value := request.query_params.get(name, "").strip())}
    negative = request.query_params.get("negative") == "on"
    unknown = [name for name in request.query_params if name not in {*FIELDS, "cursor", "negative"}]
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
            context["detail"] = await stock_detail(conn, person, given["location"], given["sku"])
            context["near"] = await nearby_stock(conn, person, given["location"], given["sku"], limit=12)
            context["zone"] = context["places"][given["location"]].time_zone
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

"""Availability: where a basket can be promised, the best place first, and why."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from ledger.reads.availability import Availability, availability, parse_basket
from web.keys import Reader, database_of, view_of

router = APIRouter(tags=["stock"])


@router.get("/availability", summary="Where a basket can be promised")
async def get_availability(
    request: Request,
    caller: Reader,
    sku: Annotated[
        list[str],
        Query(description="`SKU:quantity`, once for each line; at most 100 lines.", max_length=1000),
    ],
    near: Annotated[
        str | None, Query(max_length=80, description="A location; nearer ones come first among equals.")
    ] = None,
    channel: Annotated[str, Query(max_length=80, description="Whose threshold is kept back.")] = "web",
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Availability:
    """Every location that the key sees, ranked: those that cover the whole basket, then by units promised, each by
    distance. Asking reserves nothing: the answer to an order, or to a hold, is the promise."""
    basket = parse_basket(sku)
    viewer, _ = view_of(caller)
    async with database_of(request).read() as conn:
        return await availability(conn, viewer, basket, near=near, channel=channel, limit=limit)

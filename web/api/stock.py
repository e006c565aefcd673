"""Stock: every bucket, what may be promised to each channel, and how that figure comes about."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from ledger.reads.paging import Page
from ledger.reads.stock import DEFAULT_CHANNEL, StockFilter, StockItem, list_stock
from web.api.responses import DEFAULT_LIMIT, Cursor, Limit
from web.keys import Reader, database_of, view_of

router = APIRouter(tags=["stock"])
Word = Annotated[str | None, Query(max_length=200)]


@router.get("/stock", summary="Stock by location and SKU")
async def get_stock(
    request: Request,
    caller: Reader,
    location: Word = None,
    sku: Word = None,
    region: Word = None,
    entity: Word = None,
    channel: Annotated[str, Query(max_length=80, description="Whose ATP `atp_steps` explains.")] = DEFAULT_CHANNEL,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[StockItem]:
    filters = StockFilter(location=location, sku=sku, region=region, entity=entity, channel=channel)
    viewer, _ = view_of(caller)
    async with database_of(request).read() as conn:
        return await list_stock(conn, viewer, filters, cursor=cursor, limit=limit)

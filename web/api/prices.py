"""Regular prices of places and channels, and what a channel is to show with all promotions that run."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from domain.orders import Instant
from domain.promotions import KeptPrices, RegularPrices, WantedPrice
from ledger.people import Caller
from ledger.promotion import regular
from ledger.reads.prices import wanted_price
from web.api.responses import MISSING, WRITES
from web.keys import Reader, database_of, require, view_of

router = APIRouter(tags=["promotions"])
Writer = Annotated[Caller, Depends(require("promotions:write"))]
Word = Annotated[str, Query(min_length=1, max_length=80)]


@router.put("/prices", summary="Regular prices of places", responses=WRITES)
async def put_prices(request: Request, caller: Writer, wanted: RegularPrices) -> KeptPrices:
    """Up to 5,000 in one transaction; the same again changes nothing. The narrowest that holds at an instant counts: of
    the place and channel, of the place, of the item."""
    kept = await regular.keep(database_of(request), wanted.prices, actor=f"key:{caller.key_id}", via="api")
    return KeptPrices(written=kept.written, unchanged=kept.unchanged)


@router.get("/prices", summary="What a channel is to show", responses=MISSING)
async def get_price(
    request: Request, caller: Reader, channel: Word, location: Word, sku: Word, at: Instant | None = None
) -> WantedPrice:
    """Of one item at one place, at an instant (now, when left out), with all promotions that run then."""
    viewer, _ = view_of(caller)
    database = database_of(request)
    at = at or await database.now()
    async with database.read() as conn:
        return await wanted_price(conn, viewer, channel, location, sku, at)

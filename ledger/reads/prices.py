"""What a channel is to show of an item at a place: its regular price, and the one with all promotions that run."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from domain.promotions import WantedPrice
from ledger.promotion.prices import PriceKey, regular_prices, wanted_prices
from ledger.reads.access import visible_location
from ledger.tables import entity, location


async def wanted_price(
    conn: AsyncConnection, viewer: Person | None, channel: str, code: str, sku: str, at: datetime
) -> WantedPrice:
    """At an instant, by what is recorded now. Raises `NotFound` for a place that the viewer may not see, or an item
    that there is not.
    """
    found = await conn.execute(
        select(location.c.entity, entity.c.currency)
        .join(entity, entity.c.code == location.c.entity)
        .where(location.c.code == code, visible_location(viewer))
    )
    place = found.first()
    if place is None:
        raise NotFound(f"There is no location {code} that you may see.")
    key = PriceKey(code, sku, at)
    regular = (await regular_prices(conn, channel, [key])).get(key)
    if regular is None:
        raise NotFound(f"There is no item {sku}.")
    wanted = (await wanted_prices(conn, place.entity, channel, [key]))[key]
    return WantedPrice(
        channel=channel,
        location=code,
        sku=sku,
        at=at,
        regular_minor=regular,
        price_minor=wanted.price_minor,
        deal=wanted.deal,
        currency=place.currency,
    )

"""What a customer at the counter often takes instead of what they bring back: the same again, or a substitute of it."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import ARRAY, Text, any_, bindparam, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.prepared import Prepared
from ledger.promotion.prices import PriceKey, wanted_prices
from ledger.reads.store import StorePlace
from ledger.tables import item, stock, substitute

AT_MOST = 8


class Proposal(NamedTuple):
    """An item that may be taken instead; `available` is what lies on the shelf here, promised to nobody."""

    sku: str
    name: str
    price_minor: int
    available: int


_THESE = any_(bindparam("skus", type_=ARRAY(Text)))
_ALIKE = union_all(
    select(item.c.sku, literal(0).label("rank")).where(item.c.sku == _THESE),
    select(substitute.c.substitute_sku, substitute.c.rank).where(substitute.c.sku == _THESE),
).subquery()
_PROPOSED = Prepared(
    select(item.c.sku, item.c.name, func.coalesce(func.max(stock.c.available), 0).label("available"))
    .join(_ALIKE, _ALIKE.c.sku == item.c.sku)
    .join(
        stock,
        (stock.c.sku == item.c.sku) & (stock.c.location == bindparam("location", type_=Text)),
        isouter=True,
    )
    .where(~item.c.stop_sale)
    .group_by(item.c.sku, item.c.name)
    .order_by(func.min(_ALIKE.c.rank), item.c.sku)
    .limit(AT_MOST)
)


async def proposals(conn: AsyncConnection, place: StorePlace, skus: Collection[str], channel: str) -> list[Proposal]:
    """The items themselves first, then their substitutes by rank; with the price that the channel should ask now."""
    rows = await _PROPOSED.rows(conn, skus=sorted(set(skus)), location=place.code)
    at = datetime.now(UTC)
    keys = {row["sku"]: PriceKey(place.code, row["sku"], at) for row in rows}
    prices = await wanted_prices(conn, place.entity, channel, list(keys.values()))
    return [
        Proposal(row["sku"], row["name"], prices[keys[row["sku"]]].price_minor, max(row["available"], 0))
        for row in rows
    ]

"""Regular prices as systems report them: of an item at a place, for one channel or all, from an instant on."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text

from domain.errors import UnknownLocation, UnknownSku
from domain.promotions import RegularPrice
from ledger import reference
from ledger.engine import Database
from ledger.transaction import Transaction


class Kept(NamedTuple):
    """How many prices were new or different; the rest was there already."""

    written: int
    unchanged: int


_KEEP = text(
    """
    INSERT INTO item_price (sku, location, channel, effective_from, price_minor)
    SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:locations AS text[]), CAST(:channels AS text[]),
        CAST(:instants AS timestamptz[]), CAST(:minors AS bigint[]))
    ON CONFLICT (sku, location, channel, effective_from) DO UPDATE SET price_minor = excluded.price_minor
    WHERE item_price.price_minor <> excluded.price_minor
    """
)


async def keep(database: Database, prices: Sequence[RegularPrice], *, actor: str, via: str) -> Kept:
    """Write them all, or none. Raises `UnknownSku` and `UnknownLocation` with a pointer to the first of them."""

    async def work(tx: Transaction) -> Kept:
        items = await reference.items(tx.conn, [one.sku for one in prices])
        places = await reference.entities_of(tx.conn, [one.location for one in prices])
        for number, one in enumerate(prices):
            if one.sku not in items:
                raise UnknownSku(
                    f"SKU {one.sku} is not in the master data; load it first.", pointer=f"/prices/{number}/sku"
                )
            if one.location not in places:
                raise UnknownLocation(
                    f"Location {one.location} is not in the master data; load it first, or correct the code.",
                    pointer=f"/prices/{number}/location",
                )
        found = await tx.conn.execute(
            _KEEP,
            {
                "skus": [one.sku for one in prices],
                "locations": [one.location for one in prices],
                "channels": [one.channel or "" for one in prices],
                "instants": [one.effective_from for one in prices],
                "minors": [one.price_minor for one in prices],
            },
        )
        at = await tx.now()
        tx.record("prices.kept", "item_price", at, after={"prices": len(prices), "written": found.rowcount})
        return Kept(found.rowcount, len(prices) - found.rowcount)

    return await database.write(work, actor=actor, via=via)

"""The moving average of whoever takes goods over from another entity, at the price they came for."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import text

from ledger.transfer.document import Transfer


class Bought(NamedTuple):
    """Good units of an item that an entity has received from another."""

    units: int
    value_minor: int


# In the order in which every transaction locks averages: by entity and item.
_MISSING = text(
    "INSERT INTO average_cost (entity, sku, unit_cost_e4) SELECT :entity, i.sku, i.cost_minor * 10000 FROM item i"
    " WHERE i.sku = ANY(CAST(:skus AS text[])) ORDER BY i.sku ON CONFLICT DO NOTHING"
)
_LOCK = text(
    "SELECT sku, unit_cost_e4 FROM average_cost WHERE entity = :entity AND sku = ANY(CAST(:skus AS text[]))"
    " ORDER BY sku FOR UPDATE"
)
# As it was before this transaction: its own movements are written at its end.
_HAD = text(
    "SELECT s.sku, sum(s.available + s.reserved + s.staged + s.quarantined + s.count_pending)::bigint AS units"
    " FROM stock s JOIN location l ON l.code = s.location"
    " WHERE l.entity = :entity AND s.sku = ANY(CAST(:skus AS text[])) GROUP BY s.sku"
)
_WRITE = text(
    "UPDATE average_cost a SET unit_cost_e4 = w.cost FROM unnest(CAST(:skus AS text[]), CAST(:costs AS bigint[]))"
    " AS w(sku, cost) WHERE a.entity = :entity AND a.sku = w.sku"
)


async def average_in(it: Transfer, entity: str, bought: Mapping[str, Bought]) -> None:
    """Move the entity's averages by what came; with nothing on hand, what came is the average."""
    skus = sorted(sku for sku, one in bought.items() if one.units)
    if not skus:
        return
    it.lock_money()
    conn, wanted = it.tx.conn, {"entity": entity, "skus": skus}
    await conn.execute(_MISSING, wanted)
    before = {row.sku: row.unit_cost_e4 for row in await conn.execute(_LOCK, wanted)}
    had = {row.sku: max(int(row.units), 0) for row in await conn.execute(_HAD, wanted)}
    costs = []
    for sku in skus:
        one, on_hand = bought[sku], had.get(sku, 0)
        costs.append((on_hand * before[sku] + one.value_minor * 10_000) // (on_hand + one.units))
    await conn.execute(_WRITE, {**wanted, "costs": costs})

"""A fact about goods of no order, checked against the master data before anything is locked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Malformed, NotAllowed
from domain.events import PosSale, StockAdjusted, StockReceived
from domain.policy import Policy
from ledger import reference
from ledger.goods.places import GoodsPlace, Places
from ledger.people import Caller

GoodsData = PosSale | StockReceived | StockAdjusted


@dataclass(frozen=True, slots=True)
class GoodsFact:
    """A till receipt, a delivery or a correction. `cause` names the event; `at` is when it happened."""

    source: str
    cause: str
    at: datetime
    data: GoodsData
    place: GoodsPlace
    policy: Policy
    parked: int = 0  # of units lost: how many were taken out of the promise before, and wait as count pending

    @property
    def skus(self) -> list[str]:
        """SKUs in the order of the lines, repeats included."""
        if isinstance(self.data, StockAdjusted):
            return [self.data.sku]
        return [line.sku for line in self.data.lines]


class UnitCost(NamedTuple):
    """`average_e4`: the moving average in 1/10,000 minor units; `standard_minor`: the item's own, in minor units."""

    average_e4: int
    standard_minor: int


Costs = dict[tuple[str, str], UnitCost]  # by (entity, SKU); an item that is not in the master data is missing

_COSTS = text(
    "SELECT w.entity, w.sku, coalesce(a.unit_cost_e4, i.cost_minor * 10000) AS average_e4, i.cost_minor"
    " FROM unnest(CAST(:entities AS text[]), CAST(:skus AS text[])) AS w(entity, sku) JOIN item i ON i.sku = w.sku"
    " LEFT JOIN average_cost a ON a.entity = w.entity AND a.sku = w.sku"
)


async def read_costs(conn: AsyncConnection, wanted: Iterable[tuple[str, str]]) -> Costs:
    """Unit costs of (entity, SKU); one that is missing from the answer is missing from the master data."""
    pairs = sorted(set(wanted))
    arrays = {"entities": [pair[0] for pair in pairs], "skus": [pair[1] for pair in pairs]}
    rows = await conn.execute(_COSTS, arrays)
    return {(row[0], row[1]): UnitCost(row[2], row[3]) for row in rows}


def fact_of(places: Places, caller: Caller, data: GoodsData, cause: str, at: datetime) -> GoodsFact:
    """The fact with its place and policy. Raises `UnknownLocation`, `NotAllowed` for an adjustment without the scope,
    `Malformed` for an adjustment of nothing.
    """
    if isinstance(data, StockAdjusted):
        if "stock:adjust" not in caller.scopes:
            raise NotAllowed("This key may not adjust stock; it needs the scope stock:adjust.")
        if data.quantity == 0:
            raise Malformed("A quantity of 0 adjusts nothing.", pointer="/data/quantity")
    where = places.place(data.location)
    return GoodsFact(caller.source, cause, at, data, where, places.policy(where, at))


def check_items(fact: GoodsFact, costs: Mapping[tuple[str, str], UnitCost]) -> None:
    """Raises `UnknownSku`, naming every SKU that is not in the master data."""
    entity = fact.place.entity
    wanted: Sequence[str] = fact.skus
    unknown = [sku for sku in dict.fromkeys(wanted) if (entity, sku) not in costs]
    if not unknown:
        return
    pointer = "/data/sku" if isinstance(fact.data, StockAdjusted) else f"/data/lines/{wanted.index(unknown[0])}/sku"
    raise reference.unknown_skus(unknown, pointer)

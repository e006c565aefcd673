"""Which warehouses of a journey's company could give it units now; looks, and locks nothing."""

from collections.abc import Iterable, Mapping

from sqlalchemy import ARRAY, Text, any_, bindparam, select

from domain.stock import atp
from ledger.document import Document
from ledger.prepared import Ask, Prepared
from ledger.tables import location, stock

# Of each open warehouse of an order's company, what it has of some items; those of the order's region first.
_STOCKED = Prepared(
    select(
        location.c.code, location.c.name, stock.c.sku, stock.c.available, stock.c.safety_stock,
        stock.c.confidence_permille,
    )
    .join(stock, stock.c.location == location.c.code)
    .where(
        stock.c.sku == any_(bindparam("skus", type_=ARRAY(Text))),
        location.c.kind == "dc", location.c.status == "open",
        location.c.entity == bindparam("entity", type_=Text), location.c.code != bindparam("location", type_=Text),
    )
    .order_by(location.c.region != bindparam("region", type_=Text), location.c.code),
    once=True,
)  # fmt: skip


def able_asked(order: Document, wanted: Iterable[str]) -> Ask:
    """What `able` asks about these items."""
    where = {name: order.row[name] for name in ("entity", "region", "location")}
    return _STOCKED.of(where, skus=sorted(wanted))


async def able(order: Document, wanted: Mapping[str, int], *, channel: str | None = None) -> dict[str, str]:
    """Names by code of the open warehouses that can promise all of `wanted` (units by SKU), its region first; to the
    journey's own channel, or to another.
    """
    rows = await able_asked(order, wanted).rows(order.tx.conn)
    threshold = order.policy.stock.channel_threshold.get(channel or order.row["channel"], 0)
    names: dict[str, str] = {}
    covered: dict[str, int] = {}
    for row in rows:
        names[row["code"]] = row["name"]
        can = atp(
            row["available"],
            safety_stock=row["safety_stock"],
            channel_threshold=threshold,
            confidence_permille=row["confidence_permille"],
        )
        covered[row["code"]] = covered.get(row["code"], 0) + (can >= wanted[row["sku"]])
    return {code: name for code, name in names.items() if covered[code] == len(wanted)}

"""Which warehouses of an order's company could give it units now; looks, and locks nothing."""

from collections.abc import Mapping

from sqlalchemy import select

from domain.stock import atp
from ledger.bopis.order import Order
from ledger.tables import location, stock


async def able(order: Order, wanted: Mapping[str, int], *, channel: str | None = None) -> dict[str, str]:
    """Names by code of the open warehouses that can promise all of `wanted` (units by SKU), its region first; to the
    order's own channel, or to another.
    """
    rows = await order.tx.conn.execute(
        select(location.c.code, location.c.name, stock.c.sku, stock.c.available, stock.c.safety_stock,
               stock.c.confidence_permille)
        .join(stock, (stock.c.location == location.c.code) & stock.c.sku.in_(wanted))
        .where(
            location.c.kind == "dc", location.c.status == "open", location.c.entity == order.row["entity"],
            location.c.code != order.location,
        )
        .order_by(location.c.region != order.row["region"], location.c.code)
    )  # fmt: skip
    threshold = order.policy.stock.channel_threshold.get(channel or order.row["channel"], 0)
    names: dict[str, str] = {}
    covered: dict[str, int] = {}
    for row in rows:
        names[row.code] = row.name
        can = atp(
            row.available,
            safety_stock=row.safety_stock,
            channel_threshold=threshold,
            confidence_permille=row.confidence_permille,
        )
        covered[row.code] = covered.get(row.code, 0) + (can >= wanted[row.sku])
    return {code: name for code, name in names.items() if covered[code] == len(wanted)}

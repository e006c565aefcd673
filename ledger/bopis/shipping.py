"""Ship to home: the way out for a customer with an address."""

from sqlalchemy import select

from domain.case import CaseOption, Consequence, StockEffect
from domain.stock import atp
from domain.words import units
from ledger.bopis.order import Order
from ledger.tables import location, stock

POINTS = 12.0  # among the ways out: behind a store near by, before whatever costs the customer an item
OFFERED = 2


async def ship_to_home(order: Order) -> list[tuple[float, CaseOption]]:
    """Warehouses that can promise the whole order and send it; none without an address, or once goods have moved."""
    if not order.row["detail"].get("has_address") or order.goods_have_moved():
        return []
    wanted: dict[str, int] = {}
    for line in order.lines.values():
        if order.open_quantity(line):
            wanted[line["sku"]] = wanted.get(line["sku"], 0) + order.open_quantity(line)
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
    threshold = order.policy.stock.channel_threshold.get(order.row["channel"], 0)
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
    able = [code for code in names if covered[code] == len(wanted)]
    return [(POINTS + number, _option(order, code, names[code], wanted)) for number, code in enumerate(able[:OFFERED])]


def _option(order: Order, code: str, name: str, wanted: dict[str, int]) -> CaseOption:
    effects = [StockEffect(location=code, sku=sku, quantity=n, effect="reserved") for sku, n in wanted.items()]
    effects += [
        StockEffect(location=order.location, sku=line["sku"], quantity=line["reserved"], effect="released")
        for line in order.lines.values()
        if line["reserved"]
    ]
    return CaseOption(
        id=f"ship_to_home:{code}",
        label=f"Send it home from {name}",
        parameters={"location": code},
        consequence=Consequence(
            stock=tuple(effects),
            customer=f"Gets all {units(sum(wanted.values()))} sent to the address of the order, same price.",
        ),
        because="keeps the whole order, and the customer need not come",
        confirms=("agreed_by_phone",),
    )

"""Ship to home: the way out for a customer with an address."""

from domain.case import CaseOption, Consequence, StockEffect
from domain.words import units
from ledger.bopis import warehouses
from ledger.bopis.order import Order

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
    able = list((await warehouses.able(order, wanted)).items())
    return [(POINTS + number, _option(order, code, name, wanted)) for number, (code, name) in enumerate(able[:OFFERED])]


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

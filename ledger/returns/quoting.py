"""What an exchange at a counter would come to, before anybody agrees to it: what the customer takes, at the price that
the till should ask now; what comes back pays of it; who pays the rest. Nothing is written, nothing is promised.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select

from domain.errors import Malformed, StateConflict
from domain.exchanges import NewExchange, ReplacementIn, divide
from domain.orders import OrderLine
from domain.returns import FINAL
from domain.stock import atp
from ledger import reference
from ledger.engine import Database
from ledger.promotion.prices import PriceKey, wanted_prices
from ledger.reads.store import StorePlace
from ledger.returns import difference, exchange
from ledger.returns.document import Return, bought
from ledger.returns.refunding import Refund
from ledger.tables import stock
from ledger.transaction import Transaction

TILL = "pos"  # the channel whose prices a counter asks
CHANNEL = "store"  # where an order that is placed at a counter comes from


class Taken(NamedTuple):
    """What a customer would take; `tax_minor` of all units where somebody has corrected what is proposed."""

    sku: str
    quantity: int
    tax_minor: int | None = None


class QuotedLine(NamedTuple):
    """A line at the price of now. `there` are units that the place can promise; `deal` is shown beside the price and
    not reckoned. Money in minor units: `tax_minor` of all units, `cost_minor` what the customer pays for the line.
    """

    sku: str
    name: str
    quantity: int
    price_minor: int
    deal: str
    tax_minor: int
    cost_minor: int
    there: int

    @property
    def lacks(self) -> int:
        return max(self.quantity - self.there, 0)


class ComesBack(NamedTuple):
    """A line of the return that pays for it, with what it is worth."""

    line_id: str
    sku: str
    units: int
    paid_minor: int
    fee_minor: int


class Quote(NamedTuple):
    """What it comes to, in minor units: `total_minor` for what is taken, `worth_minor` for what comes back; of the two
    `more_minor` is to be paid, or `back_minor` goes back. `asked_by` says what the customer would be charged by when
    they are asked by link; `why_not_asked` why they cannot be.
    """

    lines: list[QuotedLine]
    back: list[ComesBack]
    currency: str
    with_tax: bool
    total_minor: int
    tax_minor: int
    worth_minor: int
    clawed_minor: int
    more_minor: int
    back_minor: int
    asked_by: str
    why_not_asked: str

    @property
    def lacking(self) -> list[QuotedLine]:
        return [line for line in self.lines if line.lacks]

    def wanted(self, order_id: str, **more: Any) -> NewExchange:
        """The request that asks for exactly this; `more` are further fields of the order."""
        order = ReplacementIn(
            order_id=order_id,
            channel=CHANNEL,
            prices_include_tax=self.with_tax,
            lines=_ordered(self.lines),
            **more,
        )
        return NewExchange(lines=tuple(one.line_id for one in self.back), order=order)


async def quote(
    database: Database,
    place: StorePlace,
    own: str,
    *,
    lines: Sequence[str] | None,
    taken: Sequence[Taken],
    with_tax: bool = True,
) -> Quote:
    """`lines` of the return come back, all that may for None. Whether prices include tax is as it was sold;
    `with_tax` says it for goods of which no sale is known.

    Raises `UnknownSku`, `UnknownLine`, `Malformed`, and `StateConflict` where nothing can be exchanged (any more).
    """

    async def work(tx: Transaction) -> Quote:
        it = await Return.load(tx, await tx.lock_journey(own))
        if it.state in FINAL:
            raise StateConflict(f"The return is {it.row['state'].replace('_', ' ')}; order the other item by itself.")
        if it.exchange is not None and it.exchange["state"] not in ("off", "placing"):
            raise StateConflict(f"The return is exchanged for order {it.exchange['order_id']} already.")
        await it.lock_sales()
        named = exchange.lines_of(it, lines)
        worth = exchange.worth_of(it, named)
        sales = [sale for sale in (it.sale_of(it.lines[line_id]) for line_id in named) if sale is not None]
        includes = bool(sales[0]["tax_included"]) if sales else with_tax
        asked = await _priced(it, place, taken, sales, includes=includes)
        total = sum(line.cost_minor for line in asked)
        split = divide(worth.total_minor, total, 0)
        means, why_not = await difference.asked_by(it, None) if split.open_minor else (None, "")
        return Quote(
            lines=asked,
            back=_comes_back(it, worth),
            currency=it.row["currency"],
            with_tax=includes,
            total_minor=total,
            tax_minor=sum(line.tax_minor for line in asked),
            worth_minor=worth.total_minor,
            clawed_minor=worth.clawed_minor,
            more_minor=split.open_minor,
            back_minor=split.back_minor,
            asked_by=means.tender if means is not None else "",
            why_not_asked=why_not,
        )

    return await database.write(work, actor="quote", via="quote")


def _comes_back(it: Return, worth: Refund) -> list[ComesBack]:
    return [
        ComesBack(line_id, it.lines[line_id]["sku"], one.units, one.share.paid_minor, one.fee_minor)
        for line_id, one in worth.lines.items()
    ]


async def _priced(
    it: Return, place: StorePlace, taken: Sequence[Taken], sales: Sequence[dict[str, Any]], *, includes: bool
) -> list[QuotedLine]:
    """What is taken, at the price that the till should ask now, with the tax as what comes back was taxed."""
    units: dict[str, int] = {}
    corrected = {one.sku: one.tax_minor for one in taken}
    for one in taken:
        units[one.sku] = units.get(one.sku, 0) + one.quantity
    if not units:
        raise Malformed("Say what the customer takes instead.", pointer="/order/lines")
    conn, at = it.tx.conn, await it.tx.now()
    items = await reference.known_items(conn, [*units, *{sale["sku"] for sale in sales}], pointer="/order/lines")
    keys = {sku: PriceKey(place.code, sku, at) for sku in units}
    prices = await wanted_prices(conn, it.row["entity"], TILL, list(keys.values()))
    there = await _there(it, place, units)
    found = []
    for sku, quantity in units.items():
        shelf = prices[keys[sku]]
        gross = quantity * shelf.price_minor
        alike = [sale for sale in sales if items[sale["sku"]]["category"] == items[sku]["category"]]
        tax = corrected[sku]
        if tax is None:
            tax = tax_like(alike or sales, gross, includes=includes)
        if includes and tax > gross:
            raise Malformed(f"The tax of {items[sku]['name']} is more than its price. Correct it.", pointer="/tax")
        found.append(
            QuotedLine(
                sku=sku,
                name=items[sku]["name"],
                quantity=quantity,
                price_minor=shelf.price_minor,
                deal=shelf.deal,
                tax_minor=tax,
                cost_minor=gross if includes else gross + tax,
                there=there[sku],
            )
        )
    return found


def tax_like(sales: Sequence[dict[str, Any]], gross_minor: int, *, includes: bool) -> int:
    """The tax of something that is taxed as these were, rounded half up; 0 where nothing was paid for them."""
    paid = [bought(sale) for sale in sales]
    tax = sum(one.tax_minor for one in paid)
    base = sum(one.paid_minor for one in paid) - (0 if includes else tax)
    return (2 * gross_minor * tax + base) // (2 * base) if base > 0 else 0


async def _there(it: Return, place: StorePlace, units: dict[str, int]) -> dict[str, int]:
    """What the place can promise of each; nothing of what is stopped from sale."""
    conn = it.tx.conn
    policy = await reference.policy_at(conn, await reference.place(conn, place.code), await it.tx.now())
    rows = await conn.execute(select(stock).where(stock.c.location == place.code, stock.c.sku.in_(sorted(units))))
    items, stopped = await reference.items(conn, units), await reference.stopped_at(conn, units)
    free = dict.fromkeys(units, 0)
    for row in rows.mappings():
        if items[row["sku"]]["stop_sale"] or (row["sku"], place.code) in stopped:
            continue
        free[row["sku"]] = atp(
            row["available"],
            safety_stock=row["safety_stock"],
            channel_threshold=policy.stock.channel_threshold.get(CHANNEL, 0),
            confidence_permille=row["confidence_permille"],
        )
    return free


def _ordered(lines: Sequence[QuotedLine]) -> tuple[OrderLine, ...]:
    return tuple(
        OrderLine(
            line_id=str(number),
            sku=line.sku,
            quantity=line.quantity,
            unit_price_minor=line.price_minor,
            tax_minor=line.tax_minor,
        )
        for number, line in enumerate(lines, start=1)
    )

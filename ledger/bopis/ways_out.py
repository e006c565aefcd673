"""The ways out of an order that cannot be kept as it is: which there are now, what each costs, and which is best."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, Text, any_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption, Consequence, MoneyEffect, PassedOver, StockEffect
from domain.stock import atp
from domain.words import units
from ledger import reference
from ledger.bopis import offering, sourcing
from ledger.bopis.money import charges_left, paid_share
from ledger.bopis.order import Order
from ledger.bopis.shipping import ship_to_home
from ledger.bopis.sourcing import other_stores
from ledger.bopis.to_store import ship_to_store
from ledger.bopis.warehouses import able_asked
from ledger.prepared import Ask, Prepared, ahead
from ledger.tables import item, location, stock, substitute
from ledger.transaction import Transaction

DIFFERENCE_BACK = "Refund of the difference"


class WaysOut(NamedTuple):
    """What can be chosen, best first, and the places that are not offered."""

    options: list[CaseOption]
    passed_over: list[PassedOver]


Scored = list[tuple[float, CaseOption]]


async def ways_out(order: Order) -> list[CaseOption]:
    """Ranked, priced options for an order with missing units. Its money must be loaded. Rank 1 says why it is best."""
    return (await look_for_ways_out(order)).options


async def look_for_ways_out(order: Order) -> WaysOut:
    """The same, with the places that were looked at and passed over."""
    finders = {
        "ship_to_store": ship_to_store,
        "substitute": _substitutes,
        "part": _part,
        "wait": _wait,
        "cancel_refund": _cancel,
    }
    options: Scored = []
    passed_over: list[PassedOver] = []
    await ahead(order.tx.conn, *_asked(order))
    for way in order.policy.sourcing.ways:
        # An order that misses nothing is asked about because its place is closed: it moves, stays, or is cancelled.
        if way == "other_store":
            stores, passed_over = await other_stores(order)
            options += stores
        elif way == "ship_to_home":
            options += await ship_to_home(order)
        elif order.shorts() or way == "cancel_refund":
            options += await finders[way](order)
    if not order.shorts():
        options.append((10.0, _keep(order)))
    options.sort(key=lambda scored: (not scored[1].allowed, scored[0], scored[1].id))
    found = [option for _, option in options]
    if order.shorts():  # an order that lacks nothing is asked about by phone: a yes by link is about what is missing
        found = await offering.by_link(order, found)
    ranked = [option.model_copy(update={"rank": rank}) for rank, option in enumerate(found, start=1)]
    return WaysOut(ranked, passed_over)


def _asked(order: Order) -> list[Ask]:
    """What is asked for the ways out that most orders have."""
    asks = sourcing.asked(order)
    if order.shorts():
        asks += [_substitutes_asked(order), able_asked(order, _missing(order)), offering.asked(order)]
    return asks


def _missing(order: Order) -> list[str]:
    return sorted({str(line["sku"]) for line in order.shorts()})


def _substitutes_asked(order: Order) -> Ask:
    """Of every missing item what could replace it, in the order of rank."""
    return _SUBSTITUTES.of(location=order.location, skus=_missing(order))


def back(way: CaseOption) -> int:
    """What goes back to the customer with a substitute that costs less, in minor units."""
    return sum(-one.amount_minor for one in way.consequence.money if one.label == DIFFERENCE_BACK)


async def ways_out_now(conn: AsyncConnection, journey_id: str) -> WaysOut:
    """The same for reading alone: nothing is locked, and nothing is written."""
    looking = Transaction(conn, actor="reader", via="read")
    order = await Order.load(looking, await looking.look_at_journey(journey_id))
    await order.read_money()
    return await look_for_ways_out(order)


async def _substitutes(order: Order) -> Scored:
    """One option that replaces every missing line by the nearest substitute on the shelf, where each has one."""
    chosen: dict[str, tuple[str, str, int, int]] = {}
    taken: dict[str, int] = {}
    for line in order.shorts():
        missing = order.missing(line)
        found = await _substitute_for(order, line, missing, taken)
        if found is None:
            return []
        taken[found[0]] = taken.get(found[0], 0) + missing
        chosen[line["line_id"]] = found
    if not chosen:
        return []
    currency = order.row["currency"]
    difference = sum(entry[2] for entry in chosen.values())
    limit = order.policy.bands.appeasement_minor
    money = []
    if difference < 0:
        money.append(MoneyEffect(label=DIFFERENCE_BACK, amount_minor=difference, currency=currency))
    if difference > 0:
        money.append(MoneyEffect(label="Difference that we carry", amount_minor=-difference, currency=currency))
    names = ", ".join(entry[1] for entry in chosen.values())
    option = CaseOption(
        id="substitute",
        label=f"Substitute: {names}",
        parameters={f"line:{line_id}": entry[0] for line_id, entry in chosen.items()},
        consequence=Consequence(
            stock=tuple(
                StockEffect(location=order.location, sku=entry[0], quantity=entry[3], effect="reserved")
                for entry in chosen.values()
            ),
            money=tuple(money),
            customer=f"Gets {names} instead and never pays more.",
        ),
        because="keeps place and time",
        needs_approval=difference > limit,
        confirms=("agreed_by_phone",),
    )
    return [(5 + abs(difference) / 50, option)]


_WANTED = item.alias("wanted")
_SUBSTITUTES = Prepared(
    select(
        item.c.sku, item.c.name, item.c.price_minor, item.c.stop_sale, stock.c.available, stock.c.safety_stock,
        stock.c.confidence_permille, substitute.c.sku.label("missing"), _WANTED.c.name.label("instead_of"),
    )
    .join(substitute, substitute.c.substitute_sku == item.c.sku)
    .join(_WANTED, _WANTED.c.sku == substitute.c.sku)
    .join(stock, (stock.c.sku == item.c.sku) & (stock.c.location == bindparam("location", type_=Text)))
    .where(substitute.c.sku == any_(bindparam("skus", type_=ARRAY(Text))))
    .order_by(substitute.c.rank),
    once=True,
)  # fmt: skip


async def _substitute_for(
    order: Order, line: Mapping[str, Any], missing: int, taken: Mapping[str, int]
) -> tuple[str, str, int, int] | None:
    """(sku, name, price difference for all units, units) of the best substitute that can be promised here, beside
    what other lines have `taken` of it.
    """
    unit_paid = order.sales[line["line_id"]]["unit_price_minor"]
    band = order.policy.sourcing.substitute_price_band_permille
    for row in await _substitutes_asked(order).rows(order.tx.conn):
        if row["missing"] != line["sku"]:
            continue
        there = atp(
            row["available"],
            safety_stock=row["safety_stock"],
            channel_threshold=order.policy.stock.channel_threshold.get(order.row["channel"], 0),
            confidence_permille=row["confidence_permille"],
        )
        difference = row["price_minor"] - unit_paid
        if (
            there - taken.get(row["sku"], 0) >= missing
            and not row["stop_sale"]
            and abs(difference) * 1000 <= unit_paid * band
        ):
            # Two items may have one name; a substitute called as what it replaces would only puzzle.
            name = f"{row['name']} ({row['sku']})" if row["name"] == row["instead_of"] else row["name"]
            return row["sku"], name, difference * missing, missing
    return None


async def _part(order: Order) -> Scored:
    """Go on with what there is and refund the rest, where anything is there at all."""
    if not any(line["reserved"] or line["staged"] or line["collected"] for line in order.lines.values()):
        return []
    missing = {line["line_id"]: order.missing(line) for line in order.shorts()}
    owed = sum(paid_share(order.sales[line_id], quantity) for line_id, quantity in missing.items())
    missing_units = sum(missing.values())
    return [
        (
            20 + owed / 100,
            CaseOption(
                id="part",
                label="Go on with the rest, refund what is missing",
                consequence=Consequence(
                    money=(MoneyEffect(label="Refund", amount_minor=-owed, currency=order.row["currency"]),),
                    customer=f"Gets the order without {units(missing_units)} and the money back.",
                ),
                because="keeps what there is",
                needs_approval=owed >= order.policy.bands.refund_approval_minor,
            ),
        )
    ]


async def _wait(_order: Order) -> Scored:
    """Keep the order waiting for stock that turns up: a count, a delivery, a release."""
    return [
        (
            40.0,
            CaseOption(
                id="wait",
                label="Wait until it turns up",
                consequence=Consequence(
                    customer="Waits without a promise; gets the goods as soon as a count or a delivery brings them."
                ),
                because="the customer would rather wait",
                confirms=("agreed_by_phone",),
                reversible=True,
            ),
        )
    ]


def _keep(order: Order) -> CaseOption:
    """Leave the order where it is, until its place opens again."""
    return CaseOption(
        id="keep",
        label=f"Wait until {order.place.name} opens again",
        consequence=Consequence(customer="Was told, and collects when the store is open again."),
        because="the customer comes when the store is open again",
        reversible=True,
    )


async def _cancel(order: Order) -> Scored:
    """Cancel everything that is not collected and refund it."""
    owed = sum(
        paid_share(order.sales[line["line_id"]], order.open_quantity(line)) for line in order.lines.values()
    ) + refundable_charges(order)
    released = tuple(
        StockEffect(location=order.location, sku=line["sku"], quantity=line["reserved"], effect="released")
        for line in order.lines.values()
        if line["reserved"]
    )
    return [
        (
            60 + owed / 100,
            CaseOption(
                id="cancel_refund",
                label="Cancel and refund",
                consequence=Consequence(
                    stock=released,
                    money=(MoneyEffect(label="Refund", amount_minor=-owed, currency=order.row["currency"]),),
                    customer="Gets no goods and the whole amount back, where it came from.",
                ),
                because="the customer would rather have the money",
                needs_approval=owed >= order.policy.bands.refund_approval_minor,
            ),
        )
    ]


def refundable_charges(order: Order) -> int:
    """What a full cancel pays back of charges: all that were not earned, when nothing was handed over."""
    if any(line["collected"] for line in order.lines.values()):
        return 0
    return sum(paid_share(order.sales[line_id], 1) for line_id in charges_left(order))


async def case_facts(order: Order, at: datetime) -> dict[str, Any]:
    """The frozen snapshot for the person who decides: what is missing, and what is near by."""
    skus = [line["sku"] for line in order.shorts()]
    names = await reference.items(order.tx.conn, skus)
    rows = await order.tx.conn.execute(
        select(
            stock.c.location,
            location.c.name,
            stock.c.sku,
            stock.c.available,
            stock.c.confidence_permille,
        )
        .join(location, location.c.code == stock.c.location)
        .where(
            stock.c.sku.in_(skus), location.c.entity == order.row["entity"], location.c.region == order.row["region"]
        )
        .order_by(stock.c.sku, stock.c.available.desc(), stock.c.location)
        .limit(40)
    )
    return {
        "order": order.row["key"],
        "channel": order.row["channel"],
        "failure": order.row["detail"].get("failure"),
        "promised_at": order.row["promised_at"].isoformat() if order.row["promised_at"] else None,
        "seen_at": at.isoformat(),
        "missing": [
            {
                "line_id": line["line_id"],
                "sku": line["sku"],
                "name": names[line["sku"]]["name"],
                "ordered": line["ordered"],
                "missing": order.missing(line),
                "unit_price_minor": order.sales[line["line_id"]]["unit_price_minor"],
            }
            for line in order.shorts()
        ],
        "near_by": [dict(row) for row in rows.mappings()],
    }

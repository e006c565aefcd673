"""Facts about goods that belong to no order: sold at the till, received from a supplier, adjusted by a person."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from domain import postings
from domain.case import CaseOption
from domain.errors import Malformed, NotAllowed
from domain.events import PosSale, SaleLineIn, StockAdjusted, StockReceived
from domain.ids import receipt_document
from domain.messages import Message
from domain.policy import Policy
from domain.stock import draw_for_sale
from ledger import case, found, reference
from ledger.journal import Entry
from ledger.people import Caller
from ledger.shelf import Cause
from ledger.tables import average_cost, hold, sale_line
from ledger.transaction import Rank, Transaction


async def sold(tx: Transaction, caller: Caller, data: PosSale, cause: str, at: datetime) -> None:
    """A till receipt: it happened, so it posts, even where it takes a unit that was promised.

    Lines that name an order are that order's hand-over and are not given here. Raises `UnknownLocation`, `UnknownSku`.
    """
    where = await reference.place(tx.conn, data.location, pointer="/data/location")
    await reference.known_items(tx.conn, (line.sku for line in data.lines), pointer="/data/lines")
    policy = await reference.policy_at(tx.conn, where, at)
    costs = await reference.unit_costs(tx.conn, where.entity, (line.sku for line in data.lines))
    why = Cause(cause, tx.actor, at, where.entity)
    await tx.lock_stock((where.code, line.sku) for line in data.lines)
    entry_lines: list[postings.Line] = []
    rows = []
    for line in data.lines:
        cost = reference.cost_of(costs.get(line.sku, 0), line.quantity)
        _draw(tx, where.code, line, costs.get(line.sku, 0), why)
        entry_lines += postings.sale(
            _sale_of(line, cost), paid_from="payment_clearing", location=where.code, sku=line.sku
        )
        rows.append(_sale_row(caller.source, data, where, line, cost))
    await _doubt_promises(tx, where.code, {line.sku for line in data.lines}, at)
    tx.enter(Rank.MONEY)
    await tx.conn.execute(insert(sale_line), rows)
    tx.post(
        Entry(
            where.entity,
            "pos.sale",
            where.currency,
            cause,
            entry_lines,
            at,
            None,
            policy.authority.of_posting("pos.sale"),
        )
    )


def _draw(tx: Transaction, location: str, line: SaleLineIn, unit_cost_e4: int, why: Cause) -> None:
    """Available first, then what waits for a count (it exists: it was sold), and only then below zero."""
    draw = draw_for_sale(
        line.quantity,
        tx.shelf.quantity(location, line.sku, "available"),
        tx.shelf.quantity(location, line.sku, "count_pending"),
    )
    cost_left = reference.cost_of(unit_cost_e4, line.quantity)
    for bucket, units in (("count_pending", draw.count_pending), ("available", draw.available + draw.overdrawn)):
        if units:
            cost = (
                cost_left
                if units + draw.count_pending >= line.quantity and bucket == "available"
                else min(reference.cost_of(unit_cost_e4, units), cost_left)
            )
            cost_left -= cost
            tx.shelf.move(
                "sold",
                line.sku,
                units,
                (location, bucket),
                (location, "customer"),
                why,
                unit_cost_e4=unit_cost_e4,
                cost_minor=cost,
            )


def _sale_of(line: SaleLineIn, cost_minor: int) -> postings.Sale:
    return postings.Sale(
        gross_minor=line.quantity * line.unit_price_minor,
        discount_minor=line.discount_minor,
        coupon_minor=line.coupon_minor,
        tax_minor=line.tax_minor,
        tax_included=False,
        cost_minor=cost_minor,
    )


def _sale_row(source: str, data: PosSale, where: reference.Place, line: SaleLineIn, cost_minor: int) -> dict[str, Any]:
    return {
        "document": receipt_document(source, where.code, data.receipt),
        "line_id": line.line,
        "sku": line.sku,
        "entity": where.entity,
        "location": where.code,
        "currency": where.currency,
        "quantity": line.quantity,
        "unit_price_minor": line.unit_price_minor,
        "gross_minor": line.quantity * line.unit_price_minor,
        "discount_minor": line.discount_minor,
        "vendor_funded_minor": line.vendor_funded_minor,
        "coupon_minor": line.coupon_minor,
        "tax_minor": line.tax_minor,
        "promotion_id": line.promotion_id,
        "handed_over": line.quantity,
        "cost_minor": cost_minor,
    }


async def _doubt_promises(tx: Transaction, location: str, skus: set[str], at: datetime) -> None:
    """Where the book is below zero, the newest promises with the least at stake may be broken: their stores verify
    first.
    """
    short = {sku: -tx.shelf.quantity(location, sku, "available") for sku in sorted(skus)}
    short = {sku: units for sku, units in short.items() if units > 0}
    if not short:
        return
    tx.enter(Rank.HOLD)
    rows = await tx.conn.execute(
        select(hold)
        .where(hold.c.location == location, hold.c.sku.in_(short), hold.c.reserved > 0, hold.c.journey_id.is_not(None))
        .order_by(hold.c.sku, hold.c.at.desc(), hold.c.quantity, hold.c.id)
        .with_for_update()
    )
    for row in rows.mappings().all():
        if short[row["sku"]] <= 0:
            continue
        short[row["sku"]] -= row["reserved"]
        if row["doubted_at"] is None:
            await tx.conn.execute(update(hold).where(hold.c.id == row["id"]).values(doubted_at=at))
            tx.tell(row["journey_id"], Message.UNIT_DOUBTED)


async def received(tx: Transaction, data: StockReceived, cause: str, at: datetime) -> None:
    """Goods from a supplier: available at once, at a new average cost; whoever waits for them is served first.

    Raises `UnknownLocation`, `UnknownSku`.
    """
    where = await reference.place(tx.conn, data.location, pointer="/data/location")
    items = await reference.known_items(tx.conn, (line.sku for line in data.lines), pointer="/data/lines")
    policy = await reference.policy_at(tx.conn, where, at)
    why = Cause(cause, tx.actor, at, where.entity)
    await tx.lock_stock((where.code, line.sku) for line in data.lines)
    entry_lines: list[postings.Line] = []
    arrived: dict[str, tuple[int, int]] = {}
    for line in data.lines:
        unit_cost = line.unit_cost_minor if line.unit_cost_minor is not None else items[line.sku]["cost_minor"]
        cost = line.quantity * unit_cost
        tx.shelf.move(
            "received",
            line.sku,
            line.quantity,
            (where.code, "supplier"),
            (where.code, "available"),
            why,
            unit_cost_e4=unit_cost * 10_000,
            cost_minor=cost,
        )
        entry_lines += postings.receipt(cost, location=where.code, sku=line.sku)
        units, money = arrived.get(line.sku, (0, 0))
        arrived[line.sku] = (units + line.quantity, money + cost)
    await found.assign(tx, [(where.code, line.sku) for line in data.lines], why)
    tx.enter(Rank.MONEY)
    await _average_in(tx, where.entity, arrived)
    event = "stock.received"
    tx.post(
        Entry(where.entity, event, where.currency, cause, entry_lines, at, None, policy.authority.of_posting(event))
    )


_ON_HAND = text(
    "SELECT s.sku, sum(s.available + s.reserved + s.staged + s.quarantined + s.count_pending) AS units"
    " FROM stock s JOIN location l ON l.code = s.location"
    " WHERE l.entity = :entity AND s.sku = ANY(CAST(:skus AS text[])) GROUP BY s.sku"
)


async def _average_in(tx: Transaction, entity: str, arrived: Mapping[str, tuple[int, int]]) -> None:
    """Move the average cost of each item by what arrived; with nothing on hand, the receipt's cost is the average."""
    skus = sorted(arrived)
    before = await reference.unit_costs(tx.conn, entity, skus)
    on_hand = {row.sku: int(row.units) for row in await tx.conn.execute(_ON_HAND, {"entity": entity, "skus": skus})}
    for sku in skus:
        units, cost_minor = arrived[sku]
        had = max(on_hand.get(sku, 0), 0)
        average = (had * before.get(sku, 0) + cost_minor * 10_000) // (had + units)
        await tx.conn.execute(
            upsert(average_cost)
            .values(entity=entity, sku=sku, unit_cost_e4=average)
            .on_conflict_do_update(index_elements=["entity", "sku"], set_={"unit_cost_e4": average})
        )


async def adjusted(tx: Transaction, caller: Caller, data: StockAdjusted, cause: str, at: datetime) -> int | None:
    """A correction by a person. Above the band the quantity waits as count pending and somebody reviews it.

    Returns the case that was opened, if any. Raises `NotAllowed` without the scope, `Malformed` for nothing,
    `UnknownLocation`, `UnknownSku`.
    """
    if "stock:adjust" not in caller.scopes:
        raise NotAllowed("This key may not adjust stock; it needs the scope stock:adjust.")
    if data.quantity == 0:
        raise Malformed("A quantity of 0 adjusts nothing.", pointer="/data/quantity")
    where = await reference.place(tx.conn, data.location, pointer="/data/location")
    await reference.known_items(tx.conn, [data.sku], pointer="/data/sku")
    policy = await reference.policy_at(tx.conn, where, at)
    unit_cost = (await reference.unit_costs(tx.conn, where.entity, [data.sku]))[data.sku]
    units = abs(data.quantity)
    cost = reference.cost_of(unit_cost, units)
    case_id = None
    if cost >= policy.stock.adjustment_review_minor:
        case_id = await _review(tx, data, where, policy, cost, cause, at)
    why = Cause(cause, data.actor, at, where.entity)
    await tx.lock_stock([(where.code, data.sku)])
    if case_id is not None and data.quantity < 0:
        parked = min(units, max(tx.shelf.quantity(where.code, data.sku, "available"), 0))
        if parked:
            tx.shelf.move(
                "adjusted",
                data.sku,
                parked,
                (where.code, "available"),
                (where.code, "count_pending"),
                why,
                reason=data.reason,
            )
        return case_id
    if case_id is None:
        _adjust(tx, data, where, units, unit_cost, cost, policy, why)
        if data.quantity > 0:
            await found.assign(tx, [(where.code, data.sku)], why)
    return case_id


def _adjust(
    tx: Transaction,
    data: StockAdjusted,
    where: reference.Place,
    units: int,
    unit_cost_e4: int,
    cost_minor: int,
    policy: Policy,
    why: Cause,
) -> None:
    accounts = ("found", "available") if data.quantity > 0 else ("available", "shrink")
    tx.shelf.move(
        "adjusted",
        data.sku,
        units,
        (where.code, accounts[0]),
        (where.code, accounts[1]),
        why,
        reason=data.reason,
        unit_cost_e4=unit_cost_e4,
        cost_minor=cost_minor,
    )
    signed = cost_minor if data.quantity > 0 else -cost_minor
    event = "stock.adjusted"
    lines = postings.adjustment(signed, data.reason, location=where.code, sku=data.sku)
    tx.post(
        Entry(where.entity, event, where.currency, why.cause, lines, why.at, None, policy.authority.of_posting(event))
    )


async def _review(
    tx: Transaction,
    data: StockAdjusted,
    where: reference.Place,
    policy: Policy,
    cost_minor: int,
    cause: str,
    at: datetime,
) -> int:
    ref = await case.open_case(
        tx,
        case.Opening(
            kind="adjustment_review",
            subject=cause,
            place=where,
            policy=policy,
            at=at,
            sku=data.sku,
            facts={
                "sku": data.sku,
                "quantity": data.quantity,
                "reason": data.reason,
                "actor": data.actor,
                "cost_minor": cost_minor,
            },
            options=(CaseOption(id="acknowledge", label="Have it counted", rank=1, because="the value is high"),),
            value_at_risk_minor=cost_minor,
            text=f"{data.quantity:+d} of {data.sku} at {where.name} ({data.reason}) waits for a review.",
        ),
    )
    return ref.id

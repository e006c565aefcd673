"""The money of an order: what a hand-over earns, what is owed back, and which operations at the provider that takes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from domain import exchanges, payments, postings
from domain.payments import Refundable, part_of
from ledger import reference
from ledger.bopis import by_the_source
from ledger.bopis.order import Order
from ledger.funding.change import ACCRUED, Funded
from ledger.journal import Entry
from ledger.tables import case_file, journal, journal_line, payment, payment_operation
from ledger.transaction import Rank

EARNING = ("bopis.handed_over", "bopis.shipped")  # the events that turn a deposit into revenue


def _share(sale: dict[str, Any], column: str, quantity: int) -> int:
    before = sale["handed_over"] + sale["refunded_quantity"]
    return part_of(sale[column], sale["quantity"], before, quantity)


def paid_share(sale: dict[str, Any], quantity: int) -> int:
    """What the customer paid for the next `quantity` units of a line, in minor units."""
    tax = 0 if sale["tax_included"] else _share(sale, "tax_minor", quantity)
    return (
        _share(sale, "gross_minor", quantity)
        - _share(sale, "discount_minor", quantity)
        - _share(sale, "coupon_minor", quantity)
        - _share(sale, "appeasement_minor", quantity)
        + tax
    )


def part_of_tax(sale: dict[str, Any], quantity: int) -> int:
    """The tax of the last `quantity` units that were given up."""
    before = sale["handed_over"] + sale["refunded_quantity"] - quantity
    return part_of(sale["tax_minor"], sale["quantity"], before, quantity)


def part_of_discount(sale: dict[str, Any], quantity: int) -> int:
    """The discount of the last `quantity` units that were given up."""
    before = sale["handed_over"] + sale["refunded_quantity"] - quantity
    return part_of(sale["discount_minor"], sale["quantity"], before, quantity)


async def earn(
    order: Order,
    handed: dict[str, int],
    costs: Mapping[str, int],
    cause: str,
    at: datetime,
    *,
    event: str = "bopis.handed_over",
) -> dict[str, int]:
    """Post revenue, tax and cost of units that were handed over; returns the cost of each line in minor units.

    `costs` are those of a unit, by the SKU that was sold. Charges are earned with the first hand-over.
    """
    lines, cost_by_line = [], {}
    parts = dict(handed)
    for line_id, sale in order.sales.items():
        if line_id.startswith("charge:") and sale["handed_over"] + sale["refunded_quantity"] < sale["quantity"]:
            parts[line_id] = 1
    for line_id, quantity in parts.items():
        sale = order.sales[line_id]
        cost = reference.cost_of(costs.get(sale["sku"], 0), quantity)
        lines += postings.sale(
            postings.Sale(
                gross_minor=_share(sale, "gross_minor", quantity),
                discount_minor=_share(sale, "discount_minor", quantity),
                coupon_minor=_share(sale, "coupon_minor", quantity),
                tax_minor=_share(sale, "tax_minor", quantity),
                tax_included=sale["tax_included"],
                cost_minor=cost,
                appeasement_minor=_share(sale, "appeasement_minor", quantity),
            ),
            paid_from="customer_deposits",
            location=order.location,
            sku=sale["sku"],
        )
        sale["handed_over"] += quantity
        sale["cost_minor"] += cost
        cost_by_line[line_id] = cost
        if sale["promotion_id"] is not None:
            authority = order.policy.authority.of_posting(ACCRUED)
            order.tx.fund(Funded.sold(sale, quantity, cause, at, authority, journey_id=order.id))
    order.tx.post(entry(order, event, cause, lines, at))
    return cost_by_line


def entry(order: Order, event: str, cause: str, lines: list[postings.Line], at: datetime) -> Entry:
    """A journal entry of this order."""
    return Entry(
        order.row["entity"],
        event,
        order.row["currency"],
        cause,
        lines,
        at,
        order.id,
        order.policy.authority.of_posting(event),
    )


def give_up(order: Order, quantities: dict[str, int]) -> int:
    """Mark units as refunded instead of handed over; returns what the customer paid for them, in minor units."""
    owed = 0
    for line_id, quantity in quantities.items():
        sale = order.sales[line_id]
        share = paid_share(sale, quantity)
        sale["refunded_quantity"] += quantity
        sale["refunded_minor"] += share
        if line_id in order.lines:
            order.lines[line_id]["refunded_minor"] += share
        owed += share
    return owed


def charges_left(order: Order) -> dict[str, int]:
    """Charges that were not earned, refunded when nothing at all will be handed over."""
    return {
        line_id: 1
        for line_id, sale in order.sales.items()
        if line_id.startswith("charge:") and sale["handed_over"] + sale["refunded_quantity"] < sale["quantity"]
    }


def give_up_charges_of_nothing(order: Order) -> int:
    """Give up the charges of an order of which nothing was sold and nothing is left; returns them in minor units."""
    if any(line["collected"] or order.open_quantity(line) for line in order.lines.values()):
        return 0
    return give_up(order, charges_left(order))


async def owe(order: Order, amount_minor: int, cause: str, at: datetime, *, reason: str) -> int:
    """Record what the customer is owed: authorised money is let go, captured money is refunded to where it came from.

    Writes the operations as requested; the journey carries them out. Returns what is refunded (not merely let go).
    """
    order.tx.enter(Rank.MONEY)
    rows = [
        dict(row)
        for row in (
            await order.tx.conn.execute(
                select(payment).where(payment.c.journey_id == order.id).order_by(payment.c.id).with_for_update()
            )
        ).mappings()
    ]
    rest = amount_minor
    asked = await _captures_asked_for(order, ("requested", "unknown"))
    for row in rows:
        loose = row["amount_minor"] - row["captured_minor"] - row["voided_minor"] - asked.get(row["id"], 0)
        part = min(rest, loose)
        if part > 0:
            rest -= part
            await _request(order, row["id"], "void", part, cause, at, reason)
            await order.tx.conn.execute(
                update(payment).where(payment.c.id == row["id"]).values(voided_minor=row["voided_minor"] + part)
            )
    refundable = [
        Refundable(row["id"], row["captured_minor"] - row["refund_requested_minor"] - row["returned_minor"])
        for row in rows
    ]
    if asked:
        # The provider is still asked for this money: it goes back when it was taken, and is not taken otherwise.
        later = max(rest - sum(one.open_minor for one in refundable), 0)
        order.row["detail"]["owed_when_captured"] = order.row["detail"].get("owed_when_captured", 0) + later
        rest -= later
    shares = payments.share_refund(rest, refundable)
    by_id = {row["id"]: row for row in rows}
    for payment_id, part in shares:
        await _request(order, payment_id, "refund", part, cause, at, reason)
        await order.tx.conn.execute(
            update(payment)
            .where(payment.c.id == payment_id)
            .values(refund_requested_minor=by_id[payment_id]["refund_requested_minor"] + part)
        )
    order.tx.post(entry(order, "bopis.refund_owed", cause, postings.refund_owed(rest), at))
    return rest


async def _captures_asked_for(order: Order, states: tuple[str, ...]) -> dict[str, int]:
    """Minor units of each payment that the provider was asked to take, by the states of the operations."""
    rows = await order.tx.conn.execute(
        select(payment_operation.c.payment_id, func.sum(payment_operation.c.amount_minor).label("amount_minor"))
        .where(
            payment_operation.c.journey_id == order.id,
            payment_operation.c.kind == "capture",
            payment_operation.c.state.in_(states),
        )
        .group_by(payment_operation.c.payment_id)
    )
    return {row.payment_id: int(row.amount_minor) for row in rows}


async def capture_what_is_due(order: Order, cause: str, at: datetime) -> None:
    """Ask the provider for authorised money, up to what was handed over or stands ready, with the charges."""
    order.tx.enter(Rank.MONEY)
    found = await order.tx.conn.execute(
        select(payment).where(payment.c.journey_id == order.id).order_by(payment.c.id).with_for_update()
    )
    rows = found.mappings().all()
    if not any(row["authorized_minor"] for row in rows):
        return
    asked = await _captures_asked_for(order, ("requested", "unknown"))
    taken = sum(row["captured_minor"] + asked.get(row["id"], 0) - row["refund_requested_minor"] for row in rows)
    due = sum(paid_share(order.sales[line["line_id"]], line["staged"]) for line in order.lines.values())
    due += sum(paid_share(order.sales[line_id], 1) for line_id in charges_left(order))
    due += await _earned(order) + order.row["detail"].get("owed_when_captured", 0) - taken
    for row in rows:
        loose = row["amount_minor"] - row["captured_minor"] - row["voided_minor"] - asked.get(row["id"], 0)
        part = min(due, loose)
        if part > 0:
            due -= part
            await _request(order, row["id"], "capture", part, cause, at, "ready for pickup")


async def is_declined(order: Order) -> bool:
    """Whether somebody is asked about money that the provider would not give: then nothing is to be handed over."""
    if order.tx.has_no_case(order.id, "capture_failed"):
        return False
    found = await order.tx.conn.execute(
        select(case_file.c.id).where(
            case_file.c.journey_id == order.id, case_file.c.kind == "capture_failed", case_file.c.closed_at.is_(None)
        )
    )
    return found.first() is not None


async def _earned(order: Order) -> int:
    """What the customer owes for what was handed over, in minor units: posted before, or about to be."""
    about_to_be = sum(
        line.debit_minor
        for posted in order.tx.entries
        if posted.event in EARNING and posted.journey_id == order.id
        for line in posted.lines
        if line.account == "customer_deposits"
    )
    before = await order.tx.conn.execute(
        select(func.coalesce(func.sum(journal_line.c.debit_minor), 0))
        .join(journal, journal.c.id == journal_line.c.journal_id)
        .where(
            journal.c.journey_id == order.id,
            journal.c.event.in_(EARNING),
            journal_line.c.account == "customer_deposits",
        )
    )
    return int(before.scalar_one()) + about_to_be


async def _request(
    order: Order, payment_id: str, kind: str, amount_minor: int, cause: str, at: datetime, reason: str
) -> None:
    by_source = kind == "refund" and order.policy.authority.refund == "source"
    # What a return paid goes back to that return, whoever pays out money.
    by_source = by_source and not payment_id.startswith(f"{order.id}/{exchanges.credit_of('')}")
    operation_id = f"{kind}:{payment_id}:{cause}"
    await order.tx.conn.execute(
        insert(payment_operation).values(
            id=operation_id,
            payment_id=payment_id,
            journey_id=order.id,
            kind=kind,
            amount_minor=amount_minor,
            currency=order.row["currency"],
            reason=reason,
            state="with_source" if by_source else "requested",
            at=at,
        )
    )
    if by_source:
        await by_the_source.ask(order, operation_id, at)

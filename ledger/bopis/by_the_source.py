"""Refunds that the order's own system carries out: asked for by webhook, ended by its report; silence asks a person."""

from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from sqlalchemy import RowMapping, select

from domain.case import CaseOption, Consequence, MoneyEffect
from domain.errors import Malformed
from domain.events import RefundConfirmed
from domain.messages import Message
from domain.policy import Policy
from domain.words import money
from ledger import case, payments, steps
from ledger.reference import Place
from ledger.tables import case_file, payment_operation
from ledger.transaction import Rank, Transaction
from ledger.webhooks.announcing import announce

DUE = "refund_confirm"
WITH_SOURCE = "with_source"


class Refunding(Protocol):
    """A journey that pays somebody back: an order, a return."""

    tx: Transaction
    row: dict[str, Any]
    policy: Policy
    place: Place

    @property
    def id(self) -> str: ...
    def due(self, name: str, at: datetime) -> None: ...
    def drop_dues(self, *names: str) -> None: ...
    async def lock_cases(self) -> None: ...
    async def lock_goods(self) -> None: ...
    async def save(self, at: datetime) -> None: ...


async def ask(order: Refunding, operation_id: str, at: datetime) -> None:
    """Tell the source what to pay back, under an id that stays the same, and give it the policy's time to confirm."""
    found = await payments.operation(order.tx.conn, operation_id)
    await announce(
        order.tx,
        "refund.requested",
        about=order.row["source"],
        subject=order.id,
        at=at,
        data={
            "operation_id": found.id,
            "journey_id": order.id,
            "key": order.row["key"],
            "payment_reference": found.reference,
            "tender": found.tender,
            "amount_minor": found.amount_minor,
            "currency": found.currency,
            "seq": order.row["version"] + 1,
        },
    )
    order.due(DUE, at + timedelta(seconds=order.policy.authority.refund_silence_s))


async def confirmed(order: Refunding, data: RefundConfirmed, cause: str, at: datetime) -> str:
    """The source has paid: the refund is posted and ends. Another amount than was asked for asks a person.

    Raises `Malformed` for a refund that the order does not have, or that is not the source's to carry out.
    """
    await order.lock_cases()
    await order.lock_goods()
    order.tx.enter(Rank.MONEY)
    row = await order.tx.conn.execute(
        select(payment_operation.c.state)
        .where(payment_operation.c.id == data.operation_id, payment_operation.c.journey_id == order.id)
        .with_for_update()
    )
    state = row.scalar()
    if state is None:
        raise Malformed(f"The order has no refund {data.operation_id[:120]}.", pointer="/data/operation_id")
    found = await payments.operation(order.tx.conn, data.operation_id)
    if found.kind != "refund" or state not in (WITH_SOURCE, "succeeded"):
        raise Malformed("This refund is not the source's to confirm.", pointer="/data/operation_id")
    said = money(data.amount_minor, data.currency)
    if (data.amount_minor, data.currency) != (found.amount_minor, found.currency):
        detail = f"The source says that {said} went back; {money(found.amount_minor, found.currency)} were asked for."
        await _open(order, found, detail, at)
    elif state == "succeeded":
        detail = f"The source confirmed again that {said} went back."
    else:
        detail = f"The source confirmed that {said} went back."
        await payments.confirmed_by_source(order.tx, cast("RowMapping", order.row), found, data.reference, at)
        await case.heal(order.tx, await _open_case(order, found.id), "the source has confirmed it", at)
        if not await _waiting(order):
            order.drop_dues(DUE)
    await steps.note(order.tx, order.id, "refund_confirmed", cause, detail, at)
    await order.save(at)
    order.tx.tell(order.id, Message.RESUMED)
    return detail


async def silence(order: Refunding, at: datetime) -> str:
    """The source has not confirmed in time: somebody looks at each refund that it still owes."""
    waiting = await _waiting(order)
    for operation_id in waiting:
        found = await payments.operation(order.tx.conn, operation_id)
        await _open(order, found, "The source has not confirmed the refund in time.", at)
    return "The source has not confirmed a refund in time; finance is asked." if waiting else ""


async def _waiting(order: Refunding) -> list[str]:
    rows = await order.tx.conn.execute(
        select(payment_operation.c.id)
        .where(payment_operation.c.journey_id == order.id, payment_operation.c.state == WITH_SOURCE)
        .order_by(payment_operation.c.id)
    )
    return list(rows.scalars())


async def _open_case(order: Refunding, operation_id: str) -> int | None:
    rows = await order.tx.conn.execute(
        select(case_file.c.id).where(
            case_file.c.dedupe_key == f"refund_failed|{operation_id}", case_file.c.closed_at.is_(None)
        )
    )
    number: int | None = rows.scalar()
    return number


async def _open(order: Refunding, found: payments.OperationRow, said: str, at: datetime) -> None:
    refund = MoneyEffect(label="Refund", amount_minor=found.amount_minor, currency=found.currency)
    await case.open_case(
        order.tx,
        case.Opening(
            kind="refund_failed",
            subject=found.id,
            place=order.place,
            policy=order.policy,
            at=at,
            journey_id=order.id,
            channel=order.row["channel"],
            facts={"operation_id": found.id, "tender": found.tender, "error": said, "order": order.row["key"]},
            options=(
                CaseOption(
                    id="ask_source_again",
                    label="Ask the source again",
                    rank=1,
                    because="it is asked under the same id and pays once",
                    consequence=Consequence(money=(refund,), customer="Hears nothing until it is confirmed."),
                ),
                CaseOption(
                    id="manual_payout",
                    label="Paid out by hand",
                    rank=2,
                    confirms=("paid_out",),
                    consequence=Consequence(money=(refund,), customer="Has the money already."),
                ),
            ),
            value_at_risk_minor=found.amount_minor,
            clock_offset_s=order.row["clock_offset_s"],
            text=said,
        ),
    )

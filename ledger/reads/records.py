"""The records of one journey, as rows for pages and the API: timeline, movements, postings, payments.

Callers have checked that the viewer may see the journey; the functions here only read what belongs to it.
"""

from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.words import money
from ledger.people import names
from ledger.tables import (
    case_event,
    case_file,
    journal,
    journal_line,
    journey_step,
    movement,
    payment,
    payment_operation,
)


class TimelineEntry(BaseModel):
    """One thing that happened; `detail` is a sentence for people, `event` the word behind it."""

    at: datetime
    event: str
    actor: str
    detail: str
    case_id: int | None = None


class MovementRow(BaseModel):
    """A quantity taken from one account to another; cost in minor units of the entity's currency."""

    id: int
    kind: str
    reason: str
    sku: str
    quantity: int
    from_location: str
    from_account: str
    to_location: str
    to_account: str
    cost_minor: int
    entity: str
    journey_id: str | None
    hold_id: str | None
    cause: str
    actor: str
    at: datetime
    recorded_at: datetime


class PostingRow(BaseModel):
    """One line of a journal; the debits and credits of a `journal_id` are equal."""

    journal_id: int
    line_no: int
    account: str
    debit_minor: int
    credit_minor: int
    currency: str
    entity: str
    event: str
    authority: str
    period: str
    effective_at: datetime
    location: str | None
    sku: str | None


class OperationRow(BaseModel):
    """One call to the payment provider, as recorded; `id` is the provider's idempotency key."""

    id: str
    kind: str
    amount_minor: int
    state: str
    reason: str
    error: str | None
    at: datetime
    finished_at: datetime | None


class PaymentRow(BaseModel):
    """One tender of an order, in minor units."""

    id: str
    reference: str
    tender: str
    currency: str
    amount_minor: int
    authorized_minor: int
    captured_minor: int
    voided_minor: int
    refund_requested_minor: int
    refunded_minor: int
    authorized_until: datetime | None
    operations: list[OperationRow]


async def timeline_of(conn: AsyncConnection, journey_id: str) -> list[TimelineEntry]:
    """Steps with a sentence, events of its cases, payments that were asked for; oldest first."""
    steps = select(
        journey_step.c.at,
        journey_step.c.step.label("event"),
        journey_step.c.actor,
        journey_step.c.detail,
        literal(None).label("case_id"),
        journey_step.c.recorded_at,
    ).where(journey_step.c.journey_id == journey_id, journey_step.c.detail != "")
    events = (
        select(
            case_event.c.at,
            case_event.c.kind.label("event"),
            case_event.c.actor,
            case_event.c.text.label("detail"),
            case_event.c.case_id,
            case_event.c.recorded_at,
        )
        .join(case_file, case_file.c.id == case_event.c.case_id)
        .where(case_file.c.journey_id == journey_id)
    )
    found: list[tuple[datetime, datetime, TimelineEntry]] = []
    for prefix, query in (("", steps), ("case_", events)):
        for row in (await conn.execute(query)).mappings():
            entry = TimelineEntry(
                at=row["at"], event=prefix + row["event"], actor=row["actor"], detail=row["detail"],
                case_id=row["case_id"],
            )  # fmt: skip
            found.append((row["at"], row["recorded_at"], entry))
    asked = select(payment_operation).where(payment_operation.c.journey_id == journey_id)
    for row in (await conn.execute(asked)).mappings():
        why = f": {row['reason'].replace('_', ' ')}" if row["reason"] else ""
        entry = TimelineEntry(
            at=row["at"],
            event="payment_requested",
            actor="endcap",
            detail=f"{row['kind'].capitalize()} of {money(row['amount_minor'], row['currency'])} requested{why}.",
        )
        found.append((row["at"], row["recorded_at"], entry))
    found.sort(key=lambda entry: entry[:2])
    return await _with_names(conn, [entry for _, _, entry in found])


async def _with_names(conn: AsyncConnection, entries: list[TimelineEntry]) -> list[TimelineEntry]:
    """Actors that are people by name; the others (endcap, a source) as they are."""
    known = await names(conn, {entry.actor for entry in entries})
    return [entry.model_copy(update={"actor": known.get(entry.actor, entry.actor)}) for entry in entries]


async def movements_of(conn: AsyncConnection, journey_id: str) -> list[MovementRow]:
    query = select(movement).where(movement.c.journey_id == journey_id).order_by(movement.c.recorded_at, movement.c.id)
    return [MovementRow.model_validate(dict(row)) for row in (await conn.execute(query)).mappings()]


POSTING = (
    journal_line.c.journal_id, journal_line.c.line_no, journal_line.c.account, journal_line.c.debit_minor,
    journal_line.c.credit_minor, journal_line.c.location, journal_line.c.sku, journal.c.currency,
    journal.c.entity, journal.c.event, journal.c.authority, journal.c.period, journal.c.effective_at,
)  # fmt: skip


async def postings_of(conn: AsyncConnection, journey_id: str) -> list[PostingRow]:
    query = (
        select(*POSTING)
        .join(journal, journal.c.id == journal_line.c.journal_id)
        .where(journal.c.journey_id == journey_id)
        .order_by(journal_line.c.journal_id, journal_line.c.line_no)
    )  # fmt: skip
    return [PostingRow.model_validate(dict(row)) for row in (await conn.execute(query)).mappings()]


async def payments_of(conn: AsyncConnection, journey_id: str) -> list[PaymentRow]:
    calls: dict[str, list[OperationRow]] = {}
    query = (
        select(payment_operation)
        .where(payment_operation.c.journey_id == journey_id)
        .order_by(payment_operation.c.recorded_at, payment_operation.c.id)
    )
    for row in (await conn.execute(query)).mappings():
        calls.setdefault(row["payment_id"], []).append(OperationRow.model_validate(dict(row)))
    payments = select(payment).where(payment.c.journey_id == journey_id).order_by(payment.c.reference)
    return [
        PaymentRow.model_validate({**row, "operations": calls.get(row["id"], [])})
        for row in (await conn.execute(payments)).mappings()
    ]

"""Mails as rows: queued inside the transaction that causes them, claimed by lease, and marked by what became of them.

It holds no text and no address; names and addresses are read when a mail is sent. It never speaks SMTP.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ledger.engine import Database
from ledger.tables import approval, case_event, case_file, journey, journey_step, mail
from ledger.transaction import Transaction


class MailRow(NamedTuple):
    """A mail that this sender holds until its lease ends. `attempts` counts this one."""

    id: int
    template: str
    person_id: str | None
    customer_id: str | None
    journey_id: str | None
    case_id: int | None
    approval_id: int | None
    context: dict[str, Any]
    message_id: str | None
    attempts: int
    not_before: datetime


async def queue(
    tx: Transaction,
    *,
    template: str,
    dedupe_key: str,
    not_before: datetime,
    person_id: str | None = None,
    customer_id: str | None = None,
    journey_id: str | None = None,
    case_id: int | None = None,
    approval_id: int | None = None,
    agreement_id: str | None = None,
    context: Mapping[str, Any] = {},
    offset_s: int | None = None,
) -> None:
    """Have one mail sent after the transaction has committed; a `dedupe_key` that was used before queues nothing.

    `not_before` is reckoned by the clock of the approval, case or journey that the mail belongs to; the demo may have
    moved it on, and the mail goes out by the real one. `offset_s` is by how much, where the caller has that row locked.
    `context` holds ids and figures only. A mail goes to one
    person, one customer, or the vendor of a funding agreement; an order without a customer has nobody to write to, and
    nothing is queued.
    """
    if person_id is not None and customer_id is not None:
        raise ValueError("a mail goes to one person or to one customer")
    if person_id is None and customer_id is None and agreement_id is None:
        return
    if offset_s is None:
        offset_s = await _clock_offset_s(tx, journey_id, case_id, approval_id)
    row = {
        "template": template,
        "dedupe_key": dedupe_key,
        "not_before": not_before - timedelta(seconds=offset_s),
        "person_id": person_id,
        "customer_id": customer_id,
        "journey_id": journey_id,
        "case_id": case_id,
        "approval_id": approval_id,
        "context": {**context, **({"agreement_id": agreement_id} if agreement_id else {})},
    }
    await tx.conn.execute(upsert(mail).values(row).on_conflict_do_nothing(index_elements=["dedupe_key"]))


async def _clock_offset_s(tx: Transaction, journey_id: str | None, case_id: int | None, approval_id: int | None) -> int:
    for table, row_id in ((approval, approval_id), (case_file, case_id), (journey, journey_id)):
        if row_id is not None:
            found = await tx.conn.execute(select(table.c.clock_offset_s).where(table.c.id == row_id))
            return int(found.scalar_one_or_none() or 0)
    return 0


async def withdraw(tx: Transaction, *, case_id: int | None = None, approval_id: int | None = None) -> int:
    """Take back the mails of a case or an approval that nobody has begun to send; returns how many."""
    if case_id is None and approval_id is None:
        raise ValueError("say whose mails are withdrawn")
    of_case = mail.c.case_id == case_id if case_id is not None else None
    of_approval = mail.c.approval_id == approval_id if approval_id is not None else None
    whose = [clause for clause in (of_case, of_approval) if clause is not None]
    gone = await tx.conn.execute(
        update(mail)
        .where(or_(*whose), mail.c.state == "queued", mail.c.leased_until.is_(None))
        .values(state="withdrawn")
    )
    return gone.rowcount


async def claim_mails(database: Database, by: str, limit: int, lease_s: float) -> list[MailRow]:
    """Take up to `limit` mails that are due, oldest first, for `lease_s` seconds. Two senders never hold the same one.

    A sender that dies leaves its lease behind; the mail is claimed again when that has run out.
    """

    async def work(tx: Transaction) -> list[MailRow]:
        due = (
            select(mail.c.id)
            .where(
                mail.c.state == "queued",
                mail.c.not_before <= func.now(),
                or_(mail.c.leased_until.is_(None), mail.c.leased_until < func.now()),
            )
            .order_by(mail.c.not_before, mail.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        taken = await tx.conn.execute(
            update(mail)
            .where(mail.c.id == due.c.id)
            .values(attempts=mail.c.attempts + 1, leased_until=func.now() + timedelta(seconds=lease_s))
            .returning(*(mail.c[name] for name in MailRow._fields))
        )
        rows = [MailRow(*row) for row in taken]
        return sorted(rows, key=lambda row: (row.not_before, row.id))

    return await database.write(work, actor=by, via="sender")


async def name_message(database: Database, mail_id: int, message_id: str) -> None:
    """Record the Message-ID before the first attempt, so that a repeated mail is recognised as the same one."""

    async def work(tx: Transaction) -> None:
        await tx.conn.execute(
            update(mail).where(mail.c.id == mail_id, mail.c.message_id.is_(None)).values(message_id=message_id)
        )

    await database.write(work, actor="sender", via="sender")


async def mail_sent(database: Database, mail_id: int, message_id: str) -> None:
    """The server has taken it."""

    async def work(tx: Transaction) -> None:
        sent = await tx.conn.execute(
            update(mail)
            .where(mail.c.id == mail_id)
            .values(state="sent", message_id=message_id, sent_at=func.now(), leased_until=None, last_error=None)
            .returning(mail.c.case_id, mail.c.journey_id, mail.c.template, mail.c.attempts)
        )
        row = sent.one()
        if row.attempts == 1:
            return
        if row.case_id is not None:
            await say_on_case(tx, row.case_id, "mail_sent", f"The mail went out at attempt {row.attempts}.", mail_id)
        elif row.journey_id is not None:
            about = row.template.replace("_", " ")
            text = f"The message “{about}” went out at attempt {row.attempts}."
            await _say_on_order(tx, row.journey_id, "mail_sent", text, mail_id)

    await database.write(work, actor="sender", via="sender")


async def mail_failed(
    database: Database, mail_id: int, error: str, retry_after: timedelta | None, *, to: str = "the addressee"
) -> None:
    """It was not taken. With `retry_after` it is tried again then; without, it has failed for good.

    The first failure and the last one are written on the case, or on the order where there is none, so that nobody
    waits for a mail that never came.
    """

    async def work(tx: Transaction) -> None:
        values: dict[str, Any] = {"last_error": error[:500], "leased_until": None}
        if retry_after is None:
            values["state"] = "failed"
        else:
            values["not_before"] = func.now() + retry_after
        failed = await tx.conn.execute(
            update(mail)
            .where(mail.c.id == mail_id)
            .values(values)
            .returning(mail.c.case_id, mail.c.journey_id, mail.c.template, mail.c.attempts)
        )
        row = failed.one()
        if retry_after is None:
            kind, became = "mail_failed", "could not be delivered and is given up"
        elif row.attempts == 1:
            kind, became = "mail_delayed", "could not be delivered yet; it is tried again"
        else:
            return
        if row.case_id is not None:
            await say_on_case(tx, row.case_id, kind, f"The mail to {to} {became}: {error[:200]}", mail_id)
        elif row.journey_id is not None:
            about = row.template.replace("_", " ")
            await _say_on_order(tx, row.journey_id, kind, f"The message “{about}” {became}: {error[:200]}", mail_id)

    await database.write(work, actor="sender", via="sender")


async def give_up_withdrawn(database: Database, mail_id: int, why: str) -> None:
    """The mail has lost its reason (its approval is decided, its customer erased): it is withdrawn, not failed."""

    async def work(tx: Transaction) -> None:
        await tx.conn.execute(
            update(mail)
            .where(and_(mail.c.id == mail_id, mail.c.state == "queued"))
            .values(state="withdrawn", last_error=why[:500], leased_until=None)
        )

    await database.write(work, actor="sender", via="sender")


async def say_on_case(tx: Transaction, case_id: int, kind: str, text: str, mail_id: int) -> None:
    """A line about a mail on the timeline of its case."""
    episode = select(case_file.c.episode).where(case_file.c.id == case_id).scalar_subquery()
    await tx.conn.execute(
        insert(case_event).values(
            case_id=case_id,
            episode=episode,
            kind=kind,
            actor="sender",
            via="system",
            text=text,
            detail={"mail_id": mail_id},
            at=func.now(),
        )
    )


async def _say_on_order(tx: Transaction, journey_id: str, kind: str, text: str, mail_id: int) -> None:
    """A line about a mail on the timeline of its order, at the order's own time."""
    offset_s = await _clock_offset_s(tx, journey_id, None, None)
    await tx.conn.execute(
        upsert(journey_step)
        .values(
            journey_id=journey_id,
            step=kind,
            occurrence=f"mail:{mail_id}",
            input_hash="",
            detail=text,
            actor="sender",
            at=await tx.now(offset_s),
        )
        .on_conflict_do_nothing()
    )

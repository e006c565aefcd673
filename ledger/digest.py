"""At most so many approval mails a person and hour; what is beyond waits for one digest of everything that waits.

A link that somebody asked for themselves, or the answer to a question of theirs, is never held back.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select, text, update

from domain.policy import Policy
from ledger import mails, reference
from ledger.engine import Database
from ledger.mails import MailRow
from ledger.tables import approval, mail
from ledger.transaction import Transaction

HOUR = timedelta(hours=1)
AT_ONCE = frozenset({"again", "answered"})  # what somebody waits for


async def hold_back(database: Database, row: MailRow, *, to: str) -> datetime | None:
    """None when this approval mail may go now. Else it is withdrawn, and the instant is when the digest goes out.

    `row` is leased by the caller. Two senders that ask at once get different answers: one person's mails are counted
    one after the other.
    """
    if row.template != "approval_request" or row.context.get("occasion") in AT_ONCE:
        return None

    async def work(tx: Transaction) -> datetime | None:
        await tx.conn.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:who, 0))"), {"who": f"approval mails {row.person_id}"}
        )
        policy = await _policy(tx, row)
        gone = await tx.conn.execute(select(func.count(), func.min(mail.c.sent_at)).where(_before(row)))
        count, first = gone.one()
        if count < policy.approvals.mails_per_person_hour:
            return None
        now = await tx.now()
        goes_at: datetime = (first or now) + HOUR
        if not await _digest_waits(tx, row, goes_at):
            key = f"approval-digest:{row.person_id}:{row.id}"
            await mails.queue(
                tx, template="approval_digest", dedupe_key=key, not_before=goes_at, person_id=row.person_id
            )
        await tx.conn.execute(
            update(mail)
            .where(mail.c.id == row.id)
            .values(state="withdrawn", last_error="it goes with the digest", leased_until=None)
        )
        if row.case_id is not None:
            said = f"{to} has had {count} approval mails within the hour: this one goes with the next digest."
            await mails.say_on_case(tx, row.case_id, "mail_held", said, row.id)
        return goes_at

    return await database.write(work, actor="sender", via="sender")


async def _policy(tx: Transaction, row: MailRow) -> Policy:
    at = await tx.conn.execute(select(approval.c.location).where(approval.c.id == row.approval_id))
    place = await reference.place(tx.conn, at.scalar_one())
    return await reference.policy_at(tx.conn, place, await tx.now())


def _before(row: MailRow) -> ColumnElement[bool]:
    """Approval mails of the same person that went out within the hour, or are in some sender's hands before this."""
    sent = and_(mail.c.state == "sent", mail.c.sent_at > func.now() - HOUR)
    in_hand = and_(mail.c.state == "queued", mail.c.leased_until > func.now(), mail.c.id < row.id)
    return and_(
        mail.c.approval_id.is_not(None),
        mail.c.template == "approval_request",
        mail.c.person_id == row.person_id,
        mail.c.id != row.id,
        or_(sent, in_hand),
    )


async def _digest_waits(tx: Transaction, row: MailRow, goes_at: datetime) -> bool:
    """Whether a digest goes by then that nobody has begun to write: one that is being written may not know of this."""
    found = await tx.conn.execute(
        select(mail.c.id).where(
            mail.c.template == "approval_digest",
            mail.c.person_id == row.person_id,
            mail.c.state == "queued",
            mail.c.not_before <= goes_at,
            or_(mail.c.leased_until.is_(None), mail.c.leased_until < func.now()),
        )
    )
    return found.first() is not None

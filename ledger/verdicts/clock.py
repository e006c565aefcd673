"""The clock of an approval: reminders, the next level, the end."""

from datetime import datetime, timedelta

from sqlalchemy import RowMapping, select, update

from domain.calendars import add_open_time
from domain.ids import approval_target
from domain.messages import Message, Situation, Step
from domain.policy import Policy
from ledger import reference
from ledger.approval import levels
from ledger.approval.links import revoke_links
from ledger.approval.opening import ask_level, mail_approvers
from ledger.approval.sides import sides_of, words_of
from ledger.engine import Database
from ledger.steps import take_row_step
from ledger.tables import approval, journey
from ledger.transaction import Transaction
from ledger.verdicts import endings


async def on_due(database: Database, step: Step) -> Situation:
    """A reminder, the next level, or the end of an approval. A verdict recorded first wins: then nothing happens."""
    approval_id = int(step.subject)
    async with database.read() as conn:
        journey_id = (await conn.execute(select(approval.c.journey_id).where(approval.c.id == approval_id))).scalar()

    async def lock(tx: Transaction) -> RowMapping:
        if journey_id is not None:
            await tx.lock_journey(journey_id)
        return await tx.lock_approval(approval_id)

    async def work(tx: Transaction, row: RowMapping) -> str:
        if row["state"] != "pending" or row["next_at"] is None or row["next_at"] > step.at:
            return ""
        place = await reference.place(tx.conn, row["location"])
        policy = await reference.policy_at(tx.conn, place, step.at)
        if row["next_at"] < row["deadline_at"]:
            return await _remind(tx, row, place, policy, step.at)
        if row["level"] < len(row["roles"]):
            await ask_level(tx, row, place, policy, step.at, previous_due=row["deadline_at"])
            return "Asked the next level."
        return await _expire(tx, row, step.at)

    return await take_row_step(
        database, f"approval:{approval_id}", approval_target(approval_id), "on_due", step, lock, work
    )


async def _remind(tx: Transaction, row: RowMapping, place: reference.Place, policy: Policy, at: datetime) -> str:
    sides = (await sides_of(tx.conn, [row]))[row["id"]]
    words = (await words_of(tx.conn, [row["id"]])).get(row["id"], [])
    asked = await levels.still_asked(tx.conn, sides, words, row["level"], row["barred"])
    await mail_approvers(tx, row, asked, f"reminder:{row['next_at']:%Y%m%dT%H%M%S}", at)
    span = timedelta(seconds=policy.approvals.level_s)
    start = row["opened_at"] if row["level"] <= 1 else row["deadline_at"] - span
    left = [
        when
        for when in (
            add_open_time(start, span * permille / 1000, place.hours) for permille in policy.approvals.reminder_permille
        )
        if row["next_at"] < when < row["deadline_at"]
    ]
    await tx.conn.execute(
        update(approval)
        .where(approval.c.id == row["id"])
        .values(next_at=min([*left, row["deadline_at"]]), version=row["version"] + 1)
    )
    return "Reminded the approvers."


async def _expire(tx: Transaction, row: RowMapping, at: datetime) -> str:
    await tx.conn.execute(
        update(approval)
        .where(approval.c.id == row["id"])
        .values(state="expired", next_at=None, version=row["version"] + 1)
    )
    await revoke_links(tx, row["id"], at)
    tx.record("approval.expired", f"approval:{row['id']}", at)
    if row["journey_id"] is not None:
        asks = (await tx.conn.execute(select(journey.c.asks).where(journey.c.id == row["journey_id"]))).scalar_one()
        if asks.get("approval_id") == row["id"]:
            await tx.conn.execute(
                update(journey).where(journey.c.id == row["journey_id"]).values(asks=asks | {"verdict": "expired"})
            )
            tx.tell(row["journey_id"], Message.VERDICT_RECORDED)
    await endings.carry_out(tx, row, "expired", at)
    return "Nobody decided in time."

"""The escalation ladder of a case: each level is reckoned from the previous due instant, and an empty level goes to
the next.
"""

from datetime import datetime, timedelta

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.calendars import add_open_time
from domain.case_kinds import KINDS
from domain.errors import DomainError, StepMismatch
from domain.ids import case_target
from domain.messages import Situation, Step
from domain.people import Person
from domain.policy import Policy
from ledger import mails, people, reference
from ledger.case.life import add_event, change
from ledger.decisions import undoing
from ledger.engine import Database
from ledger.steps import take_row_step
from ledger.tables import case_file
from ledger.transaction import Transaction


async def on_due(database: Database, step: Step) -> Situation:
    """A due instant of a case has come: climb the ladder, or end a wait. What was recorded first wins: then nothing
    happens.
    """
    case_id = int(step.subject)
    async with database.read() as conn:
        episode = await _episode(conn, case_id)

    if step.due == "decision":
        return await _end_of_window(database, case_id, episode, step)

    async def work(tx: Transaction, row: RowMapping) -> str:
        if row["closed_at"] is not None or step.due is None:
            return ""
        if step.due == "waiting" and row["waiting_until"] is not None and row["waiting_until"] <= step.at:
            return await _end_wait(tx, row, step.at)
        if step.due == "level" and row["next_level_at"] is not None and row["next_level_at"] <= step.at:
            return await _climb(tx, row, step.at)
        return ""

    return await take_row_step(
        database,
        f"case:{case_id}",
        case_target(case_id, episode),
        "on_due",
        step,
        lambda tx: tx.lock_case(case_id),
        work,
    )


async def _end_of_window(database: Database, case_id: int, episode: int, step: Step) -> Situation:
    """What was decided is carried out, unless it was undone; where it is not possible any more the case goes back."""

    async def attempt(because: str | None) -> Situation:
        held: dict[str, RowMapping | None] = {}

        async def lock(tx: Transaction) -> RowMapping:
            held["journey"], row = await undoing.lock(tx, case_id)
            return row

        target = case_target(case_id, episode)
        work = undoing.take(step, because, held)
        return await take_row_step(database, f"case:{case_id}", target, "on_due", step, lock, work)

    try:
        return await attempt(None)
    except StepMismatch:
        raise
    except DomainError as refused:
        return await attempt(refused.detail)


async def _episode(conn: AsyncConnection, case_id: int) -> int:
    return int((await conn.execute(select(case_file.c.episode).where(case_file.c.id == case_id))).scalar_one())


async def _end_wait(tx: Transaction, row: RowMapping, at: datetime) -> str:
    place = await reference.place(tx.conn, row["location"])
    policy = await reference.policy_at(tx.conn, place, at)
    due = add_open_time(at, timedelta(seconds=policy.cases.clocks[row["severity"]].unstarted_s), place.hours)
    changed = await change(
        tx,
        row,
        state="claimed" if row["claimed_by"] else "open",
        waiting_reason=None,
        waiting_until=None,
        unresolved_due_at=due,
        next_due_at=due,
        next_level_at=due,
    )
    await add_event(tx, changed, "wait_ended", "The wait is over.", at)
    return "The wait is over."


async def _climb(tx: Transaction, row: RowMapping, at: datetime) -> str:
    place = await reference.place(tx.conn, row["location"])
    policy = await reference.policy_at(tx.conn, place, at)
    ladder = KINDS[row["kind"]].ladder
    level = row["level"]
    asked: list[Person] = []
    while level < len(ladder) and not asked:
        asked = list(
            await people.holders_of_role(
                tx.conn, ladder[level], entity=row["entity"], region=row["region"], location=row["location"]
            )
        )
        level += 1
    if not asked:
        await change(tx, row, level=len(ladder), next_level_at=None)
        await add_event(tx, row, "ladder_ended", "Nobody is left to escalate to; the case stays in its queue.", at)
        return "Nobody is left to escalate to."
    next_at = _next_level(row["next_level_at"], policy, place) if level < len(ladder) else None
    changed = await change(tx, row, level=level, next_level_at=next_at)
    for person in asked:
        await mails.queue(
            tx,
            template="case_escalated",
            dedupe_key=f"case:{row['id']}:{row['episode']}:level:{level}:{person.id}",
            not_before=at,
            person_id=person.id,
            case_id=row["id"],
            journey_id=row["journey_id"],
            context={"level": level},
        )
    names = ", ".join(person.name for person in asked)
    text = f"Escalated to {ladder[level - 1].replace('_', ' ')}: {names}."
    await add_event(tx, changed, "escalated", text, at, detail={"level": level})
    tx.record("case.escalated", f"case:{row['id']}", at, after={"level": level})
    return text


def _next_level(previous: datetime, policy: Policy, place: reference.Place) -> datetime:
    return add_open_time(previous, timedelta(seconds=policy.cases.level_s), place.hours)

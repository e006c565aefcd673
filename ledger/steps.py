"""Steps: one activity, one transaction, taken once. A repeated step answers from the record; another input under its
key is refused.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy import RowMapping, insert, select

from domain.errors import StepMismatch
from domain.messages import Situation, Step
from ledger import outbox, situations
from ledger.closing import flush
from ledger.engine import Database
from ledger.tables import journey_step
from ledger.transaction import Transaction


def input_hash(step: Step) -> str:
    """What a step was asked to do, without the time at which it was asked: a rebuilt workflow asks again later."""
    return hashlib.sha256(step.model_dump_json(exclude={"at"}).encode()).hexdigest()


async def recorded(tx: Transaction, subject: str, name: str, step: Step) -> Situation | None:
    """The answer that this step gave before, if it was taken. Raises `StepMismatch` for another input under its key."""
    row = (
        await tx.conn.execute(
            select(journey_step.c.input_hash, journey_step.c.result).where(
                journey_step.c.journey_id == subject,
                journey_step.c.step == name,
                journey_step.c.occurrence == step.occurrence,
            )
        )
    ).first()
    if row is None:
        return None
    if row.input_hash != input_hash(step):
        raise StepMismatch(f"{subject}: the step {name} ({step.occurrence}) was taken before with another input.")
    return Situation.model_validate(row.result)


async def note(
    tx: Transaction, journey_id: str, name: str, occurrence: str, detail: str, at: datetime, *, actor: str | None = None
) -> None:
    """A line of a journey's timeline that is no step of its workflow: a fact, an intake, a decision."""
    await tx.conn.execute(
        insert(journey_step).values(
            journey_id=journey_id,
            step=name,
            occurrence=occurrence,
            input_hash="",
            detail=detail,
            actor=actor or tx.actor,
            at=at,
        )
    )


Work = Callable[[Transaction, RowMapping], Awaitable[str]]


async def take_journey_step(database: Database, name: str, step: Step, work: Work) -> Situation:
    """Take a step of a journey under its row's lock. `work` returns the sentence for the timeline ("" for nothing to
    tell).

    The situation is read with the target's message counter locked, so its `seq` says exactly what it includes.
    """

    async def whole(tx: Transaction) -> Situation:
        row = await tx.lock_journey(step.subject)
        before = await recorded(tx, step.subject, name, step)
        if before is not None:
            return before
        detail = await work(tx, row)
        await flush(tx)
        seq = await outbox.last_seq(tx.conn, step.subject)
        situation = await situations.of_journey(tx.conn, step.subject, seq)
        await _keep(tx, step.subject, name, step, detail, situation)
        return situation

    return await database.write(whole, actor="endcap", via="workflow")


async def take_row_step(
    database: Database,
    subject: str,
    target: str,
    name: str,
    step: Step,
    lock: Callable[[Transaction], Awaitable[RowMapping]],
    work: Work,
) -> Situation:
    """The same for a case or an approval; `subject` is its name in the steps' table, `target` its workflow."""

    async def whole(tx: Transaction) -> Situation:
        row = await lock(tx)
        before = await recorded(tx, subject, name, step)
        if before is not None:
            return before
        detail = await work(tx, row)
        await flush(tx)
        seq = await outbox.last_seq(tx.conn, target)
        situation = (await situations.of_target(tx.conn, target, seq))[1]
        await _keep(tx, subject, name, step, detail, situation)
        return situation

    return await database.write(whole, actor="endcap", via="workflow")


async def _keep(tx: Transaction, subject: str, name: str, step: Step, detail: str, situation: Situation) -> None:
    await tx.conn.execute(
        insert(journey_step).values(
            journey_id=subject,
            step=name,
            occurrence=step.occurrence,
            input_hash=input_hash(step),
            result=situation.model_dump(mode="json"),
            detail=detail,
            actor="endcap",
            at=step.at,
        )
    )

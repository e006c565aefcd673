"""One decision for several cases: recorded as a whole, carried out case by case, each in a transaction of its own.

A case that has changed since it was seen, or that refuses, is left to its owner with the reason; the others go on.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, Update, func, insert, select, update

from domain.bulk import BEGINS_AFTER, CHUNK, ENDED, MOST_CASES, BulkState, check_transition
from domain.errors import DomainError, Malformed, NotFound
from domain.ids import bulk_target
from domain.messages import Message, Situation, Step
from domain.people import Person
from ledger import case, decisions, situations, steps
from ledger.decisions import undoing
from ledger.engine import Database
from ledger.people import person_by_id
from ledger.tables import bulk, bulk_item, case_file, person_note
from ledger.transaction import Rank, Transaction

PAUSE = timedelta(milliseconds=1)


async def begin(
    database: Database,
    person: Person,
    *,
    option_id: str,
    label: str,
    cases: Mapping[int, int],
    note: str,
    shown: Mapping[int, str] | None = None,
) -> int:
    """Record a decision for the cases, given with the version in which each was seen; returns its number.

    `shown` are the marks of what the way out was shown to do for each case (`domain.case.mark`).

    Nothing happens for a moment, so that it can still be called off. Raises `Malformed` for no case or too many,
    `NotFound` when one is not there for this person.
    """
    if not 1 <= len(cases) <= MOST_CASES:
        raise Malformed(f"Choose between 1 and {MOST_CASES} cases; these are {len(cases)}.")

    async def work(tx: Transaction) -> int:
        rows = await _check_seen(tx, person, cases)
        at = await tx.now(0)
        # It can be called off for as long as each of its decisions could be undone; once it begins, they apply at once.
        begins_at = at + max(BEGINS_AFTER, await undoing.longest_window(tx.conn, rows, at))
        row = await _insert(tx, person, option_id, label, note, at, begins_at)
        values = [
            {"bulk_id": row["id"], "case_id": case_id, "case_version": version, "shown": (shown or {}).get(case_id)}
            for case_id, version in cases.items()
        ]
        await tx.conn.execute(insert(bulk_item), values)
        tx.record("bulk.begun", bulk_target(row["id"]), at, after={"option": option_id, "cases": len(cases)})
        tx.start(bulk_target(row["id"]), "bulk", situations.of_bulk_row(row, 1), situations.BULK_SEARCH)
        return int(row["id"])

    return await database.write(work, actor=person.id, via="console")


async def _check_seen(tx: Transaction, person: Person, cases: Mapping[int, int]) -> Sequence[RowMapping]:
    found = await tx.conn.execute(select(case_file).where(case_file.c.id.in_(list(cases))))
    rows = found.mappings().all()
    seen = {row["id"] for row in rows if person.may_see(row["entity"], row["region"], row["location"])}
    missing = sorted(cases.keys() - seen)
    if missing:
        raise NotFound(f"There is no case {missing[0]} that you may see.")
    return rows


async def _insert(
    tx: Transaction, person: Person, option_id: str, label: str, note: str, at: datetime, begins_at: datetime
) -> RowMapping:
    made = await tx.conn.execute(
        insert(bulk)
        .values(
            requested_by=person.id, option_id=option_id, label=label, state=BulkState.WAITING, at=at,
            next_at=begins_at,
        )
        .returning(*bulk.c)
    )  # fmt: skip
    row = made.mappings().one()
    note_id = await case.keep_note(tx, bulk_target(row["id"]), person.id, note)
    if note_id is None:
        return row
    noted = update(bulk).where(bulk.c.id == row["id"]).values(note_id=note_id)
    return (await tx.conn.execute(noted.returning(*bulk.c))).mappings().one()


async def stop(database: Database, person: Person, bulk_id: int) -> int:
    """Leave the cases alone that were not decided yet; returns how many.

    Raises `NotFound` unless the decision is the person's own, `StateConflict` once it has ended.
    """

    async def work(tx: Transaction) -> int:
        row = await _lock(tx, bulk_id)
        if row["requested_by"] != person.id:
            raise NotFound(f"There is no decision {bulk_id} of yours.")
        check_transition(row["state"], BulkState.STOPPED)
        at = await tx.now(0)
        left = await tx.conn.execute(
            update(bulk_item)
            .where(bulk_item.c.bulk_id == bulk_id, bulk_item.c.state == "pending")
            .values(state="left", reason="Stopped before its turn.")
            .returning(bulk_item.c.case_id)
        )
        count = len(left.all())
        await tx.conn.execute(
            update(bulk).where(bulk.c.id == bulk_id).values(state=BulkState.STOPPED, next_at=None, ended_at=at)
        )
        tx.record("bulk.stopped", bulk_target(bulk_id), at, after={"left": count})
        tx.tell(bulk_target(bulk_id), Message.BULK_ENDED)
        return count

    return await database.write(work, actor=person.id, via="console")


async def _lock(tx: Transaction, bulk_id: int) -> RowMapping:
    """Before any journey or case: a case of it is decided with its own row here locked first."""
    tx.enter(Rank.KEYS)
    row = (await tx.conn.execute(select(bulk).where(bulk.c.id == bulk_id).with_for_update())).mappings().first()
    if row is None:
        raise NotFound(f"There is no decision {bulk_id}.")
    return row


async def on_due(database: Database, step: Step) -> Situation:
    """Decide the next portion of cases, then say when to go on, or that it is done."""
    bulk_id = int(step.subject)
    async with database.read() as conn:
        row = (await conn.execute(select(bulk).where(bulk.c.id == bulk_id))).mappings().one()
        decider = await person_by_id(conn, row["requested_by"])
        note = (
            await conn.execute(select(person_note.c.text).where(person_note.c.id == row["note_id"]))
        ).scalar_one_or_none()
        pending = (
            (
                await conn.execute(
                    select(bulk_item)
                    .where(bulk_item.c.bulk_id == bulk_id, bulk_item.c.state == "pending")
                    .order_by(bulk_item.c.case_id)
                    .limit(CHUNK)
                )
            )
            .mappings()
            .all()
        )
    for item in pending:
        await _take(database, row, item, decider, note or "")

    async def lock(tx: Transaction) -> RowMapping:
        return await _lock(tx, bulk_id)

    async def work(tx: Transaction, now: RowMapping) -> str:
        return await _go_on(tx, now, step)

    target = bulk_target(bulk_id)
    return await steps.take_row_step(database, target, target, "bulk.on_due", step, lock, work)


async def _take(database: Database, row: RowMapping, item: RowMapping, decider: Person | None, note: str) -> None:
    """Decide one case, or write down why not. The row of the case here and the decision are one transaction."""
    if decider is None:
        await _write_refusal(database, item, "Whoever decided this has no account any more.")
        return
    person = decider

    async def work(tx: Transaction) -> None:
        if not await _still_pending(tx, item):
            return
        answer = await decisions.decide_in(
            tx, item["case_id"], person, option_id=row["option_id"], parameters={}, note=note,
            version=item["case_version"], shown=item["shown"],
        )  # fmt: skip
        await tx.conn.execute(_of(item).values(state="decided", decision_id=answer.decision_id))

    try:
        await database.write(work, actor=person.id, via="bulk")
    except DomainError as refused:
        await _write_refusal(database, item, refused.detail)


async def _still_pending(tx: Transaction, item: RowMapping) -> bool:
    tx.enter(Rank.KEYS)
    found = await tx.conn.execute(
        select(bulk_item.c.state)
        .where(bulk_item.c.bulk_id == item["bulk_id"], bulk_item.c.case_id == item["case_id"])
        .with_for_update()
    )
    return str(found.scalar_one()) == "pending"


def _of(item: RowMapping) -> Update:
    return update(bulk_item).where(
        bulk_item.c.bulk_id == item["bulk_id"], bulk_item.c.case_id == item["case_id"], bulk_item.c.state == "pending"
    )


async def _write_refusal(database: Database, item: RowMapping, reason: str) -> None:
    async def work(tx: Transaction) -> None:
        await tx.conn.execute(_of(item).values(state="refused", reason=reason))

    await database.write(work, actor="endcap", via="bulk")


async def _go_on(tx: Transaction, row: RowMapping, step: Step) -> str:
    if row["state"] in ENDED:
        return ""
    left = await tx.conn.execute(
        select(func.count())
        .select_from(bulk_item)
        .where(bulk_item.c.bulk_id == row["id"], bulk_item.c.state == "pending")
    )
    if left.scalar_one():
        # A later instant than the one just taken, or the workflow would take it for the same.
        values: dict[str, Any] = {"state": BulkState.RUNNING, "next_at": step.at + PAUSE}
    else:
        values = {"state": BulkState.DONE, "next_at": None, "ended_at": step.at}
    if row["state"] != values["state"]:
        check_transition(row["state"], str(values["state"]))
    await tx.conn.execute(update(bulk).where(bulk.c.id == row["id"]).values(**values))
    return ""

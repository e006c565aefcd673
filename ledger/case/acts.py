"""What people do with a case. Each act is one transaction under the case row's lock; a refusal says who was first,
and when.
"""

from datetime import datetime, timedelta

from sqlalchemy import RowMapping, insert

from domain.case import OPEN_STATES
from domain.errors import (
    AlreadyClaimed,
    AlreadyDecided,
    Malformed,
    NotAllowed,
    NotFound,
    SelfHealed,
    StaleVersion,
    StateConflict,
)
from domain.messages import Message
from domain.people import Person
from domain.words import local
from ledger import reference
from ledger.case.life import add_event, change, tell_case
from ledger.engine import Database
from ledger.people import names
from ledger.tables import person_note
from ledger.transaction import Transaction

LONGEST_WAIT = timedelta(days=60)


async def open_for(tx: Transaction, case_id: int, person: Person) -> RowMapping:
    """The case, locked and open, at a place where this person decides. Others do not learn that it exists."""
    row = await tx.lock_case(case_id)
    if not person.may_see(row["entity"], row["region"], row["location"]):
        raise NotFound(f"There is no case {case_id}.")
    if not person.may_decide(row["entity"], row["region"], row["location"]):
        raise NotAllowed("Your role may look at this case, not work on it.")
    if row["state"] not in OPEN_STATES:
        if row["resolution"] == "self_healed":
            raise SelfHealed("The cause of this case went away by itself; there is nothing left to decide.")
        by = (await names(tx.conn, [row["resolved_by"]])).get(row["resolved_by"] or "", "somebody")
        raise AlreadyDecided(f"This case was closed by {by}, {await _local(tx, row, 'closed_at')}.")
    return row


async def claimed_by(tx: Transaction, row: RowMapping) -> str:
    name = (await names(tx.conn, [row["claimed_by"]])).get(row["claimed_by"], row["claimed_by"])
    return f"{name} claimed this case, {await _local(tx, row, 'claimed_at')}"


async def _local(tx: Transaction, row: RowMapping, name: str) -> str:
    """An instant of the case as people at its place read it."""
    return local(row[name], await reference.time_zone(tx.conn, row["location"]))


def check_version(row: RowMapping, version: int | None) -> None:
    if version is not None and version != row["version"]:
        raise StaleVersion("This case has changed since you opened it; look at it again before you act.")


async def claim(
    database: Database,
    case_id: int,
    person: Person,
    *,
    version: int | None = None,
    via: str,
    take_over_reason: str | None = None,
) -> None:
    """Make the case this person's. Claiming one's own again does nothing.

    Raises `AlreadyClaimed` (who and when) unless a reason to take over is given.
    """

    async def work(tx: Transaction) -> None:
        row = await open_for(tx, case_id, person)
        if row["claimed_by"] == person.id:
            return
        if row["claimed_by"] is not None and not take_over_reason:
            raise AlreadyClaimed(f"{await claimed_by(tx, row)}; take it over with a reason, or leave it.")
        check_version(row, version)  # last: who was first says more than that something has changed
        at = await tx.now(row["clock_offset_s"])
        changed = await change(
            tx,
            row,
            state="claimed" if row["state"] in ("open", "waiting") else row["state"],
            claimed_by=person.id,
            claimed_at=at,
            unclaimed_due_at=None,
            next_due_at=_earliest(row["unstarted_due_at"], row["unresolved_due_at"]),
            next_level_at=row["unresolved_due_at"],
        )
        what = "took the case over" if take_over_reason else "claimed the case"
        await add_event(tx, changed, "claimed", f"{person.name} {what}.", at)
        tx.record(
            "case.claimed",
            f"case:{case_id}",
            at,
            before={"claimed_by": row["claimed_by"]},
            after={"claimed_by": person.id},
            reason=take_over_reason or "",
        )
        tell_case(tx, changed, Message.CASE_CHANGED)

    await database.write(work, actor=person.id, via=via)


async def release(database: Database, case_id: int, person: Person, *, via: str) -> None:
    """Give a claimed case back to the queue. Raises `NotAllowed` when it is somebody else's."""

    async def work(tx: Transaction) -> None:
        row = await open_for(tx, case_id, person)
        if row["claimed_by"] != person.id:
            raise NotAllowed("Only whoever claimed a case can give it back; take it over first.")
        if row["state"] == "deciding":
            raise StateConflict("A decision is being applied; the case cannot be given back now.")
        at = await tx.now(row["clock_offset_s"])
        changed = await change(tx, row, state="open", claimed_by=None, claimed_at=None)
        await add_event(tx, changed, "released", f"{person.name} gave the case back to the queue.", at)
        tx.record("case.released", f"case:{case_id}", at, before={"claimed_by": person.id})
        tell_case(tx, changed, Message.CASE_CHANGED)

    await database.write(work, actor=person.id, via=via)


async def wait(database: Database, case_id: int, person: Person, *, reason: str, until: datetime, via: str) -> None:
    """Put a case aside until an instant, with a reason; its clocks pause.

    Raises `Malformed` for a time that has passed or is too far off, `AlreadyClaimed` for somebody else's case.
    """

    async def work(tx: Transaction) -> None:
        row = await open_for(tx, case_id, person)
        at = await tx.now(row["clock_offset_s"])
        if row["claimed_by"] not in (None, person.id):
            raise AlreadyClaimed(f"{await claimed_by(tx, row)}; take it over before you put it aside.")
        if until <= at:
            raise Malformed("The time to wait until has passed already; choose a later one.", pointer="/until")
        if until > at + LONGEST_WAIT:
            raise Malformed(
                f"A case waits for {LONGEST_WAIT.days} days at most; choose an earlier end.", pointer="/until"
            )
        if not reason.strip():
            raise Malformed("Say what the case waits for.", pointer="/reason")
        if row["state"] == "deciding":
            raise StateConflict("A decision is being applied; the case cannot wait now.")
        there = local(until, await reference.time_zone(tx.conn, row["location"]))
        changed = await change(tx, row, state="waiting", waiting_reason=reason, waiting_until=until, next_level_at=None)
        await add_event(tx, changed, "waiting", f"{person.name} set the case aside until {there}.", at)
        tx.record("case.waiting", f"case:{case_id}", at, after={"until": until.isoformat()}, reason=reason)
        tell_case(tx, changed, Message.CASE_CHANGED)

    await database.write(work, actor=person.id, via=via)


async def keep_note(tx: Transaction, subject: str, author: str, words: str) -> int | None:
    """Store what a person wrote where personal data may stand; returns its id, None for nothing written."""
    if not words.strip():
        return None
    made = await tx.conn.execute(
        insert(person_note).values(subject=subject, author=author, text=words.strip()).returning(person_note.c.id)
    )
    return int(made.scalar_one())


def _earliest(*instants: datetime | None) -> datetime | None:
    return min((at for at in instants if at is not None), default=None)

"""What people do with a case. Each act is one transaction under the case row's lock; a refusal says who was first,
and when.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import OPEN_STATES, CaseOption
from domain.errors import (
    AlreadyClaimed,
    AlreadyDecided,
    Malformed,
    NotAllowed,
    NotFound,
    NothingOffered,
    OptionNotAllowed,
    SelfHealed,
    StaleVersion,
    StateConflict,
    UnknownOption,
)
from domain.messages import Message
from domain.people import Person
from domain.words import local
from ledger import reference
from ledger.case import direct, offers
from ledger.case.life import add_event, change, tell_case
from ledger.engine import Database
from ledger.people import names
from ledger.tables import case_decision, case_file, journey, person_note, waiting_demand
from ledger.transaction import Transaction

LONGEST_WAIT = timedelta(days=60)


class DecisionAnswer(NamedTuple):
    """What became of a decision: `applying`, `awaiting_approval`, `applied` or `refused` with its reason."""

    decision_id: int
    state: str
    reason: str | None


async def _open_for(tx: Transaction, case_id: int, person: Person) -> RowMapping:
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


async def _claimed_by(tx: Transaction, row: RowMapping) -> str:
    name = (await names(tx.conn, [row["claimed_by"]])).get(row["claimed_by"], row["claimed_by"])
    return f"{name} claimed this case, {await _local(tx, row, 'claimed_at')}"


async def _local(tx: Transaction, row: RowMapping, name: str) -> str:
    """An instant of the case as people at its place read it."""
    return local(row[name], await reference.time_zone(tx.conn, row["location"]))


def _check_version(row: RowMapping, version: int | None) -> None:
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
        row = await _open_for(tx, case_id, person)
        if row["claimed_by"] == person.id:
            return
        if row["claimed_by"] is not None and not take_over_reason:
            raise AlreadyClaimed(f"{await _claimed_by(tx, row)}; take it over with a reason, or leave it.")
        _check_version(row, version)  # last: who was first says more than that something has changed
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
        row = await _open_for(tx, case_id, person)
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
        row = await _open_for(tx, case_id, person)
        at = await tx.now(row["clock_offset_s"])
        if row["claimed_by"] not in (None, person.id):
            raise AlreadyClaimed(f"{await _claimed_by(tx, row)}; take it over before you put it aside.")
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


async def comment(database: Database, case_id: int, person: Person, *, text: str, via: str) -> None:
    """Add a comment to the timeline. Raises `Malformed` for an empty one."""
    words = text

    async def work(tx: Transaction) -> None:
        row = await tx.lock_case(case_id)
        if not person.may_see(row["entity"], row["region"], row["location"]):
            raise NotFound(f"There is no case {case_id}.")
        if not words.strip():
            raise Malformed("Write something first.", pointer="/text")
        at = await tx.now(row["clock_offset_s"])
        note_id = await keep_note(tx, f"case:{case_id}", person.id, words)
        await add_event(tx, row, "comment", "", at, note_id=note_id)
        tx.record("case.commented", f"case:{case_id}", at)

    await database.write(work, actor=person.id, via=via)


async def decide(
    database: Database,
    case_id: int,
    person: Person,
    *,
    option_id: str,
    parameters: Mapping[str, Any],
    note: str = "",
    version: int | None = None,
    via: str,
    on_behalf: str | None = None,
) -> DecisionAnswer:
    """Record a decision. The first of decision and self-heal wins; the other is refused by name.

    A journey applies it, or asks for approval first; a case that no journey waits for is applied at once.
    Raises `UnknownOption`, `OptionNotAllowed`, `Malformed`, `AlreadyClaimed`, `AlreadyDecided`, `SelfHealed`,
    `StaleVersion`, `NotAllowed`, `NotFound`.
    """

    async def work(tx: Transaction) -> DecisionAnswer:
        found = await tx.conn.execute(select(case_file.c.journey_id).where(case_file.c.id == case_id))
        journey_id = found.scalar()
        journey_row = await tx.lock_journey(journey_id) if journey_id else None
        row = await _to_decide(tx, case_id, person, version)
        options = await offers.options_now(tx.conn, row)
        option = chosen(options, offers.as_stored(row), option_id, parameters)
        await offers.write_down(tx.conn, row, options)
        at = await tx.now(row["clock_offset_s"])
        asked_by_journey = journey_row is not None and journey_row["asks"].get("case_id") == case_id
        if asked_by_journey:
            await _stop_waiting(tx, row["journey_id"])
        decision_id = await _record(tx, row, option, parameters, note, person, on_behalf, at)
        if (row["kind"], option.id) in direct.CARRIED_OUT_LATER:
            return DecisionAnswer(decision_id, "applying", None)
        if not asked_by_journey:
            await direct.apply(tx, row, journey_row, option, decision_id, person, at)
            return DecisionAnswer(decision_id, "applied", None)
        assert journey_row is not None
        await tx.conn.execute(
            update(journey)
            .where(journey.c.id == row["journey_id"])
            .values(
                asks=journey_row["asks"] | {"decision_id": decision_id, "needs_approval": option.needs_approval},
                version=journey_row["version"] + 1,
            )
        )
        tx.tell(row["journey_id"], Message.DECISION_RECORDED)
        return DecisionAnswer(decision_id, "applying", None)

    return await database.write(work, actor=person.id, via=via)


async def _to_decide(tx: Transaction, case_id: int, person: Person, version: int | None) -> RowMapping:
    """The case, locked, if this person may decide it now."""
    row = await _open_for(tx, case_id, person)
    if row["state"] == "deciding":
        raise AlreadyDecided("A decision on this case is being applied already.")
    if row["claimed_by"] not in (None, person.id):
        raise AlreadyClaimed(f"{await _claimed_by(tx, row)}; take it over before you decide.")
    _check_version(row, version)
    return row


def chosen(
    now: Sequence[CaseOption], before: Sequence[CaseOption], option_id: str, parameters: Mapping[str, Any]
) -> CaseOption:
    """The option as it is now, if it may be taken and everything was confirmed that it asks for.

    Raises `NothingOffered` for one that was offered before and is gone, `UnknownOption` for one that never was.
    """
    options = {option.id: option for option in now}
    option = options.get(option_id)
    if option is None and any(gone.id == option_id for gone in before):
        raise NothingOffered("This way out is not there any more; look at the others.", pointer="/option")
    if option is None:
        raise UnknownOption(
            f"This case offers no option {option_id}; it offers {', '.join(options) or 'none'}.", pointer="/option"
        )
    if not option.allowed:
        raise OptionNotAllowed(option.why_not or "This option is not allowed.")
    for name in option.confirms:
        if parameters.get(name) is not True:
            raise Malformed(
                f"Confirm “{name.replace('_', ' ')}” before choosing this option.", pointer=f"/parameters/{name}"
            )
    for name, words in option.choices.items():
        if parameters.get(name) not in words:
            raise Malformed(f"Choose the {name.replace('_', ' ')}: {', '.join(words)}.", pointer=f"/parameters/{name}")
    _check_parameters(option, parameters)
    return option


def _check_parameters(option: CaseOption, parameters: Mapping[str, Any]) -> None:
    """What is sent along may repeat the option as it is offered and confirm it; it never changes what is done."""
    for name in parameters.keys() - set(option.confirms) - option.choices.keys():
        if name not in option.parameters:
            raise Malformed(f"This option has no parameter {name[:80]}; leave it out.", pointer=f"/parameters/{name}")
        if parameters[name] != option.parameters[name]:
            raise NothingOffered(
                f"This way out is not offered with that {name[:80]}; look at what it is now, then choose again.",
                pointer=f"/parameters/{name}",
            )


async def _record(
    tx: Transaction,
    row: RowMapping,
    option: CaseOption,
    parameters: Mapping[str, Any],
    note: str,
    person: Person,
    on_behalf: str | None,
    at: datetime,
) -> int:
    note_id = await keep_note(tx, f"case:{row['id']}", person.id, note)
    made = await tx.conn.execute(
        insert(case_decision)
        .values(
            case_id=row["id"],
            episode=row["episode"],
            option_id=option.id,
            parameters=dict(option.parameters) | dict(parameters),
            option=option.model_dump(mode="json"),
            decided_by=person.id,
            via=tx.via,
            note_id=note_id,
            case_version=row["version"],
            state="applying",
            at=at,
        )
        .returning(case_decision.c.id)
    )
    decision_id = int(made.scalar_one())
    changed = await change(
        tx,
        row,
        state="deciding",
        claimed_by=person.id,
        claimed_at=row["claimed_at"] or at,
        unclaimed_due_at=None,
        unstarted_due_at=None,
        next_due_at=row["unresolved_due_at"],
        next_level_at=row["unresolved_due_at"] if row["unclaimed_due_at"] else row["next_level_at"],
    )
    behalf = f" (entered by {on_behalf})" if on_behalf else ""
    await add_event(tx, changed, "decided", f"{person.name} chose “{option.label}”{behalf}.", at, note_id=note_id)
    tx.record(
        "case.decided",
        f"case:{row['id']}",
        at,
        after={"option": option.id, "decision": decision_id, "entered_by": on_behalf},
    )
    tell_case(tx, changed, Message.CASE_CHANGED)
    return decision_id


async def _stop_waiting(tx: Transaction, journey_id: str) -> None:
    """From now on stock that turns up goes to others; units found just before are the better answer."""
    found = await tx.conn.execute(
        update(waiting_demand)
        .where(waiting_demand.c.journey_id == journey_id, waiting_demand.c.ended_at.is_(None))
        .values(ended_at=text("now()"))
        .returning(waiting_demand.c.found)
    )
    if any(found.scalars().all()):
        raise SelfHealed("The missing units have just turned up and are held for this order; nothing needs deciding.")


async def decision(conn: AsyncConnection, decision_id: int) -> DecisionAnswer | None:
    """What became of a decision, or None."""
    row = (
        await conn.execute(
            select(case_decision.c.id, case_decision.c.state, case_decision.c.reason).where(
                case_decision.c.id == decision_id
            )
        )
    ).first()
    return None if row is None else DecisionAnswer(row.id, row.state, row.reason)


def _earliest(*instants: datetime | None) -> datetime | None:
    return min((at for at in instants if at is not None), default=None)

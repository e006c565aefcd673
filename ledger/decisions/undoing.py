"""The time in which a decision can be undone: it is recorded, and nothing has come of it yet.

The case is `deciding` and says when the decision applies (`applies_at`), a due instant of its workflow. Until then the
journey that asked hears nothing: no mail, no provider, no approver, no stock. Who was first is settled all the same:
what turns up meanwhile goes to others, and a cause that goes away refuses the decision by name, as it would later.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption
from domain.errors import NotAllowed, NotFound, UndoTooLate
from domain.messages import Message, Step
from domain.people import Person
from domain.policy import Policy
from domain.words import local
from ledger import people, policies, reference
from ledger.bopis import answered
from ledger.case.life import change, give_back, tell_case
from ledger.decisions import effects
from ledger.engine import Database
from ledger.steps import Work
from ledger.tables import case_decision, case_file, journey
from ledger.transaction import Transaction, journey_as_it_is

# Whoever decides here sees that it can be undone. A system that decides by API has a program of its own, and a decision
# for several cases can be called off as a whole before it begins.
WITH_A_WINDOW = ("console",)


async def window(
    tx: Transaction,
    row: RowMapping,
    journey_row: RowMapping | None,
    option: CaseOption,
    at: datetime,
    *,
    wanted: bool = False,
) -> timedelta:
    """How long this decision can be undone, by the policy of its journey, or of its place; zero for not at all.

    `wanted`: who decides has asked for the time, whatever the door.
    """
    if not (wanted or tx.via in WITH_A_WINDOW) or option.id in at_once(row["kind"]):
        return timedelta(0)
    return await _window(tx.conn, row, journey_row, at)


async def _window(
    conn: AsyncConnection, row: Mapping[Any, Any], journey_row: Mapping[Any, Any] | None, at: datetime
) -> timedelta:
    if journey_row is not None:
        policy = await policies.of_journey(conn, journey_row)
    else:
        policy = await reference.policy_at(conn, await reference.place(conn, row["location"]), at)
    return policy.cases.undo_window(row["kind"], row["severity"])


async def window_shown(conn: AsyncConnection, row: Mapping[Any, Any], at: datetime) -> timedelta:
    """How long a decision on a case can be undone at the console: `row` has its journey, place, kind and severity."""
    return await _window(conn, row, await journey_as_it_is(conn, row["journey_id"]), at)


def at_once(kind: str) -> frozenset[str]:
    """The options of a kind of case that are carried out from the moment at which they are chosen."""
    return frozenset(option for of_kind, option in effects.CARRIED_OUT_LATER if of_kind == kind)


async def longest_window(conn: AsyncConnection, rows: Iterable[RowMapping], at: datetime) -> timedelta:
    """The longest time of several cases to undo a decision, by the policies of their places; rows of `case_file`."""
    longest = timedelta(0)
    kinds = {(row["location"], row["kind"], row["severity"]) for row in rows}
    of_place: dict[str, Policy] = {}
    for code, kind, severity in sorted(kinds):
        if code not in of_place:
            of_place[code] = await reference.policy_at(conn, await reference.place(conn, code), at)
        longest = max(longest, of_place[code].cases.undo_window(kind, severity))
    return longest


async def lock(tx: Transaction, case_id: int) -> tuple[RowMapping | None, RowMapping]:
    """The journey of a case, if it has one, and the case, locked. Raises `NotFound`."""
    found = await tx.conn.execute(select(case_file.c.journey_id).where(case_file.c.id == case_id))
    journey_id = found.scalar()
    journey_row = await tx.lock_journey_and_order(journey_id) if journey_id else None
    return journey_row, await tx.lock_case(case_id)


async def carry_out(tx: Transaction, row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    """The time is over: the journey that asked is told, or the decision is applied. Returns what was done, in words.

    A decision that cannot be applied any more raises its refusal; see `refuse`.
    """
    decision = await _waiting(tx, row)
    if journey_row is not None and journey_row["asks"].get("case_id") == row["id"]:
        await change(tx, row, applies_at=None)
        await _set_asks(tx, journey_row, {k: v for k, v in journey_row["asks"].items() if k != "applies_at"})
        tx.tell(journey_row["id"], Message.DECISION_RECORDED)
        return "The time to undo it is over."
    person = await people.person_by_id(tx.conn, decision["decided_by"])
    if person is None:
        raise NotAllowed("Whoever decided this has no account any more.")
    # What is done now is done in the name of whoever decided, as it would have been at once.
    tx.actor, tx.via = person.id, decision["via"]
    option = CaseOption.model_validate(decision["option"])
    await effects.apply(tx, row, journey_row, option, decision["id"], person, at)
    return "The time to undo it is over."


async def refuse(tx: Transaction, row: RowMapping, because: str, at: datetime) -> str:
    """What was decided is not possible any more: the case goes back to its owner, saying why."""
    decision = await _waiting(tx, row)
    await _end(tx, decision["id"], "refused", because)
    await give_back(tx, row["id"], because, at)
    return f"Not applied: {because}"


def take(step: Step, because: str | None, held: Mapping[str, RowMapping | None]) -> Work:
    """The work of the step at the end of the window; with `because`, of the one that gives up. It yields to whatever
    was recorded before it.
    """

    async def work(tx: Transaction, row: RowMapping) -> str:
        if row["applies_at"] is None or row["applies_at"] > step.at:
            return ""
        if because is not None:
            return await refuse(tx, row, because, step.at)
        return await carry_out(tx, row, held["journey"], step.at)

    return work


async def hasten(database: Database, case_id: int, person: Person, *, via: str) -> None:
    """Carry a decision out now, without waiting for the end of the time to undo it.

    Raises `UndoTooLate` where there is nothing to hasten, `NotAllowed` for somebody else's, `NotFound`.
    """

    async def work(tx: Transaction) -> None:
        journey_row, row = await lock(tx, case_id)
        await _own(tx, row, person)
        at = await tx.now(row["clock_offset_s"])
        tx.record("case.hastened", f"case:{case_id}", at)
        await carry_out(tx, row, journey_row, at)
        tell_case(tx, row, Message.CASE_CHANGED)

    await database.write(work, actor=person.id, via=via)


async def undo(database: Database, case_id: int, person: Person, *, decision_id: int | None = None, via: str) -> None:
    """Take a decision back while nothing has come of it: the case is as it was before, with its ways out.

    With `decision_id` only that one, and not one that was made since.
    Raises `UndoTooLate`, saying what has become of it; `NotAllowed` unless the decision is the person's own or they are
    an administrator; `NotFound`.
    """

    async def work(tx: Transaction) -> None:
        journey_row, row = await lock(tx, case_id)
        decision = await _own(tx, row, person, decision_id)
        at = await tx.now(row["clock_offset_s"])
        because = f"{person.name} undid “{decision['option']['label']}”."
        await _end(tx, decision["id"], "undone", because)
        await give_back(tx, case_id, because, at, event="undone")
        tx.record(
            "case.undone", f"case:{case_id}", at, before={"decision": decision["id"], "option": decision["option_id"]}
        )
        if journey_row is not None and journey_row["asks"].get("case_id") == case_id:
            await _ask_again(tx, journey_row, case_id, at)
            tx.tell(journey_row["id"], Message.DECISION_UNDONE)

    await database.write(work, actor=person.id, via=via)


async def _ask_again(tx: Transaction, journey_row: RowMapping, case_id: int, at: datetime) -> None:
    """The journey asks as it did before; an order waits again for what turns up."""
    if journey_row["kind"] == "bopis":
        await answered.ask_again(tx, journey_row, case_id, at)
    else:
        await _set_asks(tx, journey_row, {"case_id": case_id})


async def _set_asks(tx: Transaction, journey_row: RowMapping, asks: Mapping[str, Any]) -> None:
    await tx.conn.execute(
        update(journey)
        .where(journey.c.id == journey_row["id"])
        .values(asks=dict(asks), version=journey_row["version"] + 1)
    )


async def _own(tx: Transaction, row: RowMapping, person: Person, decision_id: int | None = None) -> RowMapping:
    """The decision that waits, if this person may take it back."""
    if not person.may_see(row["entity"], row["region"], row["location"]):
        raise NotFound(f"There is no case {row['id']}.")
    decision = await _waiting(tx, row, decision_id)
    if decision["decided_by"] != person.id and not person.has_role("admin"):
        known = await people.names(tx.conn, [decision["decided_by"]])
        name = known.get(decision["decided_by"], decision["decided_by"])
        raise NotAllowed(f"Only {name}, who decided, or an administrator can do that.")
    return decision


async def _waiting(tx: Transaction, row: RowMapping, decision_id: int | None = None) -> RowMapping:
    """The decision on a locked case that has not been applied yet. Raises `UndoTooLate`."""
    latest = select(case_decision).where(case_decision.c.case_id == row["id"]).order_by(case_decision.c.id.desc())
    if decision_id is not None:  # an earlier one has ended: only the last one can still wait
        latest = latest.where(case_decision.c.id == decision_id)
    decision = (await tx.conn.execute(latest.limit(1))).mappings().first()
    if decision is None:
        raise UndoTooLate("Nothing was decided on this case; there is nothing to undo.")
    if row["applies_at"] is None or decision["state"] != "applying":
        raise UndoTooLate(await _too_late(tx.conn, row, decision))
    return decision


async def _too_late(conn: AsyncConnection, row: RowMapping, decision: RowMapping) -> str:
    label = decision["option"]["label"]
    if decision["state"] in ("undone", "refused"):
        return f"Nothing is left to undo: {decision['reason']}"
    since = local(decision["at"], await reference.time_zone(conn, row["location"]))
    now = {"applied": "was carried out", "awaiting_approval": "waits for an approval"}
    said = now.get(decision["state"], "is being carried out")
    return f"“{label}”, decided {since}, {said}; it is too late to undo it."


async def _end(tx: Transaction, decision_id: int, state: str, because: str) -> None:
    await tx.conn.execute(
        update(case_decision).where(case_decision.c.id == decision_id).values(state=state, reason=because)
    )

"""Deciding a case: what was chosen is recorded under the case row's lock, and carried out by whoever waits for it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption, mark
from domain.errors import (
    AlreadyClaimed,
    AlreadyDecided,
    Malformed,
    NothingOffered,
    OptionNotAllowed,
    SelfHealed,
    StaleVersion,
    UnknownOption,
)
from domain.messages import Message
from domain.people import Person
from domain.statements import statement
from ledger.case import offers
from ledger.case.acts import check_version, claimed_by, keep_note, open_for
from ledger.case.life import add_event, change, tell_case
from ledger.decisions import effects, offered, undoing
from ledger.engine import Database
from ledger.idempotency import Answer, body_hash, claim_keys, keep_answer
from ledger.tables import case_decision, case_file, journey, waiting_demand
from ledger.transaction import Transaction


class DecisionAnswer(NamedTuple):
    """What became of a decision: `applying`, `awaiting_approval`, `applied` or `refused` with its reason."""

    decision_id: int
    state: str
    reason: str | None
    repeated: bool = False  # the same decision was sent before, under the same key


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
    key: tuple[str, str] | None = None,
    undoable: bool = False,
) -> DecisionAnswer:
    """Record a decision. The first of decision and self-heal wins; the other is refused by name.

    A journey applies it, or asks for approval first; a case that no journey waits for is applied at once. What was
    chosen at the console, or `undoable`, waits for the end of the time to undo it (`ledger.decisions.undoing`).
    With `key` (the source and its idempotency key) the same decision sent again gets the first answer.
    Raises `UnknownOption`, `OptionNotAllowed`, `Malformed`, `AlreadyClaimed`, `AlreadyDecided`, `SelfHealed`,
    `StaleVersion`, `NotAllowed`, `NotFound`, `IdempotencyMismatch`.
    """

    said = {"case": case_id, "by": person.id, "option": option_id, "parameters": parameters, "note": note}
    said |= {"undoable": True} if undoable else {}  # a digest of the release before stays what it was
    digest = body_hash(json.dumps(said | {"version": version}, sort_keys=True, default=str))

    async def work(tx: Transaction) -> DecisionAnswer:
        if key is not None:
            before = await claim_keys(tx, key[0], [f"key:{key[1]}"], digest)
            if before is not None:
                return DecisionAnswer(**before.body, repeated=True)
        made = await decide_in(
            tx, case_id, person, option_id=option_id, parameters=parameters, note=note, version=version,
            on_behalf=on_behalf, undoable=undoable,
        )  # fmt: skip
        if key is not None:
            first = {"decision_id": made.decision_id, "state": made.state, "reason": made.reason}
            await keep_answer(tx, key[0], [f"key:{key[1]}"], Answer(202, first))
        return made

    return await database.write(work, actor=person.id, via=via)


async def decide_in(
    tx: Transaction,
    case_id: int,
    person: Person,
    *,
    option_id: str,
    parameters: Mapping[str, Any],
    note: str = "",
    version: int | None = None,
    on_behalf: str | None = None,
    shown: str | None = None,
    undoable: bool = False,
) -> DecisionAnswer:
    """The same within a transaction that records something else beside it.

    `shown` is the mark of the way out as the person saw it; one that would do something else by now is `StaleVersion`.
    """
    found = await tx.conn.execute(select(case_file.c.journey_id).where(case_file.c.id == case_id))
    journey_id = found.scalar()
    journey_row = await tx.lock_journey_and_order(journey_id) if journey_id else None
    row = await _to_decide(tx, case_id, person, version)
    options = await offered.options_now(tx.conn, row)
    option = chosen(options, offers.as_stored(row), option_id, parameters)
    if shown is not None and mark(option) != shown:
        raise StaleVersion(
            f"“{option.label}” would do something else by now than when it was chosen; look at it again."
        )
    await offers.write_down(tx.conn, row, options)
    at = await tx.now(row["clock_offset_s"])
    asked_by_journey = journey_row is not None and journey_row["asks"].get("case_id") == case_id
    if asked_by_journey:
        await _stop_waiting(tx, row["journey_id"])
    window = await undoing.window(tx, row, journey_row, option, at, wanted=undoable)
    applies_at = at + window if window else None
    decision_id = await _record(tx, row, _Choice(option, parameters, note, person, on_behalf), at, applies_at)
    if (row["kind"], option.id) in effects.CARRIED_OUT_LATER:
        return DecisionAnswer(decision_id, "applying", None)
    if not asked_by_journey:
        if applies_at is not None:
            return DecisionAnswer(decision_id, "applying", None)
        await effects.apply(tx, row, journey_row, option, decision_id, person, at)
        return DecisionAnswer(decision_id, "applied", None)
    assert journey_row is not None
    asks = journey_row["asks"] | {"decision_id": decision_id, "needs_approval": option.needs_approval}
    if applies_at is not None:
        asks |= {"applies_at": applies_at.isoformat()}
    else:
        tx.tell(row["journey_id"], Message.DECISION_RECORDED)
    await tx.conn.execute(
        update(journey).where(journey.c.id == row["journey_id"]).values(asks=asks, version=journey_row["version"] + 1)
    )
    return DecisionAnswer(decision_id, "applying", None)


async def _to_decide(tx: Transaction, case_id: int, person: Person, version: int | None) -> RowMapping:
    """The case, locked, if this person may decide it now."""
    row = await open_for(tx, case_id, person)
    if row["state"] == "deciding":
        raise AlreadyDecided("A decision on this case is being applied already.")
    if row["claimed_by"] not in (None, person.id):
        raise AlreadyClaimed(f"{await claimed_by(tx, row)}; take it over before you decide.")
    check_version(row, version)
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
                f"Confirm “{statement(name)}” before choosing this option: send {name} as true.",
                pointer=f"/parameters/{name}",
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


class _Choice(NamedTuple):
    """A way out with what was sent along, by whom; `entered_by` is the system that has sent it for them."""

    option: CaseOption
    parameters: Mapping[str, Any]
    note: str
    person: Person
    entered_by: str | None


async def _record(tx: Transaction, row: RowMapping, choice: _Choice, at: datetime, applies_at: datetime | None) -> int:
    """Write the decision and put the case into its hands; returns the decision's number."""
    option, parameters, person = choice.option, choice.parameters, choice.person
    note_id = await keep_note(tx, f"case:{row['id']}", person.id, choice.note)
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
        applies_at=applies_at,
        claimed_by=person.id,
        claimed_at=row["claimed_at"] or at,
        unclaimed_due_at=None,
        unstarted_due_at=None,
        next_due_at=row["unresolved_due_at"],
        next_level_at=row["unresolved_due_at"] if row["unclaimed_due_at"] else row["next_level_at"],
        root_cause=parameters.get(offers.ROOT_CAUSE, row["root_cause"]),
    )
    behalf = f" (entered by {choice.entered_by})" if choice.entered_by else ""
    await add_event(tx, changed, "decided", f"{person.name} chose “{option.label}”{behalf}.", at, note_id=note_id)
    tx.record(
        "case.decided",
        f"case:{row['id']}",
        at,
        after={"option": option.id, "decision": decision_id, "entered_by": choice.entered_by},
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

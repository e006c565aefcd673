"""How a case begins and ends. One row per cause: a repeat adds to it, and one that comes back is reopened as a new
episode.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from domain.calendars import OpeningHours, add_open_time
from domain.case import OPEN_STATES, CaseOption, check_transition, priority, score
from domain.case_kinds import KINDS
from domain.ids import case_target
from domain.messages import Message
from domain.policy import CasePolicy, Policy
from ledger import reference, situations
from ledger.engine import Database
from ledger.outbox import search_attributes
from ledger.tables import case_decision, case_event, case_file, location
from ledger.transaction import Transaction


class CaseRef(NamedTuple):
    id: int
    episode: int
    is_new: bool


@dataclass(frozen=True)
class Opening:
    """What is known when a case opens. `subject` with the kind makes it one case, however often it is seen."""

    kind: str
    subject: str
    place: reference.Place
    policy: Policy
    at: datetime
    journey_id: str | None = None
    channel: str = ""
    sku: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    options: Sequence[CaseOption] = ()
    value_at_risk_minor: int = 0
    promised_at: datetime | None = None
    clock_offset_s: int = 0
    text: str = ""


def clocks(severity: str, at: datetime, policy: CasePolicy, hours: OpeningHours) -> dict[str, datetime]:
    """The due instants of a case's three clocks, on the calendar of the place that owns it."""
    limits = policy.clocks[severity]
    return {
        name: add_open_time(at, timedelta(seconds=seconds), hours)
        for name, seconds in (
            ("unclaimed_due_at", limits.unclaimed_s),
            ("unstarted_due_at", limits.unstarted_s),
            ("unresolved_due_at", limits.unresolved_s),
        )
    }


async def open_case(tx: Transaction, opening: Opening) -> CaseRef:
    """Open a case, add to the one that is open for the same cause, or reopen the one that was closed."""
    kind = KINDS[opening.kind]
    tx.opens(opening.journey_id, opening.kind)
    key = f"{opening.kind}|{opening.subject}"
    same_cause = select(case_file).where(case_file.c.dedupe_key == key).with_for_update()
    before = (await tx.conn.execute(same_cause)).mappings().first()
    if before is not None and before["state"] in OPEN_STATES:
        await _seen_again(tx, before, opening)
        return CaseRef(before["id"], before["episode"], is_new=False)
    repeats = before["repeat_count"] + 1 if before is not None else 0
    due = clocks(kind.severity, opening.at, opening.policy.cases, opening.place.hours)
    terms = priority(
        value_at_risk_minor=opening.value_at_risk_minor,
        promised_at=opening.promised_at,
        opened_at=opening.at,
        now=opening.at,
        severity=kind.severity,
        repeats=repeats,
    )
    values = {
        "kind": opening.kind,
        "subject": opening.subject,
        "dedupe_key": key,
        "episode": before["episode"] + 1 if before is not None else 1,
        "state": "open",
        "severity": kind.severity,
        "level": 0,
        "journey_id": opening.journey_id,
        "location": opening.place.code,
        "region": opening.place.region,
        "entity": opening.place.entity,
        "channel": opening.channel,
        "sku": opening.sku,
        "owner_role": kind.owner_role,
        "claimed_by": None,
        "claimed_at": None,
        "waiting_reason": None,
        "waiting_until": None,
        "value_at_risk_minor": opening.value_at_risk_minor,
        "currency": opening.place.currency,
        "promised_at": opening.promised_at,
        "priority_score": score(terms),
        "priority_terms": [term.model_dump() for term in terms],
        "facts": dict(opening.facts),
        "options": [option.model_dump(mode="json") for option in opening.options],
        "repeat_count": repeats,
        "opened_at": opening.at,
        **due,
        "next_due_at": min(due.values()),
        "next_level_at": due["unclaimed_due_at"],
        "closed_at": None,
        "resolution": None,
        "resolved_by": None,
        "root_cause": None,
        "clock_offset_s": opening.clock_offset_s,
    }
    if before is None:
        made = await tx.conn.execute(
            upsert(case_file).values(**values).on_conflict_do_nothing().returning(*case_file.c)
        )
    else:
        made = await tx.conn.execute(
            update(case_file)
            .where(case_file.c.id == before["id"])
            .values(**values, version=before["version"] + 1)
            .returning(*case_file.c)
        )
    row = made.mappings().first()
    if row is None:  # the same cause was seen by another transaction, which has committed since we looked
        first = (await tx.conn.execute(same_cause)).mappings().one()
        await _seen_again(tx, first, opening)
        return CaseRef(first["id"], first["episode"], is_new=False)
    tx.shares_cause(row)
    await add_event(
        tx, row, "opened" if before is None else "reopened", opening.text or kind.title, opening.at, detail=None
    )
    tx.record("case.opened", f"case:{row['id']}", opening.at, after={"kind": opening.kind, "state": "open"})
    tx.start(
        case_target(row["id"], row["episode"]),
        "case",
        situations.of_case_row(row, 1),
        search_attributes(row),
    )
    return CaseRef(row["id"], row["episode"], is_new=True)


async def _seen_again(tx: Transaction, row: RowMapping, opening: Opening) -> None:
    await tx.conn.execute(
        update(case_file)
        .where(case_file.c.id == row["id"])
        .values(
            repeat_count=row["repeat_count"] + 1,
            facts=dict(opening.facts) or row["facts"],
            options=[option.model_dump(mode="json") for option in opening.options] or row["options"],
            version=row["version"] + 1,
        )
    )
    await add_event(tx, row, "seen_again", opening.text or "Seen again.", opening.at)


async def add_event(
    tx: Transaction,
    row: RowMapping,
    kind: str,
    text: str,
    at: datetime,
    *,
    note_id: int | None = None,
    detail: Mapping[str, Any] | None = None,
    actor: str | None = None,
) -> int:
    """A line of the case's timeline, append-only; returns its number."""
    made = await tx.conn.execute(
        insert(case_event)
        .values(
            case_id=row["id"],
            episode=row["episode"],
            kind=kind,
            actor=actor or tx.actor,
            via=tx.via,
            text=text,
            note_id=note_id,
            detail=dict(detail) if detail else None,
            at=at,
        )
        .returning(case_event.c.id)
    )
    return int(made.scalar_one())


async def read_locked(tx: Transaction, case_id: int) -> RowMapping:
    """A case's row that this transaction has locked before."""
    return (await tx.conn.execute(select(case_file).where(case_file.c.id == case_id))).mappings().one()


async def change(tx: Transaction, row: RowMapping, **values: Any) -> RowMapping:
    """Update a locked case and raise its version."""
    if "state" in values and values["state"] != row["state"]:
        check_transition(row["state"], values["state"])
    changed = await tx.conn.execute(
        update(case_file)
        .where(case_file.c.id == row["id"])
        .values(**values, version=row["version"] + 1)
        .returning(*case_file.c)
    )
    return changed.mappings().one()


def tell_case(tx: Transaction, row: RowMapping, message: Message) -> None:
    tx.tell(case_target(row["id"], row["episode"]), message)


async def _close(
    tx: Transaction, row: RowMapping, state: str, resolution: str, text: str, at: datetime, *, by: str | None
) -> None:
    changed = await change(
        tx,
        row,
        state=state,
        closed_at=at,
        resolution=resolution,
        resolved_by=by,
        next_level_at=None,
        waiting_until=None,
        applies_at=None,
    )
    tx.shares_cause(changed)
    await add_event(tx, changed, "resolved" if state == "resolved" else "healed", text, at, actor=by)
    tx.record(
        f"case.{state}",
        f"case:{row['id']}",
        at,
        before={"state": row["state"]},
        after={"state": state, "as": resolution},
    )
    tell_case(tx, changed, Message.CASE_CLOSED)


async def heal(tx: Transaction, case_id: int | None, because: str, at: datetime) -> None:
    """Close a case whose cause went away. Its row is locked by this transaction. A closed one is left as it is.

    A decision that was recorded and not yet applied is refused by name: the cause was gone first.
    """
    if case_id is None:
        return
    row = await read_locked(tx, case_id)
    if row["state"] not in OPEN_STATES:
        return
    await tx.conn.execute(
        update(case_decision)
        .where(case_decision.c.case_id == case_id, case_decision.c.state.in_(("applying", "awaiting_approval")))
        .values(state="refused", reason=f"Not applied: {because}.")
    )
    await _close(tx, row, "cancelled", "self_healed", f"Closed by itself: {because}.", at, by=None)


async def heal_kind(tx: Transaction, journey_id: str, kind: str, because: str, at: datetime) -> None:
    """Close the open case of a kind that a journey has, if there is one."""
    if tx.has_no_case(journey_id, kind):
        return
    found = await tx.conn.execute(
        select(case_file.c.id).where(
            case_file.c.journey_id == journey_id, case_file.c.kind == kind, case_file.c.closed_at.is_(None)
        )
    )
    for case_id in found.scalars().all():
        await heal(tx, case_id, because, at)


async def resolve(tx: Transaction, case_id: int, resolution: str, text: str, at: datetime, *, by: str) -> None:
    """Close a case by the decision of a person."""
    await _close(tx, await read_locked(tx, case_id), "resolved", resolution, text, at, by=by)


async def give_back(
    tx: Transaction,
    case_id: int,
    because: str,
    at: datetime,
    *,
    options: Sequence[CaseOption] | None = None,
    event: str = "given_back",
) -> None:
    """Give a case back to its owner, with its other options, after a decision was refused, not approved or undone."""
    row = await read_locked(tx, case_id)
    values: dict[str, Any] = {"state": "claimed" if row["claimed_by"] else "open", "applies_at": None}
    if options is not None:
        values["options"] = [option.model_dump(mode="json") for option in options]
    changed = await change(tx, row, **values)
    await add_event(tx, changed, event, because, at)
    tell_case(tx, changed, Message.CASE_CHANGED)


async def open_delivery_stuck(database: Database, target: str, error: str) -> None:
    """A message to a workflow could not be delivered after many tries: an admin must look."""

    async def work(tx: Transaction) -> None:
        first = (await tx.conn.execute(select(location.c.code).order_by(location.c.code).limit(1))).scalar()
        if first is None:
            return
        place = await reference.place(tx.conn, first)
        now = (await tx.conn.execute(select(func.now()))).scalar_one()
        await open_case(
            tx,
            Opening(
                kind="delivery_stuck",
                subject=target,
                place=place,
                policy=await reference.policy_at(tx.conn, place, now),
                at=now,
                facts={"target": target, "error": error},
                options=(CaseOption(id="acknowledge", label="Seen; the cause is mended", rank=1),),
                text=f"Messages for {target} are not delivered: {error}",
            ),
        )

    await database.write(work, actor="endcap", via="relay")

"""Takes events again that were set aside, once what they lacked is there; or leaves out those that were wrong."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.fernet import InvalidToken
from sqlalchemy import RowMapping, Select, func, select, text, update

from domain.case import OPEN_STATES
from domain.errors import NotFound
from domain.events import EventOutcome
from ledger import case
from ledger.engine import Database
from ledger.facts.inbox import REPLAY, Arrived, read
from ledger.facts.single import take_one
from ledger.people import Caller
from ledger.tables import api_key, case_decision, case_file, event_inbox
from ledger.transaction import Transaction

_NO_KEY = {
    "code": "sealed",
    "detail": "It was sealed with a key that is not given any more: put that key into ENDCAP_PAYLOAD_KEYS.",
}
KEPT = (
    event_inbox.c.source,
    event_inbox.c.event_id,
    event_inbox.c.case_id,
    event_inbox.c.occurred_at,
    event_inbox.c.recorded_at,
    event_inbox.c.body_sealed,
    event_inbox.c.outcome,
)


async def take_again(database: Database, row: Mapping[str, Any] | RowMapping, *, actor: str) -> EventOutcome:
    """Take one event of the inbox again, by its sealed body; `row` has the columns of `KEPT`.

    It speaks for its own source and for those that the source's keys may speak about. Its outcome may be what it was.
    """
    if row["body_sealed"] is None:
        return EventOutcome(id=row["event_id"], outcome="duplicate")
    try:
        body = database.seal.open(row["body_sealed"])
    except InvalidToken:
        return EventOutcome(id=row["event_id"], outcome=row["outcome"], problem=_NO_KEY, case_id=row["case_id"])
    arrived = read(json.loads(body))
    assert isinstance(arrived, Arrived)  # only an event with a sound envelope is ever kept
    async with database.read() as conn:
        listed = await conn.execute(
            select(func.unnest(api_key.c.sources)).where(api_key.c.source == row["source"]).distinct()
        )
        sources = frozenset(listed.scalars())
    # An adjustment without its scope is refused when it arrives, so one that was kept came with it.
    behind = Caller(actor, row["source"], frozenset({"stock:adjust"}), sources, None, frozenset())
    return await take_one(database, behind, arrived, await database.now(), via=REPLAY)


def _quarantined() -> Select[Any]:
    return (
        select(*KEPT)
        .where(event_inbox.c.outcome == "quarantined")
        .order_by(event_inbox.c.occurred_at, event_inbox.c.recorded_at, event_inbox.c.event_id)
    )


async def replay(
    database: Database,
    *,
    actor: str,
    case_id: int | None = None,
    source: str | None = None,
    event_id: str | None = None,
) -> list[EventOutcome]:
    """Take quarantined events again in the order in which they happened: those of a case, of a source, one, or all.

    A case none of whose events is left heals. Raises `NotFound` for one event that is not quarantined.
    """
    query = _quarantined()
    for column, wanted in ((KEPT[2], case_id), (KEPT[0], source), (KEPT[1], event_id)):
        if wanted is not None:
            query = query.where(column == wanted)
    async with database.read() as conn:
        rows = (await conn.execute(query)).mappings().all()
    if event_id is not None and not rows:
        raise NotFound(f"There is no quarantined event {event_id}; it was taken, left out, or never came.")
    outcomes = [await take_again(database, row, actor=actor) for row in rows]
    for one in sorted({row["case_id"] for row in rows if row["case_id"] is not None}):
        await _heal_if_empty(database, one, actor)
    return outcomes


async def _heal_if_empty(database: Database, case_id: int, actor: str) -> None:
    async def work(tx: Transaction) -> None:
        row = await tx.lock_case(case_id)
        deciding = row["state"] == "deciding"  # whoever decided it is answered by `finish`
        if row["state"] in OPEN_STATES and not deciding and not await _left(tx, case_id):
            await case.heal(tx, case_id, "its reports were taken", await tx.now())

    await database.write(work, actor=actor, via=REPLAY)


async def _left(tx: Transaction, case_id: int) -> int:
    found = await tx.conn.execute(
        select(func.count()).where(event_inbox.c.case_id == case_id, event_inbox.c.outcome == "quarantined")
    )
    return int(found.scalar_one())


async def finish(database: Database) -> int:
    """Carry out the decisions to replay: each case is resolved when its reports were taken, else given back with the
    reason. Returns how many decisions were carried out.
    """
    async with database.read() as conn:
        found = await conn.execute(
            select(case_decision.c.id, case_decision.c.case_id, case_decision.c.decided_by)
            .join(case_file, case_file.c.id == case_decision.c.case_id)
            .where(
                case_decision.c.state == "applying",
                case_decision.c.option_id == "replay",
                case_file.c.kind == "event_rejected",
                case_file.c.state == "deciding",
            )
            .order_by(case_decision.c.id)
        )
        decisions = found.all()
    for decision_id, case_id, decided_by in decisions:
        outcomes = await replay(database, actor=decided_by, case_id=case_id)
        await _answer(database, decision_id, case_id, decided_by, outcomes)
    return len(decisions)


async def _answer(
    database: Database, decision_id: int, case_id: int, decided_by: str, outcomes: list[EventOutcome]
) -> None:
    async def work(tx: Transaction) -> None:
        row = await tx.lock_case(case_id)
        if row["state"] != "deciding":
            return
        at = await tx.now()
        taken = sum(one.outcome in ("accepted", "duplicate") for one in outcomes)
        wrong = [one for one in outcomes if one.outcome not in ("accepted", "duplicate")]
        said = {"state": "applied"}
        if wrong:
            detail = (wrong[0].problem or {}).get("detail", wrong[0].outcome)
            said = {"state": "refused", "reason": f"{len(wrong)} of {len(outcomes)} were not taken: {detail}"}
        await tx.conn.execute(update(case_decision).where(case_decision.c.id == decision_id).values(**said))
        if not wrong:
            text_of_it = f"{taken} {'report was' if taken == 1 else 'reports were'} taken."
            await case.resolve(tx, case_id, "replay", text_of_it, at, by=decided_by)
        elif await _left(tx, case_id):
            await case.give_back(tx, case_id, said["reason"], at)
        else:  # what is wrong now is another cause, with a case of its own
            await case.resolve(tx, case_id, "replay", said["reason"], at, by=decided_by)

    await database.write(work, actor=decided_by, via=REPLAY)


_DISCARD = text(
    "UPDATE event_inbox SET outcome = 'refused', body_sealed = NULL,"
    " problem = problem || jsonb_build_object('left_out_by', CAST(:by AS text))"
    " WHERE case_id = :case_id AND outcome = 'quarantined' RETURNING source, event_id"
)


async def discard(tx: Transaction, case_id: int, at: datetime) -> int:
    """Leave out the quarantined events of a case, whose row is locked: their bodies are deleted, and the same event
    is refused from now on. Returns how many.

    A replay of the same events may lock the rows the other way round; then one of the two runs again.
    """
    gone = (await tx.conn.execute(_DISCARD, {"case_id": case_id, "by": tx.actor})).all()
    for row in gone:
        tx.record("event.left_out", f"event:{row.source}:{row.event_id}", at, after={"case": case_id})
    return len(gone)

"""Reports that were set aside: taken again once somebody has mended what they lacked, or left out for good."""

import json
from typing import Any

from sqlalchemy import func, select, update

from domain.errors import DomainError, NothingOffered
from ledger import facts
from ledger.case.life import add_event
from ledger.engine import Database
from ledger.people import Caller
from ledger.tables import api_key, event_inbox
from ledger.transaction import Transaction


async def take_again(database: Database, case_id: int, *, by: str) -> None:
    """Take each report behind a case again, in a transaction of its own and the order in which things happened.

    What is understood now has its whole effect at once, and the timeline says how many. Raises `NothingOffered` with
    the reason when one is still not understood.
    """
    taken, still = 0, []
    for source, event in await _set_aside(database, case_id):
        try:
            await facts.replay(database, await _caller_of(database, source), [event])
        except DomainError as refusal:
            still.append(refusal.detail)
        else:
            taken += 1
    if taken:
        await _say(database, case_id, taken, by)
    if still:
        done = f"{_reports(taken)} taken, but " if taken else ""
        raise NothingOffered(f"{done}{_reports(len(still))} still not understood: {still[0]}")


def _reports(count: int) -> str:
    return "1 report is" if count == 1 else f"{count} reports are"


async def _set_aside(database: Database, case_id: int) -> list[tuple[str, dict[str, Any]]]:
    async with database.read() as conn:
        rows = await conn.execute(
            select(event_inbox.c.source, event_inbox.c.body_sealed)
            .where(event_inbox.c.case_id == case_id, event_inbox.c.outcome == "quarantined")
            .order_by(event_inbox.c.occurred_at, event_inbox.c.recorded_at)
        )
        return [(row.source, json.loads(database.seal.open(row.body_sealed))) for row in rows if row.body_sealed]


async def _caller_of(database: Database, source: str) -> Caller:
    """What the keys of a source may do and name today, all of them together."""
    async with database.read() as conn:
        rows = (
            await conn.execute(
                select(api_key.c.scopes, api_key.c.sources).where(
                    api_key.c.source == source, api_key.c.revoked_at.is_(None)
                )
            )
        ).all()
    scopes = frozenset(scope for row in rows for scope in row.scopes)
    sources = frozenset(name for row in rows for name in row.sources)
    return Caller(f"replay:{source}", source, scopes, sources, None, frozenset())


async def _say(database: Database, case_id: int, taken: int, by: str) -> None:
    async def work(tx: Transaction) -> None:
        row = await tx.lock_case(case_id)
        text = "1 report was taken again." if taken == 1 else f"{taken} reports were taken again."
        at = await tx.now(row["clock_offset_s"])
        await add_event(tx, row, "replayed", text, at)
        tx.record("case.replayed", f"case:{case_id}", at, after={"taken": taken})

    await database.write(work, actor=by, via="replay")


async def count_set_aside(tx: Transaction, case_id: int) -> int:
    """How many reports behind a case are still set aside."""
    found = await tx.conn.execute(
        select(func.count())
        .select_from(event_inbox)
        .where(event_inbox.c.case_id == case_id, event_inbox.c.outcome == "quarantined")
    )
    return int(found.scalar_one())


async def leave_out(tx: Transaction, case_id: int) -> int:
    """Never take the reports behind a case; what they said is deleted. Returns how many."""
    gone = await tx.conn.execute(
        update(event_inbox)
        .where(event_inbox.c.case_id == case_id, event_inbox.c.outcome == "quarantined")
        .values(outcome="refused", body_sealed=None)
    )
    return gone.rowcount

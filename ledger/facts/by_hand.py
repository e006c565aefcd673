"""Facts that a person reports on a page of the store: the road of the API's events, with the person as the actor.

What cannot be recorded is said to the person at once and leaves nothing behind; only what systems report is set aside.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import DomainError, IdempotencyMismatch, Malformed
from domain.events import EventOutcome
from domain.people import Person
from ledger.engine import Database
from ledger.facts import refusals
from ledger.facts.inbox import read
from ledger.facts.single import Check, take
from ledger.people import Caller
from ledger.tables import event_inbox, journey
from ledger.transaction import Transaction

SOURCE = "console"  # in the inbox; a form that was rendered is an event of it


class Saved(NamedTuple):
    """When the fact was reported; `is_new` unless the same form had reported it before."""

    at: datetime
    is_new: bool


async def report(
    database: Database,
    person: Person,
    journey_id: str,
    kind: str,
    data: Mapping[str, Any],
    *,
    form_id: str,
    at: datetime,
    check: Check | None = None,
    named: str = "journey_id",
) -> Saved:
    """Record a fact about a journey once for each form, however often it is sent. `named` is the field by which the
    fact names it.

    Whether the person may report it is the caller's to know. Raises what the fact is refused with: `Malformed`,
    `UnknownLine`, `NotRecordable`, whatever `check` raises; `IdempotencyMismatch` when the form has said something
    else before.
    """
    raw = {"id": form_id, "type": kind, "occurred_at": at.isoformat(), "data": {**data, named: journey_id}}
    arrived = read(raw)
    if isinstance(arrived, EventOutcome):
        raise Malformed(str((arrived.problem or {}).get("detail")))
    if isinstance(arrived.data, DomainError):
        raise arrived.data
    # The same form sent twice was sent at two instants: they are no part of what it says.
    said = json.dumps([kind, raw["data"]], sort_keys=True)
    arrived = replace(arrived, digest=hashlib.sha256(said.encode()).digest())

    async def work(tx: Transaction) -> EventOutcome:
        rows = await tx.conn.execute(select(journey.c.source).where(journey.c.id == journey_id))
        about = frozenset(rows.scalars())
        caller = Caller.on_page(person, SOURCE, about)
        return await take(tx, caller, arrived, check=check)

    with refusals.of_the_database():
        outcome = await database.write(work, actor=person.id, via="console")
    if outcome.problem is not None:
        raise IdempotencyMismatch("This form was saved before with something else in it. Look at what is saved now.")
    async with database.read() as conn:
        saved = await saved_at(conn, form_id)
    return Saved(saved or at, outcome.outcome == "accepted")


async def saved_at(conn: AsyncConnection, form_id: str) -> datetime | None:
    """When a form was saved first; None for one that was not."""
    row = await conn.execute(
        select(event_inbox.c.occurred_at).where(event_inbox.c.source == SOURCE, event_inbox.c.event_id == form_id)
    )
    found: datetime | None = row.scalar_one_or_none()
    return found

"""The clock of a campaign, which nobody wants to wait weeks for: promotions are moved on to their instants, and what
runs by itself at an instant runs as of it.

The public API has no word for it, so it works on the database beside it, by the functions that time skips and the
worker's sweeps use. Nothing else of the scene does.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text

from demo import people
from demo.campaign import raw
from domain.people import Person
from ledger.audit import audit
from ledger.claim import preparing
from ledger.engine import Database
from ledger.journeys import MAX_SKIP_S, skip_time
from ledger.people import person_by_id
from ledger.promotion.settling import settle_ended


class Clock:
    """Moves what belongs to a scene. Raises LookupError where Sam, in whose name it skips, is not there."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._sam: Person | None = None

    async def to(self, journeys: Sequence[str], at: dt.datetime) -> None:
        """Move journeys on to an instant; one that is there already, or over, stays."""
        person = await self._person()
        async with self.database.read() as conn:
            rows = await conn.execute(
                text(
                    "SELECT id, clock_offset_s, now() AS now FROM journey WHERE id = ANY(CAST(:ids AS text[]))"
                    " AND closed_at IS NULL ORDER BY id"
                ),
                {"ids": list(journeys)},
            )
            found = [(row.id, row.now + dt.timedelta(seconds=row.clock_offset_s)) for row in rows]
        for journey, now in found:
            left = int((at - now).total_seconds()) + 1
            while left > 0:
                step = min(left, MAX_SKIP_S)
                await skip_time(self.database, journey, person, seconds=step, via="demo")
                left -= step

    async def claims(self, agreements: Sequence[str], at: dt.datetime) -> int:
        """Prepare the claims of these agreements that are due by an instant; returns how many."""
        made = 0
        while some := await preparing.prepare_due(self.database, at, only=frozenset(agreements)):
            made += some
        return made

    async def settle(self, at: dt.datetime) -> int:
        """Settle promotions of which nothing is left to claim."""
        return await settle_ended(self.database, at)

    async def rows(self, query: str, **values: Any) -> list[Mapping[str, Any]]:
        """What a query finds; the scene's figures are read by it."""
        async with self.database.read() as conn:
            return [dict(row) for row in (await conn.execute(text(query), values)).mappings()]

    async def accrued(self, campaign: int, shift_s: int) -> raw.Sums:
        async with self.database.read() as conn:
            return await raw.in_ledger(conn, campaign, shift_s)

    async def sold(self, campaign: int) -> Mapping[str, int]:
        async with self.database.read() as conn:
            return await raw.sold_in_ledger(conn, campaign)

    async def findings(self) -> list[str]:
        """What the audit has to say."""
        async with self.database.read() as conn:
            return [f"{one.rule}: {one.where}: {one.detail}" for one in await audit(conn)]

    async def _person(self) -> Person:
        if self._sam is None:
            async with self.database.read() as conn:
                self._sam = await person_by_id(conn, people.SAM.id)
        if self._sam is None:
            raise LookupError(f"{people.SAM.name} is not there; the scene needs the people of the demo")
        return self._sam

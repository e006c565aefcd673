"""Asks carriers, from time to time, about the parcels that are under way, and takes what they answer as their news."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import text, update

from domain.tracking import OVER, TransferTracked
from domain.transfer import ON_THE_WAY
from ledger.engine import Database
from ledger.tables import parcel_tracking
from ledger.transaction import Transaction
from ledger.transfer.document import Transfer
from ledger.transfer.tracking import tracked

AT_ONCE = 20  # parcels of one sweep


class Asked(NamedTuple):
    """A parcel that a carrier is asked about now."""

    journey_id: str
    tracking: str
    carrier: str | None


class Answered(NamedTuple):
    """What a carrier says: news, as of when it says so, or why there is none."""

    news: TransferTracked | None = None
    at: datetime | None = None
    error: str | None = None


type Ask = Callable[[Asked], Awaitable[Answered]]

# Claimed by the same statement that finds them: two workers never ask about one parcel at the same time.
_CLAIM = text("""
    INSERT INTO parcel_tracking (journey_id, tracking, carrier, asked_at)
    SELECT DISTINCT ON (p.journey_id, p.tracking) p.journey_id, p.tracking, p.carrier, CAST(:now AS timestamptz)
    FROM journey j JOIN transfer_parcel p ON p.journey_id = j.id
    LEFT JOIN parcel_tracking t ON t.journey_id = p.journey_id AND t.tracking = p.tracking
    WHERE j.kind = 'transfer' AND j.closed_at IS NULL AND j.state = ANY(:states)
        AND p.kind = 'shipped' AND p.tracking IS NOT NULL
        AND (t.asked_at IS NULL OR t.asked_at < :before) AND (t.status IS NULL OR t.status <> ALL(:over))
    ORDER BY p.journey_id, p.tracking, p.id DESC LIMIT :most
    ON CONFLICT (journey_id, tracking) DO UPDATE SET asked_at = excluded.asked_at
    WHERE parcel_tracking.asked_at IS NULL OR parcel_tracking.asked_at < :before
    RETURNING journey_id, tracking, carrier
""")


async def sweep(database: Database, ask: Ask, now: datetime, *, every: timedelta) -> int:
    """Ask about parcels of which nobody has asked for so long, at most `AT_ONCE`; returns how many brought news."""

    async def claim(tx: Transaction) -> list[Asked]:
        rows = await tx.conn.execute(
            _CLAIM,
            {
                "now": now,
                "before": now - every,
                "states": sorted(ON_THE_WAY),
                "over": sorted(OVER),
                "most": AT_ONCE,
            },
        )
        return [Asked(*row) for row in rows]

    asked = await database.write(claim, actor="endcap", via="tracking")
    answers = await asyncio.gather(*(ask(one) for one in asked))
    brought = 0
    for one, answer in zip(asked, answers, strict=True):
        brought += await database.write(_taking(one, answer, now), actor="endcap", via="tracking")
    return brought


def _taking(one: Asked, answer: Answered, now: datetime) -> Callable[[Transaction], Awaitable[bool]]:
    async def take(tx: Transaction) -> bool:
        if answer.news is None:
            await tx.conn.execute(
                update(parcel_tracking)
                .where(parcel_tracking.c.journey_id == one.journey_id, parcel_tracking.c.tracking == one.tracking)
                .values(error=answer.error)
            )
            return False
        it = await Transfer.load(tx, await tx.lock_journey(one.journey_id))
        at = it.clock(min(answer.at or now, now))
        said = await tracked(it, answer.news, f"asked:{one.tracking}:{now.isoformat()}", at)
        return said not in ("Nothing new.", "Older than what the carrier has said since.")

    return take

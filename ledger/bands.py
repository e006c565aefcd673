"""Tests a document against its band, and records its value: two at the same time cannot both pass below the limit."""

from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.bands import ROLLING_DAYS, Level, Limits, Rolling, level_of
from ledger import people
from ledger.engine import Database
from ledger.tables import band_use
from ledger.transaction import Rank, Transaction

EVERYONE = "everyone"
KEPT = timedelta(days=3 * ROLLING_DAYS)

# One lock for each kind × actor × place, taken after stock and holds and before the outbox, as money rows are.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 8))")


async def actor_at(tx: Transaction, source: str, alias: str, location: str) -> tuple[str, tuple[str, ...]]:
    """(actor of the band, people who may not approve) for an actor of an event.

    Actors whom nobody knows share one sum for each place: they count as everyone there, so the approver must come from
    outside it.
    """
    known = await people.known_actor(tx.conn, source, alias)
    if known is not None:
        return known, (known,)
    return EVERYONE, tuple(await people.resolve_actor(tx.conn, source, alias, location))


async def use(
    tx: Transaction,
    *,
    kind: str,
    actor: str,
    location: str,
    subject: str,
    gross_minor: int,
    limits: Limits,
    at: datetime,
) -> Level:
    """Which level must approve the document `subject`, worth `gross_minor` (minor units, absolute); recorded at once.

    The sum of the thirty days before `at` is read under a lock that is held until this transaction ends, so of two
    documents the second counts the first. The same document again gets the level it was given before. What is rejected
    afterwards is taken out with `withdraw`. Locks at `Rank.MONEY`: lock stock and holds before.
    """
    if gross_minor < 0:
        raise ValueError("a band tests absolute amounts")
    tx.enter(Rank.MONEY)
    await tx.conn.execute(_LOCK, {"name": f"band {kind} {actor} {location}"})
    before = await tx.conn.execute(
        select(band_use.c.level).where(band_use.c.kind == kind, band_use.c.subject == subject)
    )
    known = before.scalar_one_or_none()
    if known is not None:
        return Level(known)
    level = level_of(limits, gross_minor, await _rolling(tx.conn, kind, actor, location, at))
    await tx.conn.execute(
        insert(band_use).values(
            kind=kind,
            actor=actor,
            location=location,
            subject=subject,
            amount_minor=gross_minor,
            level=int(level),
            at=at,
        )
    )
    return level


async def would_be(
    conn: AsyncConnection,
    *,
    kind: str,
    actor: str,
    location: str,
    gross_minor: int,
    limits: Limits,
    at: datetime,
) -> Level:
    """Which level a document would need now, for showing it beforehand; `use` decides, and may find more by then."""
    return level_of(limits, gross_minor, await _rolling(conn, kind, actor, location, at))


async def _rolling(conn: AsyncConnection, kind: str, actor: str, location: str, at: datetime) -> Rolling:
    """Reports come late and out of order: what happened up to thirty days after `at` counts as what happened before."""
    amount, level = band_use.c.amount_minor, band_use.c.level
    row = (
        await conn.execute(
            select(
                func.coalesce(func.sum(amount).filter(level == int(Level.NONE)), 0).label("by_nobody"),
                func.coalesce(func.sum(amount).filter(level < int(Level.FINANCE)), 0).label("below_finance"),
            ).where(
                band_use.c.kind == kind,
                band_use.c.actor == actor,
                band_use.c.location == location,
                band_use.c.at > at - timedelta(days=ROLLING_DAYS),
                band_use.c.at < at + timedelta(days=ROLLING_DAYS),
                band_use.c.withdrawn_at.is_(None),
            )
        )
    ).one()
    return Rolling(int(row.by_nobody), int(row.below_finance))


async def withdraw(tx: Transaction, kind: str, subject: str, at: datetime) -> None:
    """The document took no effect: it was rejected, undone, or nobody decided in time. Doing it twice changes
    nothing.
    """
    await tx.conn.execute(
        update(band_use)
        .where(band_use.c.kind == kind, band_use.c.subject == subject, band_use.c.withdrawn_at.is_(None))
        .values(withdrawn_at=at)
    )


async def forget(database: Database, now: datetime) -> int:
    """Delete what no test will count any more, at most 5,000 rows; returns how many.

    A report that comes up to sixty days late still finds its whole thirty days before it.
    """

    async def work(tx: Transaction) -> int:
        over = select(band_use.c.id).where(band_use.c.at < now - KEPT).order_by(band_use.c.id).limit(5_000)
        gone = await tx.conn.execute(delete(band_use).where(band_use.c.id.in_(over)))
        return int(gone.rowcount)

    return await database.write(work, actor="endcap", via="system")

"""The prices that channels are to show because of a promotion: one row each, made place by place, tried in runs until
each is seen as wanted, and asked about where that does not come about.

A phase (*publish*, *revert*) has one publication for each channel, which is tried by itself. What is wanted is worked
out at each attempt, never saved from before: so a revert brings back whatever is right by then.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.promotion import PRICES_DUE
from ledger.engine import Database
from ledger.promotion.document import Promotion
from ledger.tables import journey, price_publication, promotion, publication
from ledger.transaction import Transaction

AT_ONCE = 20_000  # rows made by one statement, as far as whole places allow
ERROR_LENGTH = 200
_OWN = price_publication.c


# ---------------------------------------------------------------------- beginning a phase
async def begin(it: Promotion, phase: str, at: datetime) -> None:
    """Every channel is to be told: its first run is due now. What the phase before had not brought about is left.

    The promotion is locked; its rows are made by whoever talks to the channel.
    """
    conn = it.tx.conn
    await drop(it, at)
    rows = [
        {"journey_id": it.id, "phase": phase, "channel": channel, "began_at": at}
        for channel in sorted({channel for channel, _ in await it.places()})
    ]
    await conn.execute(insert(publication), rows)
    for row in rows:
        it.due(PRICES_DUE + str(row["channel"]), at)


async def drop(it: Promotion, at: datetime) -> None:
    """Nothing that was being published is wanted any more, nor read back."""
    conn = it.tx.conn
    await conn.execute(
        update(publication)
        .where(publication.c.journey_id == it.id, publication.c.check_at.is_not(None))
        .values(check_at=None)
    )
    over = await conn.execute(
        update(publication)
        .where(publication.c.journey_id == it.id, publication.c.done_at.is_(None))
        .values(done_at=at)
        .returning(publication.c.id, publication.c.channel)
    )
    for row in over:
        it.drop_dues(PRICES_DUE + row.channel)
        await conn.execute(
            update(price_publication)
            .where(_OWN.publication_id == row.id, _OWN.state == "pending")
            .values(state="superseded")
        )


# ---------------------------------------------------------------------- one channel's prices
@dataclass(frozen=True)
class Task:
    """What one channel is to be told of one promotion now."""

    number: int  # of the publication
    journey_id: str
    entity: str
    currency: str
    channel: str
    phase: str
    run: int


async def task_of(database: Database, journey_id: str, channel: str) -> Task | None:
    """The open publication of a channel; None where there is none any more."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(publication, promotion.c.entity, journey.c.currency)
            .join(promotion, promotion.c.journey_id == publication.c.journey_id)
            .join(journey, journey.c.id == publication.c.journey_id)
            .where(
                publication.c.journey_id == journey_id,
                publication.c.channel == channel,
                publication.c.done_at.is_(None),
            )
        )
        row = rows.mappings().first()
    if row is None:
        return None
    return Task(row["id"], journey_id, row["entity"], row["currency"], channel, row["phase"], row["run"])


# A price is due from the promotion's start (or its end) on, and again from each later instant at which another one
# begins whose prices have gone out already: they were worked out without knowing of this change.
_MAKE = text(
    """
    WITH mine AS (
        SELECT p.*, CASE WHEN :phase = 'publish' THEN p.starts_at ELSE greatest(p.ends_at, p.starts_at) END AS from_at,
            CASE WHEN :phase = 'publish' THEN p.ends_at
                 ELSE greatest(p.ends_at, (j.detail ->> 'planned_end')::timestamptz) END AS until_at
        FROM promotion p JOIN journey j ON j.id = p.journey_id WHERE p.journey_id = :id
    ), next AS (
        SELECT l.location FROM promotion_place l
        WHERE l.journey_id = :id AND l.channel = :channel AND l.location > :after ORDER BY l.location LIMIT :places
    ), instants AS (
        SELECT i.sku, n.location, m.from_at AS at FROM mine m CROSS JOIN next n
        JOIN promotion_item i ON i.journey_id = :id
        UNION
        SELECT i.sku, n.location, o.starts_at FROM mine m
        JOIN promotion o ON o.entity = m.entity AND o.state = 'publishing' AND o.journey_id <> m.journey_id
            AND o.starts_at > m.from_at AND o.starts_at < m.until_at
        JOIN promotion_item i ON i.journey_id = m.journey_id
        JOIN promotion_item theirs ON theirs.journey_id = o.journey_id AND theirs.sku = i.sku
        CROSS JOIN next n
        JOIN promotion_place l ON l.journey_id = o.journey_id AND l.channel = :channel AND l.location = n.location
    )
    INSERT INTO price_publication (publication_id, location, sku, valid_from)
    SELECT CAST(:number AS bigint), location, sku, at FROM instants
    ON CONFLICT DO NOTHING
    """
)


async def make_rows(database: Database, task: Task) -> bool:
    """Make the rows of the next places, set-based; returns whether there may be more to make."""

    async def work(tx: Transaction) -> bool:
        conn = tx.conn
        # Against whoever ends the phase, or makes the same rows after this was thought to be lost.
        row = (
            await conn.execute(select(publication.c.done_at).where(publication.c.id == task.number).with_for_update())
        ).one()
        if row.done_at is not None:
            return False
        last = await conn.execute(select(func.max(_OWN.location)).where(_OWN.publication_id == task.number))
        items = await conn.execute(
            text("SELECT count(*) FROM promotion_item WHERE journey_id = :id"), {"id": task.journey_id}
        )
        made = await conn.execute(
            _MAKE,
            {
                "id": task.journey_id, "number": task.number, "channel": task.channel, "phase": task.phase,
                "after": last.scalar() or "", "places": max(AT_ONCE // max(items.scalar_one(), 1), 1),
            },
        )  # fmt: skip
        if not made.rowcount:
            return False
        await conn.execute(
            update(publication)
            .where(publication.c.id == task.number)
            .values(prices=publication.c.prices + made.rowcount)
        )
        return True

    return await database.write(work, actor="endcap", via="workflow")


# ---------------------------------------------------------------------- what is left
async def is_untried(conn: AsyncConnection, task: Task) -> bool:
    """Whether this run has prices that it has not come to."""
    rows = await conn.execute(
        select(_OWN.sku)
        .where(_OWN.publication_id == task.number, _OWN.state == "pending", _OWN.run < task.run)
        .limit(1)
    )
    return rows.first() is not None


async def pending(conn: AsyncConnection, number: int) -> int:
    rows = await conn.execute(
        select(func.count())
        .select_from(price_publication)
        .where(_OWN.publication_id == number, _OWN.state == "pending")
    )
    return int(rows.scalar_one())


async def open_publications(conn: AsyncConnection, journey_id: str) -> list[RowMapping]:
    """The publications of a promotion that are not over, by channel; rows are locked with their journey."""
    rows = await conn.execute(
        select(publication)
        .where(publication.c.journey_id == journey_id, publication.c.done_at.is_(None))
        .order_by(publication.c.channel)
    )
    return list(rows.mappings())


async def close(it: Promotion, row: RowMapping, at: datetime) -> None:
    """A publication is over: each price is right, or was given up. Those that are right are read back again later."""
    after = it.policy.promotion.check_after(row["checks"])
    await it.tx.conn.execute(
        update(publication)
        .where(publication.c.id == row["id"])
        .values(done_at=at, error="", wrong=0, check_at=None if after is None else func.now() + after)
    )


async def read_back(it: Promotion, number: int, checks: int) -> None:
    """Every price was found right again: it is read back once more later, or this was the last time."""
    after = it.policy.promotion.check_after(checks)
    await it.tx.conn.execute(
        update(publication)
        .where(publication.c.id == number)
        .values(checks=checks, check_at=None if after is None else func.now() + after)
    )


async def next_run(it: Promotion, row: RowMapping, wrong: int, error: str, at: datetime) -> datetime:
    """A run is over with some not right: they are tried again after a pause; returns when."""
    await it.tx.conn.execute(
        update(publication)
        .where(publication.c.id == row["id"])
        .values(run=row["run"] + 1, wrong=wrong, error=error[:ERROR_LENGTH])
    )
    then = at + it.policy.promotion.pause(row["run"])
    it.due(PRICES_DUE + row["channel"], then)
    return then


def at_once(it: Promotion, channel: str, at: datetime) -> None:
    """The next run of a channel begins now."""
    if PRICES_DUE + channel in it.row["dues"]:
        it.due(PRICES_DUE + channel, min(at, datetime.fromisoformat(it.row["dues"][PRICES_DUE + channel])))


async def waive(it: Promotion, row: RowMapping, at: datetime) -> int:
    """Give up what is not right at a channel; returns how many prices."""
    await close(it, row, at)
    left = await it.tx.conn.execute(
        update(price_publication)
        .where(_OWN.publication_id == row["id"], _OWN.state == "pending")
        .values(state="waived")
    )
    it.drop_dues(PRICES_DUE + row["channel"])
    return int(left.rowcount)

"""The prices that channels are to show because of a promotion: one row each, made place by place, tried in runs until
each is seen as wanted, and asked about where that does not come about.

A phase (*publish*, *revert*) has one publication for each channel, which is tried by itself. What is wanted is worked
out at each attempt, never saved from before: so a revert brings back whatever is right by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.promotion import ShelfPrice
from ledger.engine import Database
from ledger.promotion.document import Promotion
from ledger.promotion.prices import PriceKey, wanted_prices
from ledger.tables import journey, price_publication, promotion, publication
from ledger.transaction import Transaction

DUE = "prices:"  # and the channel: its next run
AT_ONCE = 20_000  # rows made by one statement, as far as whole places allow
CHUNK = 500  # prices of one conversation with a channel
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
        it.due(DUE + str(row["channel"]), at)


async def drop(it: Promotion, at: datetime) -> None:
    """Nothing that was being published is wanted any more."""
    conn = it.tx.conn
    over = await conn.execute(
        update(publication)
        .where(publication.c.journey_id == it.id, publication.c.done_at.is_(None))
        .values(done_at=at)
        .returning(publication.c.id, publication.c.channel)
    )
    for row in over:
        it.drop_dues(DUE + row.channel)
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


class ToShow(NamedTuple):
    """A price that is to be shown. `sent`: the channel was told of just this before."""

    key: PriceKey
    wanted: ShelfPrice
    sent: bool


class Conversation(NamedTuple):
    """What a channel is to be told now, under the number by which it tells it from what it is told earlier or later."""

    number: int
    prices: list[ToShow]


_NUMBER = text(
    """
    INSERT INTO price_channel AS c (channel, number)
    VALUES (:channel, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint))
    ON CONFLICT (channel) DO UPDATE SET number = greatest(c.number + 1, excluded.number) RETURNING number
    """
)


async def _next_number(tx: Transaction, channel: str) -> int:
    """A number above all that were drawn for the channel. Until this transaction ends nobody else draws one, so whoever
    has a higher one reads later what is wanted.
    """
    return int((await tx.conn.execute(_NUMBER, {"channel": channel})).scalar_one())


async def take(database: Database, task: Task) -> Conversation:
    """The next prices that this run has not tried yet, in the order of place and item, each as it is wanted now; none
    where the publication is over.
    """

    async def work(tx: Transaction) -> Conversation:
        conn, number = tx.conn, await _next_number(tx, task.channel)
        is_open = await conn.execute(
            update(publication)
            .where(publication.c.id == task.number, publication.c.done_at.is_(None))
            .values(told_number=number)
        )
        if not is_open.rowcount:
            return Conversation(number, [])
        rows = (
            await conn.execute(
                select(_OWN.location, _OWN.sku, _OWN.valid_from, _OWN.wanted_minor, _OWN.wanted_deal, _OWN.attempts)
                .where(_OWN.publication_id == task.number, _OWN.state == "pending", _OWN.run < task.run)
                .order_by(_OWN.run, _OWN.location, _OWN.sku, _OWN.valid_from)
                .limit(CHUNK)
            )
        ).all()
        keys = [PriceKey(row.location, row.sku, row.valid_from) for row in rows]
        wanted = await wanted_prices(conn, task.entity, task.channel, keys)
        found = []
        for key, row in zip(keys, rows, strict=True):
            price = wanted[key]
            before = row.attempts > 0 and (row.wanted_minor, row.wanted_deal) == (price.price_minor, price.deal)
            found.append(ToShow(key, price, before))
        return Conversation(number, found)

    return await database.write(work, actor="endcap", via="workflow")


async def take_right(database: Database, task: Task, keys: Sequence[PriceKey]) -> Conversation:
    """These prices as they are wanted now, under a number of their own, whatever became of the publication."""

    async def work(tx: Transaction) -> Conversation:
        number = await _next_number(tx, task.channel)
        wanted = await wanted_prices(tx.conn, task.entity, task.channel, keys)
        return Conversation(number, [ToShow(key, wanted[key], sent=False) for key in keys])

    return await database.write(work, actor="endcap", via="workflow")


async def is_newest(database: Database, task: Task, number: int) -> bool:
    """Whether nobody has begun to talk about this publication since, and it is not over."""
    async with database.read() as conn:
        return await _is_newest(conn, task, number)


async def _is_newest(conn: AsyncConnection, task: Task, number: int) -> bool:
    rows = await conn.execute(
        select(publication.c.id).where(
            publication.c.id == task.number, publication.c.done_at.is_(None), publication.c.told_number == number
        )
    )
    return rows.first() is not None


class Tried(NamedTuple):
    """What became of one price: what was wanted, what the channel showed (None: nothing yet), why it refused."""

    key: PriceKey
    wanted: ShelfPrice
    seen: ShelfPrice | None
    error: str = ""


# Each row is looked up by itself: a plan that was made while the table was small would read all of it for each chunk.
_RECORD = text(
    """
    UPDATE price_publication p SET state = CASE WHEN t.good THEN 'right' ELSE 'pending' END, wanted_minor = t.wanted,
        wanted_deal = t.deal, seen_minor = t.seen, seen_deal = t.seen_deal, attempts = p.attempts + 1, run = :run,
        error = t.error, tried_at = now()
    FROM unnest(CAST(:locations AS text[]), CAST(:skus AS text[]), CAST(:instants AS timestamptz[]),
        CAST(:good AS boolean[]), CAST(:wanted AS bigint[]), CAST(:deals AS text[]), CAST(:seen AS bigint[]),
        CAST(:seen_deals AS text[]), CAST(:errors AS text[]))
        AS t (location, sku, valid_from, good, wanted, deal, seen, seen_deal, error)
    CROSS JOIN LATERAL (
        SELECT x.ctid AS place FROM price_publication x
        WHERE x.publication_id = :number AND x.location = t.location AND x.sku = t.sku
          AND x.valid_from = t.valid_from
        OFFSET 0
    ) found
    WHERE p.ctid = found.place AND p.state = 'pending'
    """
)
_ERROR_LENGTH = 200


class Recorded(NamedTuple):
    """How many are right; and the prices of which the channel was told something that is not wanted any more, by
    somebody who had been overtaken: they are to be told again.
    """

    right: int
    late: list[PriceKey]


async def record(database: Database, task: Task, tried: Sequence[Tried], number: int) -> Recorded:
    """Write down what was seen. One for which another price is wanted by now is tried again: a promotion was agreed to,
    or ended, while the channel was told. Who was overtaken meanwhile has seen nothing that counts.
    """

    async def work(tx: Transaction) -> Recorded:
        now = await wanted_prices(tx.conn, task.entity, task.channel, [one.key for one in tried])
        if not await _is_newest(tx.conn, task, number):
            return Recorded(0, [one.key for one in tried if one.wanted != now[one.key]])
        good = [one.seen == one.wanted == now[one.key] for one in tried]
        errors = [_why(one, now[one.key]) for one in tried]
        await tx.conn.execute(
            _RECORD,
            {
                "number": task.number,
                "run": task.run,
                "locations": [one.key.location for one in tried],
                "skus": [one.key.sku for one in tried],
                "instants": [one.key.valid_from for one in tried],
                "good": good,
                "wanted": [one.wanted.price_minor for one in tried],
                "deals": [one.wanted.deal for one in tried],
                "seen": [one.seen.price_minor if one.seen else None for one in tried],
                "seen_deals": [one.seen.deal if one.seen else "" for one in tried],
                "errors": errors,
            },
        )
        return Recorded(sum(good), [])

    return await database.write(work, actor="endcap", via="workflow")


def _why(one: Tried, now: ShelfPrice) -> str:
    if one.seen == one.wanted:
        return "" if one.wanted == now else "another price is wanted meanwhile"
    if one.error:
        return one.error[:_ERROR_LENGTH]
    return "not shown yet" if one.seen is None else "shows another price"


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


async def close(conn: AsyncConnection, number: int, at: datetime, **more: Any) -> None:
    """A publication is over: each price is right, or was given up."""
    await conn.execute(update(publication).where(publication.c.id == number).values(done_at=at, error="", **more))


async def next_run(it: Promotion, row: RowMapping, wrong: int, error: str, at: datetime) -> datetime:
    """A run is over with some not right: they are tried again after a pause; returns when."""
    await it.tx.conn.execute(
        update(publication)
        .where(publication.c.id == row["id"])
        .values(run=row["run"] + 1, wrong=wrong, error=error[:_ERROR_LENGTH])
    )
    then = at + it.policy.promotion.pause(row["run"])
    it.due(DUE + row["channel"], then)
    return then


def at_once(it: Promotion, channel: str, at: datetime) -> None:
    """The next run of a channel begins now."""
    if DUE + channel in it.row["dues"]:
        it.due(DUE + channel, min(at, datetime.fromisoformat(it.row["dues"][DUE + channel])))


async def waive(it: Promotion, row: RowMapping, at: datetime) -> int:
    """Give up what is not right at a channel; returns how many prices."""
    await close(it.tx.conn, row["id"], at, wrong=0)
    left = await it.tx.conn.execute(
        update(price_publication)
        .where(_OWN.publication_id == row["id"], _OWN.state == "pending")
        .values(state="waived")
    )
    it.drop_dues(DUE + row["channel"])
    return int(left.rowcount)

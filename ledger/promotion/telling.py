"""Conversations with a channel: what it is to be told now, under a number that rises, and what it showed.

Numbers keep whoever was cut off from undoing what was told since. Nothing of a conversation is remembered but what was
seen; what is wanted is worked out at each, and once more when it is recorded.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.promotion import ShelfPrice
from ledger.engine import Database
from ledger.promotion.prices import PriceKey, wanted_prices
from ledger.promotion.publishing import ERROR_LENGTH, Task
from ledger.tables import price_publication, publication
from ledger.transaction import Transaction

CHUNK = 500  # prices of one conversation
_OWN = price_publication.c


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
        return one.error[:ERROR_LENGTH]
    return "not shown yet" if one.seen is None else "shows another price"

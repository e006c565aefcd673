"""Prices that were right are read back once more, some time after a channel has shown them all: a worker that was cut
off may have told it a price of before since, and have died before it could say so.

What is found wrong is published, or taken back, once more by whoever talks to the channel: the publication is open
again, with its runs, its pauses and its case. A promotion that is over is reverting again until it is right.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select, text, update

from domain.messages import Message
from domain.promotion import FINAL, PRICES_DUE, PromotionState, ShelfPrice
from ledger import steps
from ledger.engine import Database
from ledger.promotion import publishing
from ledger.promotion.document import Promotion
from ledger.promotion.prices import PriceKey, prices_of_it, wanted_prices
from ledger.promotion.publishing import Task
from ledger.promotion.telling import CHUNK
from ledger.tables import journey, publication
from ledger.transaction import Transaction

# For so long nobody else takes up what one has begun to read back; then it counts as left undone.
LEASE = timedelta(minutes=10)


class Check(NamedTuple):
    """What one channel shows of one promotion is to be read back. `at`: the promotion's clock."""

    task: Task
    at: datetime


_TAKE = text(
    """
    UPDATE publication SET check_at = CAST(:at AS timestamptz) + CAST(:lease AS interval)
    WHERE id = (SELECT id FROM publication WHERE check_at <= CAST(:at AS timestamptz)
                ORDER BY check_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING journey_id, channel, id
    """
)


async def take(database: Database, at: datetime) -> Check | None:
    """The publication whose turn it is by the wall's clock; None where there is none."""

    async def work(tx: Transaction) -> Check | None:
        row = (await tx.conn.execute(_TAKE, {"at": at, "lease": LEASE})).first()
        if row is None:
            return None
        found = await tx.conn.execute(
            select(
                publication.c.phase, publication.c.run, journey.c.entity, journey.c.currency, journey.c.clock_offset_s
            )
            .join(journey, journey.c.id == publication.c.journey_id)
            .where(publication.c.id == row.id)
        )
        one = found.one()
        task = Task(row.id, row.journey_id, one.entity, one.currency, row.channel, one.phase, one.run)
        return Check(task, at + timedelta(seconds=one.clock_offset_s))

    return await database.write(work, actor="endcap", via="sweep")


# A price about which somebody is talking to the channel already, for whichever promotion, is left to them.
_NEXT = text(
    """
    SELECT p.location, p.sku, p.valid_from FROM price_publication p
    WHERE p.publication_id = :number AND p.state = 'right'
      AND (p.location, p.sku, p.valid_from) > (:location, :sku, CAST(:valid_from AS timestamptz))
      AND NOT EXISTS (SELECT FROM publication u JOIN price_publication o ON o.publication_id = u.id
                      WHERE u.channel = :channel AND u.done_at IS NULL AND o.location = p.location AND o.sku = p.sku
                        AND o.state = 'pending')
    ORDER BY p.location, p.sku, p.valid_from LIMIT :limit
    """
)
_FIRST = PriceKey("", "", datetime.fromisoformat("1970-01-01T00:00:00+00:00"))


class Page(NamedTuple):
    """Some of the prices that were right; by each, what the channel is to show from `seen_at` on."""

    wanted: Mapping[PriceKey, ShelfPrice]
    seen_at: Mapping[PriceKey, PriceKey]
    last: PriceKey


async def page(database: Database, check: Check, after: PriceKey | None) -> Page | None:
    """The next of them; None where there are no more. One that holds already is asked for as it is shown now."""
    task = check.task
    async with database.read() as conn:
        last = after or _FIRST
        given = {"number": task.number, "channel": task.channel, "limit": CHUNK, **last._asdict()}
        keys = [PriceKey(*row) for row in await conn.execute(_NEXT, given)]
        if not keys:
            return None
        seen_at = {key: key._replace(valid_from=max(key.valid_from, check.at)) for key in keys}
        wanted = await wanted_prices(conn, task.entity, task.channel, sorted(set(seen_at.values())))
    return Page({key: wanted[at] for key, at in seen_at.items() if at in wanted}, seen_at, keys[-1])


class Wrong(NamedTuple):
    """A price that was right and is not shown any more; `seen` None: the channel shows none."""

    key: PriceKey
    seen: ShelfPrice | None


async def ours(database: Database, check: Check, some: Page, seen: Mapping[PriceKey, ShelfPrice]) -> Sequence[Wrong]:
    """What of a page is to be put right. While a promotion runs, whatever is not shown as wanted; once it is over, what
    still shows its price: another one may have been set by somebody else since, and is left alone.
    """
    wrong = [Wrong(key, seen.get(some.seen_at[key])) for key, price in some.wanted.items()
             if seen.get(some.seen_at[key]) != price]  # fmt: skip
    if check.task.phase == "publish" or not wrong:
        return wrong
    task = check.task
    async with database.read() as conn:
        its = await prices_of_it(
            conn, task.journey_id, task.entity, task.channel, [some.seen_at[one.key] for one in wrong]
        )
    return [one for one in wrong if one.seen in its[some.seen_at[one.key]]]


_AGAIN = text(
    """
    UPDATE price_publication p SET state = 'pending', seen_minor = t.seen, seen_deal = t.deal,
        error = 'another price is shown again'
    FROM unnest(CAST(:locations AS text[]), CAST(:skus AS text[]), CAST(:instants AS timestamptz[]),
        CAST(:seen AS bigint[]), CAST(:deals AS text[])) AS t (location, sku, valid_from, seen, deal)
    WHERE p.publication_id = :number AND p.location = t.location AND p.sku = t.sku AND p.valid_from = t.valid_from
      AND p.state = 'right'
    """
)


async def conclude(database: Database, check: Check, wrong: Sequence[Wrong]) -> int:
    """It was read back: what is wrong is told again, from now on; returns how many prices. Where somebody has begun to
    talk about it meanwhile, or it is wanted no more, nothing follows.
    """
    task = check.task

    async def work(tx: Transaction) -> int:
        row = await tx.lock_journey(task.journey_id)
        it = await Promotion.load_with_cases(tx, row)
        found = (
            (await tx.conn.execute(select(publication).where(publication.c.id == task.number).with_for_update()))
            .mappings()
            .one()
        )
        if found["done_at"] is None or found["check_at"] is None or found["run"] != task.run:
            return 0
        checks = found["checks"] + 1
        again = await _open_again(it, found["run"], task, wrong, checks) if wrong else 0
        if not again:
            await publishing.read_back(it, task.number, checks)
        return again

    return await database.write(work, actor="endcap", via="sweep")


async def _open_again(it: Promotion, run: int, task: Task, wrong: Sequence[Wrong], checks: int) -> int:
    conn, at = it.tx.conn, await it.tx.now(it.row["clock_offset_s"])
    changed = await conn.execute(
        _AGAIN,
        {
            "number": task.number,
            "locations": [one.key.location for one in wrong],
            "skus": [one.key.sku for one in wrong],
            "instants": [one.key.valid_from for one in wrong],
            "seen": [one.seen.price_minor if one.seen else None for one in wrong],
            "deals": [one.seen.deal if one.seen else "" for one in wrong],
        },
    )
    count = int(changed.rowcount)
    if not count:
        return 0
    await conn.execute(
        update(publication)
        .where(publication.c.id == task.number)
        .values(done_at=None, run=run + 1, wrong=count, check_at=None, checks=checks)
    )
    if it.state in FINAL:
        it.row["detail"] |= {"after": it.state.value}
        it.go(PromotionState.REVERTING)
    it.due(PRICES_DUE + task.channel, at)
    what = "again, which are taken back" if task.phase == "revert" else "other than they were, which are sent again"
    told = f"{task.channel} was read back: it shows {count:,} {'price' if count == 1 else 'prices'} {what}."
    await steps.note(it.tx, it.id, "read_back", f"{task.number}:{checks}", told, at)
    await it.save(at)
    it.tx.tell(it.id, Message.PROMOTION_CHANGED)
    return count

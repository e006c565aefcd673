"""Events that came before their order: applied when it comes, and swept when nobody was there to apply them."""

from typing import NamedTuple

from sqlalchemy import RowMapping, any_, exists, literal, or_, select, text

from domain.events import EventOutcome
from ledger.engine import Database
from ledger.facts.replays import KEPT, take_again
from ledger.tables import api_key, event_inbox

PAGE_ROWS = 200


async def apply_parked(database: Database, order_source: str, order_key: str, about: str) -> list[EventOutcome]:
    """An order has come: take the events that waited for it, in the order in which they happened.

    One that its order does not allow is set aside with its reason; one of a source that may not speak about this order
    goes on waiting. Neither concerns whoever placed the order.
    """
    may_speak = exists().where(
        api_key.c.source == event_inbox.c.source, literal(order_source) == any_(api_key.c.sources)
    )
    async with database.read() as conn:
        rows = await conn.execute(
            select(*KEPT)
            .where(
                event_inbox.c.outcome == "parked",
                event_inbox.c.waits_for.in_((order_key, about)),
                or_(event_inbox.c.source == order_source, may_speak),
            )
            .order_by(event_inbox.c.occurred_at, event_inbox.c.recorded_at, event_inbox.c.event_id)
        )
        found = rows.mappings().all()
    return [await take_again(database, row, actor=f"parked:{row['source']}") for row in found]


class _Mark(NamedTuple):
    """How far the sweep has come; what stays parked is passed over."""

    waits_for: str = ""
    source: str = ""
    event_id: str = ""


# An order whose key is waited for, of a source that the event's own source may speak about.
_READY = text(
    """
    WITH waiting AS (
        SELECT i.* FROM event_inbox i
        WHERE i.outcome = 'parked' AND (i.waits_for, i.source, i.event_id) > (:waits_for, :source, :event_id)
        ORDER BY i.waits_for, i.source, i.event_id LIMIT :limit
    )
    SELECT w.*, EXISTS (
        SELECT 1 FROM journey j WHERE j.id = w.waits_for
        UNION ALL SELECT 1 FROM journey j WHERE j.key = w.waits_for AND (j.source = w.source OR j.source IN (
            SELECT unnest(k.sources) FROM api_key k WHERE k.source = w.source))
    ) AS ready FROM waiting w ORDER BY w.waits_for, w.source, w.event_id
    """
)


async def apply_all_parked(database: Database) -> int:
    """Take every parked event whose order is here; returns how many found their order.

    The process that recorded the order may have ended before it applied them, or one of them was parked in the moment
    in which the order came.
    """
    applied, mark = 0, _Mark()
    while True:
        async with database.read() as conn:
            found = await conn.execute(_READY, {**mark._asdict(), "limit": PAGE_ROWS})
            rows = found.mappings().all()
        for row in sorted((row for row in rows if row["ready"]), key=_as_it_happened):
            outcome = await take_again(database, row, actor=f"parked:{row['source']}")
            applied += outcome.outcome != "parked"
        if len(rows) < PAGE_ROWS:
            return applied
        mark = _Mark(rows[-1]["waits_for"], rows[-1]["source"], rows[-1]["event_id"])


def _as_it_happened(row: RowMapping) -> tuple[object, ...]:
    return row["occurred_at"], row["recorded_at"], row["event_id"]

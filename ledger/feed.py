"""How far each store's till has told what it sold: what a count waits for before it is posted."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.tables import feed_mark

# A mark may lag behind its feed by this much: then most batches only read it, and tills do not wait for each other.
LAG = timedelta(minutes=1)
# A till that has said nothing for so long before a count is no feed that it could wait for.
SILENT_FOR = timedelta(days=7)

_KNOWN = select(feed_mark.c.location, feed_mark.c.told_until)
_MARK = text(
    "INSERT INTO feed_mark (location, told_until)"
    " SELECT location, least(told_until, now())"  # a till whose clock is ahead has not told the future
    " FROM unnest(CAST(:locations AS text[]), CAST(:ats AS timestamptz[])) AS w(location, told_until)"
    " ORDER BY location ON CONFLICT (location)"
    " DO UPDATE SET told_until = greatest(feed_mark.told_until, excluded.told_until)"
)


async def mark(conn: AsyncConnection, told: Mapping[str, datetime]) -> None:
    """Tills have told what they sold until these instants, by location. The last rows that a transaction locks before
    its messages; sorted.
    """
    if not told:
        return
    rows = await conn.execute(_KNOWN.where(feed_mark.c.location.in_(sorted(told))))
    known = {row.location: row.told_until for row in rows}
    ahead = {code: at for code, at in sorted(told.items()) if code not in known or at - known[code] >= LAG}
    if ahead:
        await conn.execute(_MARK, {"locations": list(ahead), "ats": list(ahead.values())})


async def has_passed(conn: AsyncConnection, location: str, instant: datetime) -> bool:
    """Whether the till of a place has told everything until `instant`, as far as it tells things in order.

    True for a place whose till has never spoken, or not in the week before: there is nothing to wait for.
    """
    told = (await conn.execute(_KNOWN.where(feed_mark.c.location == location))).first()
    if told is None or told.told_until <= instant - SILENT_FOR:
        return True
    return bool(told.told_until >= instant)


async def told_until(conn: AsyncConnection, location: str) -> str | None:
    """Until when the till of a place has told what it sold, as RFC 3339; None for one that has never spoken."""
    told = (await conn.execute(_KNOWN.where(feed_mark.c.location == location))).first()
    return None if told is None else str(told.told_until.isoformat())

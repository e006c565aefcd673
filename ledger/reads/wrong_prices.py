"""The prices of a promotion that a channel does not show as it should: of a million there may be some ten thousand."""

from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Malformed
from ledger.reads.paging import DEFAULT_LIMIT, Page, check_limit, fingerprint, read_cursor, write_cursor
from ledger.tables import item, price_publication, publication

_PARTED = "\x1f"  # stands in no code


class WrongPrice(BaseModel):
    """A price that a channel does not show as it should; None: it shows none."""

    channel: str
    phase: str
    location: str
    sku: str
    name: str
    valid_from: datetime
    wanted_minor: int | None
    seen_minor: int | None
    attempts: int
    error: str


async def wrong_prices(
    conn: AsyncConnection, key: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
) -> Page[WrongPrice]:
    """Prices of a promotion that were tried and are not right yet, or were given up, by channel, place and item.

    Raises `Malformed` for a cursor of another list or a limit out of bounds.
    """
    own, mark = price_publication.c, fingerprint("wrong_prices", {"promotion": key})
    after = read_cursor(mark, cursor, value_type=str, id_type=int)
    order = (publication.c.id, own.location, own.sku, own.valid_from)
    query = (
        select(
            publication.c.id, publication.c.channel, publication.c.phase, own.location, own.sku, item.c.name,
            own.valid_from, own.wanted_minor, own.seen_minor, own.attempts, own.error,
        )
        .join(publication, publication.c.id == own.publication_id)
        .join(item, item.c.sku == own.sku)
        .where(publication.c.journey_id == key, own.state.in_(("pending", "waived")), own.attempts > 0)
        .order_by(*order)
        .limit(check_limit(limit) + 1)
    )  # fmt: skip
    if after is not None:
        query = query.where(tuple_(*order) > tuple_(after.id, *_read(str(after.value))))
    rows = (await conn.execute(query)).mappings().all()
    items = [WrongPrice.model_validate(dict(row)) for row in rows[:limit]]
    if len(rows) <= limit:
        return Page(items=items)
    last = rows[limit - 1]
    value = _PARTED.join((last["location"], last["sku"], last["valid_from"].isoformat()))
    return Page(items=items, next=write_cursor(mark, value, last["id"]))


def _read(value: str) -> tuple[str, str, datetime]:
    try:
        location, sku, instant = value.split(_PARTED)
        return location, sku, datetime.fromisoformat(instant)
    except ValueError as error:
        raise Malformed("The cursor does not belong to this list.", pointer="/query/cursor") from error

"""Photos of returned goods: that one exists, whose it is and where it is kept. The picture itself is stored first."""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Malformed
from domain.people import Person
from domain.photos import Photo
from ledger import steps
from ledger.engine import Database
from ledger.tables import photo
from ledger.transaction import Transaction

MOST_OF_STAFF = 60
MOST_OF_CUSTOMER = 12
PORTION = 200


def said(count: int) -> str:
    """`2 photos added.`"""
    return f"{count} photo{'' if count == 1 else 's'} added."


class Stored(NamedTuple):
    """A picture that was put into the store of photos under `key`; `line_id` is what it shows, where that is known."""

    key: str
    picture: Photo
    line_id: str | None = None


async def add(database: Database, person: Person, journey_id: str, photos: Sequence[Stored]) -> int:
    """Write down what somebody of the store has taken; returns how many are new. Raises `NotFound`, `Malformed`."""

    async def work(tx: Transaction) -> int:
        row = await tx.lock_journey(journey_id)
        added = await keep(tx, journey_id, photos, person_id=person.id)
        if added:
            at = await tx.now(row["clock_offset_s"])
            await steps.note(tx, journey_id, "photos", photos[0].key, said(added), at)
        return added

    return await database.write(work, actor=person.id, via="console")


async def keep(
    tx: Transaction,
    journey_id: str,
    photos: Sequence[Stored],
    *,
    person_id: str | None = None,
    customer_id: str | None = None,
) -> int:
    """Write down photos of a journey that is locked; the same one again is no second. Returns how many are new.

    Raises `Malformed` for more than may be added to one journey.
    """
    most = MOST_OF_STAFF if customer_id is None else MOST_OF_CUSTOMER
    whose: ColumnElement[bool] = photo.c.customer_id.is_not_distinct_from(customer_id)
    added = 0
    for one in photos:
        row: dict[str, Any] = {
            "journey_id": journey_id,
            "line_id": one.line_id,
            "storage_key": one.key,
            "media_type": one.picture.media_type,
            "size_bytes": len(one.picture.content),
            "sha256": hashlib.sha256(one.picture.content).digest(),
            "person_id": person_id,
            "customer_id": customer_id,
        }
        made = await tx.conn.execute(insert(photo).values(row).on_conflict_do_nothing().returning(photo.c.id))
        added += made.scalar() is not None
    count = select(func.count()).select_from(photo).where(photo.c.journey_id == journey_id, whose)
    if (await tx.conn.execute(count)).scalar_one() > most:
        raise Malformed(f"A return has {most} photos at most, and these would be more. Send fewer.")
    return added


async def written(conn: AsyncConnection, keys: Collection[str]) -> set[str]:
    """Those of these keys under which a photo is known."""
    found = await conn.execute(select(photo.c.storage_key).where(photo.c.storage_key.in_(sorted(keys))))
    return set(found.scalars())


async def sweep(database: Database, remove: Callable[[str], Awaitable[None]]) -> int:
    """Remove what customers have sent who were forgotten, from where it lies by `remove`, then its rows; returns how
    many. What cannot be removed now is removed by a later sweep.
    """
    async with database.read() as conn:
        query = select(photo.c.id, photo.c.storage_key).where(photo.c.forgotten_at.is_not(None)).limit(PORTION)
        found = list(await conn.execute(query))
    for row in found:
        await remove(row.storage_key)
    if not found:
        return 0

    async def work(tx: Transaction) -> int:
        gone = await tx.conn.execute(delete(photo).where(photo.c.id.in_([row.id for row in found])))
        return gone.rowcount

    return await database.write(work, actor="endcap", via="sweep")

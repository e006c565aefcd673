"""Reads of photos: which there are of a journey, and where the picture of one lies, for whoever may see it."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from ledger.reads.access import visible
from ledger.tables import journey, person, photo


class PhotoView(NamedTuple):
    """A photo; `by_name` is who took it, None for the customer."""

    id: int
    line_id: str | None
    by_name: str | None
    at: datetime


class Picture(NamedTuple):
    """Where a photo lies, and what it is."""

    id: int
    storage_key: str
    media_type: str


async def photos_of(conn: AsyncConnection, journey_id: str, *, customer_id: str | None = None) -> list[PhotoView]:
    """The photos of a journey in the order in which they came; with `customer_id` only those of this customer.

    Whether the reader may see the journey is the caller's to know.
    """
    query = (
        select(photo.c.id, photo.c.line_id, person.c.name, photo.c.recorded_at)
        .join(person, person.c.id == photo.c.person_id, isouter=True)
        .where(photo.c.journey_id == journey_id, photo.c.forgotten_at.is_(None))
        .order_by(photo.c.id)
    )
    if customer_id is not None:
        query = query.where(photo.c.customer_id == customer_id)
    return [PhotoView(*row) for row in await conn.execute(query)]


async def picture(conn: AsyncConnection, viewer: Person, photo_id: int) -> Picture:
    """Raises `NotFound` for a photo of a journey that the viewer may not see."""
    query = (
        select(photo.c.id, photo.c.storage_key, photo.c.media_type)
        .join(journey, journey.c.id == photo.c.journey_id)
        .where(photo.c.id == photo_id, photo.c.forgotten_at.is_(None), visible(journey.c, viewer))
    )
    return _found((await conn.execute(query)).first(), photo_id)


async def customers_picture(conn: AsyncConnection, journey_id: str, customer_id: str, photo_id: int) -> Picture:
    """The same of a photo that the customer has sent of this journey. Raises `NotFound`."""
    query = select(photo.c.id, photo.c.storage_key, photo.c.media_type).where(
        photo.c.id == photo_id,
        photo.c.journey_id == journey_id,
        photo.c.customer_id == customer_id,
        photo.c.forgotten_at.is_(None),
    )
    return _found((await conn.execute(query)).first(), photo_id)


def _found(row: object, photo_id: int) -> Picture:
    if row is None:
        raise NotFound(f"There is no photo {photo_id} that you may see.")
    return Picture(*row)  # type: ignore[misc]

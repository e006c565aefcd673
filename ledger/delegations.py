"""Acting in somebody's place: who has delegated to whom, and when. Both may act; what was given is never passed on.

Dates run on the real clock, whatever the demo has moved a journey's on.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger import people
from ledger.tables import delegation


def _holds(at: ColumnElement[datetime] | datetime) -> ColumnElement[bool]:
    return and_(delegation.c.starts_at <= at, delegation.c.ends_at > at)


async def principals(conn: AsyncConnection, person_id: str, at: ColumnElement[datetime] | datetime) -> list[Person]:
    """Active people in whose place this person may act at that instant, by id."""
    rows = await conn.execute(
        select(delegation.c.from_person)
        .where(delegation.c.to_person == person_id, _holds(at))
        .distinct()
        .order_by(delegation.c.from_person)
    )
    found = [await people.person_by_id(conn, one) for one in rows.scalars().all()]
    return [one for one in found if one is not None]


async def delegates(
    conn: AsyncConnection, of: Collection[str], at: ColumnElement[datetime] | datetime
) -> dict[str, list[Person]]:
    """By the id of each who has delegated: the active people who may act for them at that instant."""
    rows = await conn.execute(
        select(delegation.c.from_person, delegation.c.to_person)
        .where(delegation.c.from_person.in_(sorted(of)), _holds(at))
        .distinct()
        .order_by(delegation.c.from_person, delegation.c.to_person)
    )
    found: dict[str, list[Person]] = {}
    for giver, taker in rows.all():
        one = await people.person_by_id(conn, taker)
        if one is not None:
            found.setdefault(giver, []).append(one)
    return found

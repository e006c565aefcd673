"""Reads of what transfers bring for an order, for the people who work on either."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.reads.access import visible
from ledger.tables import awaited, item, journey, location, transfer


class Coming(NamedTuple):
    """Units of an item that a transfer has still to bring for an order."""

    transfer_id: str
    transfer_key: str
    state: str
    source: str
    item: str
    units: int


async def coming_to(conn: AsyncConnection, order_id: str) -> list[Coming]:
    """What is still to come for an order, which the caller may see; by transfer."""
    rows = await conn.execute(
        select(journey.c.id, journey.c.key, journey.c.state, location.c.name, item.c.name, awaited.c.quantity)
        .join(journey, journey.c.id == awaited.c.transfer_id)
        .join(transfer, transfer.c.journey_id == awaited.c.transfer_id)
        .join(location, location.c.code == transfer.c.from_location)
        .join(item, item.c.sku == awaited.c.sku)
        .where(awaited.c.journey_id == order_id, awaited.c.quantity > 0)
        .order_by(awaited.c.id)
    )
    return [Coming(*row) for row in rows]


async def brought_for(conn: AsyncConnection, viewer: Person | None, transfer_id: str) -> str | None:
    """The order that a transfer was begun for; None where there is none, or where the viewer does not see it."""
    wanted = (
        select(journey.c.id)
        .join(awaited, awaited.c.journey_id == journey.c.id)
        .where(awaited.c.transfer_id == transfer_id, visible(journey.c, viewer))
        .limit(1)
    )
    found: str | None = (await conn.execute(wanted)).scalar()
    return found

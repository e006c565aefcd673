"""A return on the pages that all journeys share."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from ledger.reads.journeys import JourneyDetail, journey_customer
from ledger.reads.returns import return_view
from ledger.reads.store import StorePlace
from web.journeys.parts import Beside, Due, JourneyParts, NextTask, Tile

DUES = {
    "goods_reminder": Due("Reminder", "the customer is reminded by mail to send the goods"),
    "goods": Due("Goods have come", "the return is closed as not received; a case where it was refunded before"),
    "inspection": Due("Inspected", "a case if nobody has looked at the goods by then"),
    "refund_confirm": Due("Refund confirmed", "a case if the source has not confirmed the refund by then"),
}


async def beside(conn: AsyncConnection, person: Person, journey_id: str) -> Beside | None:
    try:
        found = await return_view(conn, person, journey_id)
    except NotFound:
        return None
    return Beside({"returned": found}, frozenset(line.sku for line in found.lines))


async def details(conn: AsyncConnection, person: Person, journey: JourneyDetail) -> Mapping[str, Any]:
    return {
        "returned": await return_view(conn, person, journey.id),
        "customer": await journey_customer(conn, person, journey.id),
    }


async def tiles(_conn: AsyncConnection, _place: StorePlace) -> list[Tile]:
    """None: inspections are reported by systems."""
    return []


async def next_tasks(_conn: AsyncConnection, _place: StorePlace) -> list[NextTask]:
    """None: inspections are reported by systems."""
    return []


PARTS = JourneyParts(
    kind="returns", beside=beside, tiles=tiles, next_tasks=next_tasks, dues=DUES, details=details
)  # fmt: skip

"""A store transfer on the pages that all journeys share."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from ledger.reads.journeys import JourneyDetail
from ledger.reads.store import StorePlace
from ledger.reads.transfers import to_receive, to_send, transfer_view
from web.journeys.parts import Beside, Due, JourneyParts, NextTask, Tile, Urgency
from web.pages import address

DUES = {
    "ship": Due("Sent", "a case if it has not left the source by then"),
    "receipt": Due("Received", "a case if it has not come by then"),
    "await": Due("The rest has come", "what has not come by then is asked about again"),
    "recount": Due("Counted", "what does not add up is asked about again, with what was counted"),
}


async def beside(conn: AsyncConnection, person: Person, journey_id: str) -> Beside | None:
    try:
        transfer = await transfer_view(conn, person, journey_id)
    except NotFound:
        return None
    skus = {line.sku for line in transfer.lines} | {extra.sku for extra in transfer.extras}
    return Beside({"transfer": transfer}, frozenset(skus))


async def details(conn: AsyncConnection, person: Person, journey: JourneyDetail) -> Mapping[str, Any]:
    return {"transfer": await transfer_view(conn, person, journey.id)}


async def tiles(conn: AsyncConnection, place: StorePlace) -> list[Tile]:
    """What a store sends and receives."""
    here = address("/console/journeys", {"kind": "transfer", "location": place.code})
    on_the_way = address("/console/journeys", {"kind": "transfer", "state": "in_transit,partially_received"})
    return [
        Tile(Urgency.SEND, "Send", await to_send(conn, place.code), here, "transfers to other places"),
        Tile(Urgency.RECEIVE, "Receive", await to_receive(conn, place.code), on_the_way, "transfers on their way here"),
    ]


async def next_tasks(_conn: AsyncConnection, _place: StorePlace) -> list[NextTask]:
    """None: its tiles say how much waits."""
    return []


PARTS = JourneyParts(
    kind="transfer", beside=beside, tiles=tiles, next_tasks=next_tasks, dues=DUES, details=details
)  # fmt: skip

"""A store transfer on the pages that all journeys share."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from domain.transfer import BEFORE_APPROVAL, ON_THE_WAY, TO_BE_SHIPPED
from domain.words import units
from ledger.reads.coming import brought_for
from ledger.reads.dock import to_receive, to_send
from ledger.reads.journeys import JourneyDetail
from ledger.reads.places import Place, all_places, item_names
from ledger.reads.store import StorePlace
from ledger.reads.transfers import transfer_view
from web.journeys.parts import Beside, Due, JourneyParts, NextTask, Tile, Urgency
from web.pages import path

DUES = {
    "ship": Due("Sent", "a case if it has not left the source by then"),
    "receipt": Due("Received", "a case if it has not come by then"),
    "await": Due("The rest has come", "what has not come by then is asked about again"),
    "recount": Due("Counted", "what does not add up is asked about again, with what was counted"),
}


# Quantities of a line; what is zero on every line is left out, but for what every transfer goes through.
COLUMNS = (
    ("ordered", "Wanted"),
    ("reserved", "Reserved"),
    ("shipped", "Shipped"),
    ("in_transit", "On its way"),
    ("received", "Received"),
    ("damaged", "Damaged"),
    ("settled", "Settled"),
    ("cancelled", "Not sent"),
)
USUAL = ("ordered", "shipped", "in_transit", "received")


async def beside(conn: AsyncConnection, person: Person, journey_id: str) -> Beside | None:
    try:
        transfer = await transfer_view(conn, person, journey_id)
    except NotFound:
        return None
    skus = {line.sku for line in transfer.lines} | {extra.sku for extra in transfer.extras}
    return Beside({"transfer": transfer}, frozenset(skus))


async def details(conn: AsyncConnection, person: Person, journey: JourneyDetail) -> Mapping[str, Any]:
    transfer = await transfer_view(conn, person, journey.id)
    places = await all_places(conn)
    skus = {line.sku for line in transfer.lines} | {extra.sku for extra in transfer.extras}
    has_left = transfer.state in ON_THE_WAY
    open_to_it = has_left or transfer.state in BEFORE_APPROVAL | TO_BE_SHIPPED
    may = may_act(person, [places.get(transfer.from_), places.get(transfer.to)])
    return {
        "transfer": transfer,
        "names": await item_names(conn, skus),
        "columns": [one for one in COLUMNS if one[0] in USUAL or any(getattr(line, one[0]) for line in transfer.lines)],
        "brought_for": await brought_for(conn, person, journey.id),
        "has_left": has_left,
        "may_change": may and transfer.state in BEFORE_APPROVAL and not journey.suspended,
        "may_cancel": open_to_it and may and not journey.suspended,
    }


def may_act(person: Person, ends: Sequence[Place | None]) -> bool:
    """Whether somebody may ask for a transfer between these places, and call it off: who decides at either of them."""
    return any(one is not None and person.may_decide(one.entity, one.region, one.code) for one in ends)


async def tiles(conn: AsyncConnection, place: StorePlace) -> list[Tile]:
    """What a store sends and receives."""
    here = f"/store/{path(place.code)}"
    sends, receipts = await to_send(conn, place.code), await to_receive(conn, place.code)
    return [
        Tile(Urgency.SEND, "Send", len(sends), f"{here}/send", "transfers to other places"),
        Tile(Urgency.RECEIVE, "Receive", len(receipts), f"{here}/receive", "transfers on their way here"),
    ]


async def next_tasks(conn: AsyncConnection, place: StorePlace) -> list[NextTask]:
    """What is on its way here and due first, and what is to be sent first."""
    here = f"/store/{path(place.code)}"
    receipts = [
        NextTask(
            Urgency.RECEIVE,
            f"Next: receive transfer {one.key}",
            f"{units(one.units)} from {one.other}",
            f"{here}/receive/{path(one.journey_id)}",
            one.now,
            "Receive",
            one.due_at,
        )
        for one in (await to_receive(conn, place.code))[:1]
    ]
    sends = [
        NextTask(
            Urgency.SEND,
            f"Next: send transfer {one.key}",
            f"{units(one.units)} to {one.other}",
            f"{here}/send/{path(one.journey_id)}",
            one.now,
            "Send",
            one.due_at,
        )
        for one in (await to_send(conn, place.code))[:1]
    ]
    return [*receipts, *sends]


PARTS = JourneyParts(
    kind="transfer", beside=beside, tiles=tiles, next_tasks=next_tasks, dues=DUES, details=details
)  # fmt: skip

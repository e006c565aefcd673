"""A return on the pages that all journeys share."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from domain.words import units
from ledger.reads.counter import awaited
from ledger.reads.exchanges import exchange_panel
from ledger.reads.journeys import JourneyDetail, journey_customer
from ledger.reads.overrides import reasons_of
from ledger.reads.photos import photos_of
from ledger.reads.returns import return_view, to_inspect
from ledger.reads.returns_by_link import said_of
from ledger.reads.store import StorePlace
from web.journeys.parts import Beside, Due, JourneyParts, NextTask, Tile, Urgency
from web.pages import path

DUES = {
    "goods_reminder": Due("Reminder", "the customer is reminded by mail to send the goods"),
    "goods": Due("Goods have come", "the return is closed as not received; a case where it was refunded before"),
    "inspection": Due("Inspected", "a case if nobody has looked at the goods by then"),
    "answer_reminder": Due("Reminder of the question", "the customer is reminded by mail to answer"),
    "answer": Due("Customer's answer", "without one nothing is charged, and what comes back is refunded"),
    "exchange": Due("Replacement placed", "if its order was not placed by then, what comes back is refunded"),
    "refund_confirm": Due("Refund confirmed", "a case if the source has not confirmed the refund by then"),
}


async def beside(conn: AsyncConnection, person: Person, journey_id: str) -> Beside | None:
    try:
        found = await return_view(conn, person, journey_id)
    except NotFound:
        return None
    words = {"said": await said_of(conn, journey_id), "photos": await photos_of(conn, journey_id)}
    return Beside({"returned": found, **words}, frozenset(line.sku for line in found.lines))


async def details(conn: AsyncConnection, person: Person, journey: JourneyDetail) -> Mapping[str, Any]:
    found = await return_view(conn, person, journey.id)
    return {
        "returned": found,
        "swap": await exchange_panel(conn, person, journey.id) if found.exchange is not None else None,
        "customer": await journey_customer(conn, person, journey.id),
        "photos": await photos_of(conn, journey.id),
        "said": await said_of(conn, journey.id),
        "override_reasons": await reasons_of(conn, journey.id),
        "may_ask": may_ask(person, journey),
    }


def may_ask(person: Person, journey: JourneyDetail) -> bool:
    """Whether somebody may ask to override what was refused: those who decide there, and the people of the store."""
    where = (journey.entity, journey.region, journey.location)
    return person.may_decide(*where) or person.may_handle(*where)


async def tiles(conn: AsyncConnection, place: StorePlace) -> list[Tile]:
    found = await to_inspect(conn, place.code)
    href = f"/store/{path(place.code)}/inspect"
    coming = await awaited(conn, place)
    back = f"/store/{path(place.code)}/returns"
    return [
        Tile(Urgency.TAKE_BACK, "Returns", len(coming), back, "what customers bring back or send"),
        Tile(Urgency.INSPECT, "Inspect", len(found), href, "returned goods that nobody can buy yet"),
    ]


async def next_tasks(conn: AsyncConnection, place: StorePlace) -> list[NextTask]:
    """The return whose goods are to be inspected first."""
    return [
        NextTask(
            Urgency.INSPECT,
            f"Next: inspect return {one.key}",
            f"{units(one.units)} came back",
            f"/store/{path(place.code)}/inspect/{path(one.journey_id)}",
            one.now,
            "Inspect",
            one.due_at,
        )
        for one in (await to_inspect(conn, place.code))[:1]
    ]


PARTS = JourneyParts(
    kind="returns", beside=beside, tiles=tiles, next_tasks=next_tasks, dues=DUES, details=details
)  # fmt: skip

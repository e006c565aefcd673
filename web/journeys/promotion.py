"""A promotion on the pages that all journeys share."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import PROMOTING_ROLES, Person
from domain.promotion import in_words
from domain.promotions import PromotionView
from ledger.reads.funding import paid_for
from ledger.reads.journeys import JourneyDetail
from ledger.reads.looks import latest_look
from ledger.reads.places import Place, all_places, item_names
from ledger.reads.promotions import promotion_view
from ledger.reads.store import StorePlace
from ledger.reads.wrong_prices import wrong_prices
from web import line_chart
from web.journeys.parts import Beside, Due, JourneyParts, NextTask, Tile

SHOWN = 50  # lines, and places of a channel, on the page; all of them are in files
DUES = {
    "lapse": Due("Lapses", "a draft that nobody has submitted by its end is cancelled"),
    "publish": Due("Prices go out", "every channel is told of its prices, and they are read back"),
    "start": Due("Begins", "it runs; one that not everybody has agreed to by then is a draft again"),
    "end": Due("Ends", "every channel is told of the prices that are right by then"),
    "prices": Due("Channel tried again", "prices that are not right yet are looked at, and sent again"),
}


async def beside(conn: AsyncConnection, person: Person, journey_id: str) -> Beside | None:
    try:
        found = await promotion_view(conn, person, journey_id)
    except NotFound:
        return None
    return Beside({"promotion": found, "offer": in_words(found.offer)})


async def details(conn: AsyncConnection, person: Person, journey: JourneyDetail) -> Mapping[str, Any]:
    found = await promotion_view(conn, person, journey.id)
    wrong = await wrong_prices(conn, journey.id)
    lines = found.lines[:SHOWN]
    channels: dict[str, list[str]] = {}
    for one in found.places:
        channels.setdefault(one.channel, []).append(one.location)
    looked = await latest_look(conn, person, journey.id)
    return {
        "looked": looked,
        "look_chart": line_chart.lines("Units sold, and forecast", looked.course) if looked else None,
        "promotion": found,
        "offer": in_words(found.offer),
        "channels": channels,
        "shown": SHOWN,
        "lines": lines,
        "wrong": wrong.items,
        "more_wrong": wrong.next is not None,
        "names": await item_names(conn, {line.sku for line in lines if line.sku}),
        "funding": await paid_for(conn, person, found.entity, found.promotion_id),
        "may_change": _may_change(person, found, await all_places(conn)),
    }


def _may_change(person: Person, found: PromotionView, places: Mapping[str, Place]) -> bool:
    """Whether it is the person's to change, at all of its places."""
    codes = {one.location for one in found.places}
    return all(person.roles_at(found.entity, places[code].region, code) & PROMOTING_ROLES for code in codes)


async def tiles(conn: AsyncConnection, place: StorePlace) -> Sequence[Tile]:  # noqa: ARG001  prices are no store's work
    return ()


async def next_tasks(conn: AsyncConnection, place: StorePlace) -> Sequence[NextTask]:  # noqa: ARG001
    return ()


PARTS = JourneyParts(
    kind="promotion", beside=beside, tiles=tiles, next_tasks=next_tasks, dues=DUES, details=details
)  # fmt: skip

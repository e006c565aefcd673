"""A cycle count on the pages that all journeys share."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from ledger.reads.counts import count_view, to_count
from ledger.reads.journeys import JourneyDetail
from ledger.reads.store import StorePlace
from web.journeys.parts import Beside, Due, JourneyParts, NextTask, Tile, Urgency
from web.pages import address

DUES = {
    "count": Due("Count handed in", "a case if it is not handed in by then; a routine one ends and comes back"),
    "search": Due("Found by then", "what the search for late facts did not explain is compared again"),
    "feed": Due("The till has told", "a case asks whether to post without it"),
}


async def beside(conn: AsyncConnection, person: Person, journey_id: str) -> Beside | None:
    try:
        count = await count_view(conn, person, journey_id)
    except NotFound:
        return None
    return Beside({"count": count}, frozenset(line.sku for line in count.lines))


async def details(_conn: AsyncConnection, _person: Person, _journey: JourneyDetail) -> Mapping[str, Any]:
    return {}


async def tiles(conn: AsyncConnection, place: StorePlace) -> list[Tile]:
    href = address("/console/counts", {"location": place.code})
    says = "shelves whose book is in doubt, and today's sheet"
    return [Tile(Urgency.COUNT, "Count", await to_count(conn, place.code), href, says)]


async def next_tasks(_conn: AsyncConnection, _place: StorePlace) -> list[NextTask]:
    """None: a count is done when there is time, and its tile says how many wait."""
    return []


PARTS = JourneyParts(
    kind="count", beside=beside, tiles=tiles, next_tasks=next_tasks, dues=DUES, details=details
)  # fmt: skip

"""The kinds of journeys on the pages that all of them share. A new kind adds its module, and its line here.

What a kind is called, and where its pages are, is `domain.journey_kinds`; docs/adding-a-journey.md has the whole list.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.ids import parse_journey_id
from domain.people import Person
from domain.words import words
from ledger.prepared import Ask
from ledger.reads.store import StorePlace
from ledger.transaction import journey_asked
from web.journeys import bopis, claim, count, promotion, returns, transfer
from web.journeys.parts import Beside, Due, JourneyParts, NextTask, Tile, Urgency

PARTS: dict[str, JourneyParts] = {
    parts.kind: parts
    for parts in (bopis.PARTS, claim.PARTS, count.PARTS, promotion.PARTS, returns.PARTS, transfer.PARTS)
}


def parts_of(journey_id: str) -> JourneyParts:
    """The parts of a journey's kind."""
    return PARTS[parse_journey_id(journey_id).kind]


def due_of(journey_id: str, name: str) -> Due:
    """A due instant of a journey in words; `pick_nag_2` is one of the dues `pick_nag`."""
    name = name.partition(":")[0]  # `prices:web` is one of the dues `prices`
    stem = name.removesuffix("_last").rstrip("_0123456789")
    return parts_of(journey_id).dues.get(stem, Due(words(stem), "it goes on"))


async def beside(conn: AsyncConnection, person: Person, journey_id: str | None) -> Beside | None:
    """What a case shows of its journey; None where it has none, or one that the person does not see."""
    return None if journey_id is None else await parts_of(journey_id).beside(conn, person, journey_id)


def journey_beside_asked(person: Person, case: Mapping[str, Any]) -> list[Ask]:
    """What is asked of the journey of a case (its row): the journey, and what `beside` asks as far as its kind says."""
    journey_id = case["journey_id"]
    if journey_id is None:
        return []
    return [journey_asked(journey_id), *parts_of(journey_id).beside_asked(person, journey_id)]


async def work_of(conn: AsyncConnection, place: StorePlace) -> tuple[Sequence[NextTask], Sequence[Tile]]:
    """What a store does next, and everything there is to do, the most urgent first. Whoever waits comes first, each by
    name; of everything else one thing.
    """
    tasks: list[NextTask] = []
    tiles: list[Tile] = []
    for parts in PARTS.values():
        tasks += await parts.next_tasks(conn, place)
        tiles += await parts.tiles(conn, place)
    tasks.sort(key=lambda task: task.urgency)
    waiting = [task for task in tasks if task.urgency == Urgency.SOMEBODY_WAITS]
    return waiting + tasks[len(waiting) :][:1], sorted(tiles, key=lambda tile: tile.urgency)

"""What somebody has decided just before the page that they look at, as it is recorded now."""

from datetime import datetime
from typing import NamedTuple

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from ledger.reads.case_history import DecisionRow
from ledger.reads.cases import case_detail
from ledger.reads.places import all_places


class Decided(NamedTuple):
    """A case, and the latest decision on it."""

    case_id: int
    title: str
    zone: str
    applies_at: datetime | None  # until then it can be undone
    decision: DecisionRow


async def decided_before(conn: AsyncConnection, person: Person, request: Request) -> Decided | None:
    """The case that the address names with `after`, if the latest decision on it is this person's."""
    text = request.query_params.get("after", "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        return None
    try:
        case = await case_detail(conn, person, int(text))
    except NotFound:
        return None
    latest = case.decisions[-1] if case.decisions else None
    if latest is None or latest.decided_by != person.id:
        return None
    places = await all_places(conn)
    zone = places[case.location].time_zone if case.location in places else "UTC"
    return Decided(case.id, case.title, zone, case.applies_at, latest)

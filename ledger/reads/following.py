"""Which case comes next: somebody works through a view of the queue, one case after the other."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import OPEN_STATES
from domain.people import Person
from ledger.reads.case_filter import CaseFilter
from ledger.reads.case_lists import SORTED_BY, list_queue
from ledger.reads.case_shapes import QueueCase
from ledger.reads.paging import fingerprint, write_cursor
from ledger.tables import case_file

LOOKED_AT = 100  # rows for one look
LOOKS = 10
PASSED_OVER = ("deciding", "waiting")
NOWHERE = "none"  # the place of a case without a clock


class Next(NamedTuple):
    """A case of a view, and its place there now."""

    id: int
    place: str


def place_in_view(one: QueueCase, filters: CaseFilter) -> str:
    """Where a case stands in the order of a view: it travels along, since what people do to the case moves it."""
    by = filters.sorted_by
    value = getattr(one, SORTED_BY[by])
    return NOWHERE if value is None else value.isoformat() if isinstance(value, datetime) else str(value)


async def next_case(
    conn: AsyncConnection, viewer: Person, filters: CaseFilter, case_id: int, place: str | None = None
) -> Next | None:
    """The first case behind `case_id` in this view that the viewer can work on now; None at its end.

    What somebody else has claimed, what is being applied and what was put aside is passed over, unless the view has
    such cases only. `case_id` itself need not be in the view (any more). `place` is where it stood when the view was
    looked at; without one, or with one that cannot be read, where it stands now.
    """
    where = _behind(filters, case_id, place) or await _behind_now(conn, filters, case_id)
    for _ in range(LOOKS if where else 0):
        found, where = await list_queue(conn, viewer, filters, cursor=where, limit=LOOKED_AT)
        for one in found:
            if one.id != case_id and _can_be_worked_on(one, viewer, filters):
                return Next(one.id, place_in_view(one, filters))
        if where is None:
            return None
    return None


def _behind(filters: CaseFilter, case_id: int, place: str | None) -> str | None:
    """The cursor of the rows behind a place, or None for one that cannot be read."""
    if not place:
        return None
    value: Any = None
    try:
        if filters.sorted_by == "priority":
            value = int(place) if len(place) < 10 else None  # digits of a 32-bit number
        elif place != NOWHERE:
            value = datetime.fromisoformat(place).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return write_cursor(fingerprint("cases", filters.model_dump()), value, case_id)


async def _behind_now(conn: AsyncConnection, filters: CaseFilter, case_id: int) -> str | None:
    column = case_file.c[SORTED_BY[filters.sorted_by]]
    row: Any = (await conn.execute(select(column).where(case_file.c.id == case_id))).first()
    if row is None or (row[0] is None and filters.sorted_by != "due"):
        return None
    return write_cursor(fingerprint("cases", filters.model_dump()), row[0], case_id)


def _can_be_worked_on(one: QueueCase, viewer: Person, filters: CaseFilter) -> bool:
    wanted = set(filters.state.split(",")) if filters.state else set(OPEN_STATES)
    only_others = filters.waiting_for_approval or not wanted & {"open", "claimed"}
    if only_others or not viewer.may_decide(one.entity, one.region, one.location):
        return True
    return one.state not in PASSED_OVER and one.claimed_by in (None, viewer.id)

"""Which case comes next: somebody works through a view of the queue, one case after the other."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import OPEN_STATES
from domain.people import Person
from ledger.reads.case_filter import CaseFilter
from ledger.reads.cases import CaseSummary, list_cases
from ledger.reads.paging import fingerprint, write_cursor
from ledger.tables import case_file

LOOKED_AT = 100  # rows for one look
LOOKS = 10
PASSED_OVER = ("deciding", "waiting")
SORTED_BY = {"due": "next_due_at", "priority": "priority_score", "opened": "opened_at", "closed": "closed_at"}


async def next_case(conn: AsyncConnection, viewer: Person, filters: CaseFilter, case_id: int) -> int | None:
    """The first case behind `case_id` in this view that the viewer can work on now; None at its end.

    What somebody else has claimed, what is being applied and what was put aside is passed over, unless the view has
    such cases only. `case_id` itself need not be in the view (any more).
    """
    where = await _place_of(conn, filters, case_id)
    if where is None:
        return None
    for _ in range(LOOKS):
        found = await list_cases(conn, viewer, filters, cursor=where, limit=LOOKED_AT)
        for one in found.items:
            if one.id != case_id and _can_be_worked_on(one, viewer, filters):
                return one.id
        if found.next is None:
            return None
        where = found.next
    return None


async def _place_of(conn: AsyncConnection, filters: CaseFilter, case_id: int) -> str | None:
    """The cursor of the rows behind a case, in the order of the view."""
    column = case_file.c[SORTED_BY[filters.sorted_by]]
    row: Any = (await conn.execute(select(column).where(case_file.c.id == case_id))).first()
    if row is None or (row[0] is None and filters.sorted_by != "due"):
        return None
    return write_cursor(fingerprint("cases", filters.model_dump()), row[0], case_id)


def _can_be_worked_on(one: CaseSummary, viewer: Person, filters: CaseFilter) -> bool:
    wanted = set(filters.state.split(",")) if filters.state else set(OPEN_STATES)
    only_others = filters.waiting_for_approval or not wanted & {"open", "claimed"}
    if only_others or not viewer.may_decide(one.entity, one.region, one.location):
        return True
    return one.state not in PASSED_OVER and one.claimed_by in (None, viewer.id)

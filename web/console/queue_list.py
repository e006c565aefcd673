"""The list of a queue: the cases of one page, or those that a page shows already, with what stands in their rows."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.prepared import Ask, ahead
from ledger.reads.case_filter import CaseFilter, Named, named
from ledger.reads.case_lists import cases_again, list_queue
from ledger.reads.case_shapes import QueueCase
from ledger.reads.following import place_in_view
from ledger.reads.parents import members, members_asked
from ledger.reads.places import all_asked, all_places, item_names, names_asked
from web.console.queue_address import Wanted, filter_of
from web.pages import address

PAGE_ROWS = 50


class Looked(NamedTuple):
    """What an address means for who looks now: the cases that it wants, and what its text names."""

    wanted: Wanted
    filters: CaseFilter
    meant: Named
    now: datetime
    zone: str

    @property
    def tail(self) -> str:
        """The query of an address that looks at the same cases, from their beginning."""
        return urlencode({"tab": self.wanted.tab, **self.wanted.given})


class Listed(NamedTuple):
    """The rows of a page. `left` are those that a refresh keeps although the filters do not want them any more."""

    cases: Sequence[QueueCase]
    left: frozenset[int]
    next_cursor: str | None


async def listed(conn: AsyncConnection, person: Person, look: Looked) -> Listed:
    """One page."""
    wanted = look.wanted
    cases, following = await list_queue(
        conn, person, look.filters, cursor=wanted.cursor, limit=PAGE_ROWS, found=look.meant
    )
    return Listed(cases, frozenset(), following)


async def again(conn: AsyncConnection, person: Person, look: Looked, numbers: Sequence[int]) -> Listed:
    """Rows that are shown already, in their order, as they are now."""
    found = await cases_again(conn, person, look.filters, numbers, found=look.meant)
    return Listed([case for case, _ in found], frozenset(case.id for case, fits in found if not fits), None)


def clock_now(case: QueueCase, now: datetime) -> datetime:
    """The time by the case's own clock: the demo may have moved it on."""
    return now + timedelta(seconds=case.clock_offset_s)


async def filters_meant(conn: AsyncConnection, wanted: Wanted, person: Person, now: datetime, zone: str) -> CaseFilter:
    """What this person means by an address; days are those of `zone`."""
    filters = await filter_of(conn, wanted, person, now, zone)
    # Open cases of one cause are one row; who looks for one order sees each of its cases.
    rolled_up = filters.sorted_by == "due" and filters.journey_id is None
    return filters.model_copy(update={"rolled_up": rolled_up})


async def looked(conn: AsyncConnection, wanted: Wanted, filters: CaseFilter, now: datetime, zone: str) -> Looked:
    return Looked(wanted, filters, await named(conn, filters), now, zone)


async def filled(
    conn: AsyncConnection,
    person: Person,
    look: Looked,
    found: Listed,
    *along: Ask,
) -> dict[str, Any]:
    """What `queue_rows.html` is filled with. `along` is what its caller asks next, asked with it."""
    filters, cases = look.filters, found.cases
    skus = {case.sku for case in cases if case.sku}
    asks = [all_asked(), *([names_asked(skus)] if skus else [])]
    asks += members_asked(person, filters, cases, look.meant) if filters.rolled_up else []
    await ahead(conn, *asks, *along)
    return {
        "person": person,
        "cases": cases,
        "texts": None,
        "left": found.left,
        "alone": False,
        "members": await members(conn, person, filters, cases, found=look.meant) if filters.rolled_up else {},
        "names": await item_names(conn, skus),
        "places": await all_places(conn),
        "zone": look.zone,
        "now": look.now,
        "clock_now": clock_now,
        "place_of": lambda case: place_in_view(case, filters),
        "view_query": look.tail,
    }


def ways(look: Looked, next_cursor: str | None) -> dict[str, str | None]:
    """The addresses about a list: the page itself, its first and its next one."""
    query: dict[str, object] = {"tab": look.wanted.tab, **look.wanted.given}
    return {
        "this_page": address("/console/queue", {**query, "cursor": look.wanted.cursor}),
        "next_page": address("/console/queue", {**query, "cursor": next_cursor}) if next_cursor else None,
        "first_page": address("/console/queue", query),
    }

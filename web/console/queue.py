"""The queue: tabs, filters that live in the address, keyset pages.

A refresh leaves every row where it is; what is new is announced, and shown when the reader asks for it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import SEVERITIES
from domain.case_kinds import KINDS
from domain.errors import DomainError, Malformed
from domain.people import Person
from ledger import case as cases
from ledger.prepared import ahead
from ledger.reads.case_filter import CaseFilter
from ledger.reads.case_lists import count_several, counts_asked, list_cases
from ledger.reads.case_shapes import CaseSummary
from ledger.reads.cases import case_row
from ledger.reads.paging import Page
from ledger.reads.parents import SHOWN as GROUP_SHOWN
from ledger.reads.places import all_asked, all_places, zone_of, zones_asked
from ledger.views import views, views_asked
from web.console.csv_exports import csv_export
from web.console.decided import decided_before
from web.console.live import live_of
from web.console.place_options import place_options
from web.console.queue_address import ALL, STATES, TABS, filter_of, filter_of_tab, read_address
from web.console.queue_list import PAGE_ROWS, Listed, Looked, filled, filters_meant, listed, looked, ways
from web.console.refreshing import Refresh, refreshing_of
from web.console.spans import AGES_H
from web.pages import ConsoleRoute, fragment, is_partial, page, start_of_day
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)

MOST_SHOWN = 2 * PAGE_ROWS
MATCHING_CAP = 1000
COLUMNS = (
    *("id", "kind", "state", "severity", "subject", "journey_id", "sku", "location", "region", "entity", "channel"),
    *("owner", "claimed_by", "value_at_risk_minor", "currency", "promised_at", "opened_at", "next_due_at", "closed_at"),
    *("resolution", "repeat_count", "priority"),
)


@router.get("/console/queue")
async def show(request: Request, person: SignedIn) -> Response:
    """One page of the queue; the list alone when it refreshes itself, or those of its rows that have changed."""
    changed, shown = (_numbers(request, name) for name in ("row", "shown"))
    if not changed and not shown:
        return await _opened(request, person)
    wanted = read_address(request.query_params)
    return fragment(await refreshing_of(request).ask(Refresh.of(person, wanted, shown=shown, changed=changed)))


def _numbers(request: Request, name: str) -> tuple[int, ...]:
    """The rows that a page says it shows (`shown`), or asks for (`row`); none for a page that is opened."""
    if not is_partial(request):
        return ()
    numbers = request.query_params.getlist(name)[:MOST_SHOWN]
    return tuple(int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 19)


async def _opened(request: Request, person: Person) -> Response:
    since = live_of(request).mark()
    async with database_of(request).read() as conn:
        wanted, now, is_page = read_address(request.query_params), datetime.now(UTC), not is_partial(request)
        await ahead(conn, zones_asked([person]), all_asked(), *([views_asked(person)] if is_page else ()))
        zone = await zone_of(conn, person)
        look = await looked(conn, wanted, await filters_meant(conn, wanted, person, now, zone), now, zone)
        found = await listed(conn, person, look)
        seen = (await all_places(conn)).visible_to(person)
        counted = _counted(person, look, is_cut=wanted.cursor is not None or found.next_cursor is not None)
        counts = [counts_asked(person, counted, look.meant)] if is_page else []
        context = await filled(conn, person, look, found, *counts)
        if is_page:
            context |= await _about_it(conn, request, person, look, counted, _all_of(found, context["members"]))
    context |= ways(look, found.next_cursor) | {
        "section": "queue",
        "live_since": since,
        "new": 0,
        "seen": seen,
        "tabs": (*TABS, ALL),
        "tab": next(tab for tab in (*TABS, ALL) if tab.slug == wanted.tab),
        "wanted": wanted,
        "place_options": place_options,
        "kinds": KINDS,
        "severities": SEVERITIES,
        "states": STATES,
        "ages": AGES_H,
        "csv": f"/console/queue.csv?{look.tail}",
        "tail": f"?{look.tail}",
    }
    return page(request, "queue.html", context, block="list")


def _counted(person: Person, look: Looked, *, is_cut: bool) -> list[tuple[CaseFilter, int]]:
    """The cases that are counted, each kind to its cap: those of every tab, and those that the filters want where the
    page is cut from them.
    """
    today = start_of_day(look.now, look.zone)
    tabs = [(filter_of_tab(tab.slug, person, look.now, today), 100) for tab in (*TABS, ALL)]
    return [*tabs, (look.filters, MATCHING_CAP)] if is_cut else tabs


def _all_of(found: Listed, groups: Mapping[int, Sequence[object]]) -> int | None:
    """How many cases a page shows that is not cut; None where it does not show all of a cause."""
    sizes = [len(groups.get(case.id, (case,))) for case in found.cases]
    return None if max(sizes, default=0) > GROUP_SHOWN else sum(sizes)


async def _about_it(
    conn: Any,
    request: Request,
    person: Person,
    look: Looked,
    counted: Sequence[tuple[CaseFilter, int]],
    shown: int | None,
) -> dict[str, Any]:
    """What stands about the list: the tabs with their counts, saved views, what was decided just before. `shown` are
    the cases on a page that is not cut, as `_all_of` says.
    """
    slugs = [tab.slug for tab in (*TABS, ALL)]
    counts = await count_several(conn, person, counted, look.meant)
    matching = counts[len(slugs)] if len(counts) > len(slugs) else shown
    if matching is None:
        (matching,) = await count_several(conn, person, [(look.filters, MATCHING_CAP)], look.meant)
    return {
        "counts": dict(zip(slugs, counts, strict=False)),
        "views": await views(conn, person),
        "matching": matching,
        "decided": await decided_before(conn, person, request),
        "at_the_end": "end" in request.query_params,
    }


@router.post("/console/queue/claim")
async def claim_several(request: Request, person: SignedIn, case: Annotated[list[int], Form()] = []) -> Response:  # noqa: B006
    """Claim each selected case; the answer lists, case by case, what happened."""
    database = database_of(request)
    outcomes: list[tuple[int, str | None]] = []
    for case_id in dict.fromkeys(case[:PAGE_ROWS]):
        try:
            async with database.read() as conn:
                await case_row(conn, person, case_id)  # not found, unless the person may see it
            await cases.claim(database, case_id, person, version=None, via="console")
            outcomes.append((case_id, None))
        except DomainError as refused:
            outcomes.append((case_id, refused.detail))
    status = 200 if any(refusal is None for _, refusal in outcomes) else 409
    return page(request, "claimed.html", {"person": person, "section": "queue", "outcomes": outcomes}, status=status)


def _value_of(case: CaseSummary, column: str) -> object:
    return case.priority.score if column == "priority" else getattr(case, column)


@router.get("/console/queue.csv")
async def as_table(request: Request, person: SignedIn) -> Response:
    """The queue's query as CSV. What the address says in vain is refused here: nobody would see it in a file."""
    wanted = read_address(request.query_params)
    if wanted.not_understood:
        raise Malformed(f"Not understood: {', '.join(wanted.not_understood)}. Correct the address or leave it out.")
    now = datetime.now(UTC)
    async with database_of(request).read() as conn:
        filters = await filter_of(conn, wanted, person, now, await zone_of(conn, person))

    async def read(conn: AsyncConnection, cursor: str | None, limit: int) -> Page[CaseSummary]:
        return await list_cases(conn, person, filters, cursor=cursor, limit=limit)

    return csv_export(request, person, "cases", COLUMNS, read, _value_of)

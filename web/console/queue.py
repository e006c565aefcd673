"""The queue: tabs, filters that live in the address, keyset pages.

What the address says that is not understood is shown, never dropped in silence. A refresh leaves every row where it is;
what is new is announced, and shown when the reader asks for it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from domain.case import OPEN_STATES, SEVERITIES
from domain.case_kinds import KINDS
from domain.errors import DomainError
from domain.people import ROLES, Person
from ledger import case as cases
from ledger.reads.case_filter import CaseFilter, Named, named
from ledger.reads.case_lists import CaseSummary, cases_again, count_several, list_cases, list_numbers
from ledger.reads.cases import case_detail
from ledger.reads.endings import ENDINGS
from ledger.reads.following import place_in_view
from ledger.reads.journeys import JourneyFilter, list_journeys
from ledger.reads.parents import SHOWN as GROUP_SHOWN
from ledger.reads.parents import members
from ledger.reads.places import Place, all_places, item_names, places_at, visible_among, zone_of
from ledger.views import views
from web.console.decided import decided_before
from web.console.live import live_of
from web.console.place_options import place_options
from web.console.spans import AGES_H, SPANS, bounds, is_understood
from web.pages import ConsoleRoute, address, is_partial, page, start_of_day
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)

OPEN = ",".join(OPEN_STATES)
PAGE_ROWS = 50
BREACH_WITHIN = timedelta(hours=2)
STATES = (*OPEN_STATES, "resolved", "cancelled")
FILTERS = (
    "kind", "severity", "region", "location", "entity", "channel", "category", "owner", "state", "age", "opened",
    "closed", "due", "ended", "sku", "order", "text", "mentions",
    "root_cause",
)  # fmt: skip
KNOWN = (*FILTERS, "tab", "cursor", "selected", "shown", "after", "end", "at", "row")
MOST_SHOWN = 2 * PAGE_ROWS


class Tab(NamedTuple):
    slug: str
    label: str
    empty: str


TABS = (
    Tab("mine", "Mine", "You have claimed nothing. Take a case from Unassigned."),
    Tab("unassigned", "Unassigned", "Every case has somebody. Nothing to take."),
    Tab("breaching", "Breaching within 2 h", "No clock runs out within two hours."),
    Tab("approval", "Waiting for approval", "No decision waits for an approval."),
    Tab("done", "Done today", "Nothing was closed today yet."),
)
ALL = Tab("all", "All open", "Nothing is broken. Cases appear here by themselves when something is.")


class Wanted(NamedTuple):
    """What an address asks for. `not_understood` names parameters and values that were left out of the search."""

    tab: str
    given: dict[str, str]
    cursor: str | None
    not_understood: list[str]


def filter_of_tab(slug: str, person: Person, now: datetime, today: datetime) -> CaseFilter:
    """The cases of a tab before any filter."""
    tabs: dict[str, dict[str, Any]] = {
        "mine": {"state": OPEN, "claimed_by": person.id},
        "unassigned": {"state": "open,waiting", "claimed_by": "none"},
        "breaching": {"state": OPEN, "due_before": now + BREACH_WITHIN},
        "approval": {"state": OPEN, "waiting_for_approval": True},
        "done": {"state": "resolved,cancelled", "closed_from": today, "order": "closed"},
        "all": {"state": OPEN},
    }
    return CaseFilter(**tabs[slug])


def read_address(query: Mapping[str, str]) -> Wanted:
    """Sort an address into what is understood and what is not; nothing is dropped in silence."""
    problems = [f"{name}={value}" for name, value in query.items() if name not in KNOWN]
    given = {}
    allowed: dict[str, Any] = {
        "kind": KINDS,
        "severity": SEVERITIES,
        "state": STATES,
        "owner": ROLES,
        "mentions": ("me",),
    }
    for name in FILTERS:
        value = query.get(name, "").strip()
        if not value:
            continue
        unknown = name in allowed and not set(value.split(",")) <= set(allowed[name])
        unknown |= name == "ended" and value not in ENDINGS
        if unknown or (name in SPANS and not is_understood(name, value)):
            problems.append(f"{name}={value}")
        else:
            given[name] = value[:200]
    slugs = {tab.slug for tab in (*TABS, ALL)}
    tab = query.get("tab", "all")
    if tab not in slugs:
        problems.append(f"tab={tab}")
        tab = "all"
    return Wanted(tab, given, query.get("cursor") or None, problems)


async def filter_of(conn: Any, wanted: Wanted, person: Person, now: datetime, zone: str) -> CaseFilter:
    """The tab narrowed by the filters; days are those of `zone`. A state that is asked for by name, or days of opening
    or closing, or how a case ended, widen the tab "all" beyond open cases.
    """
    fields = filter_of_tab(wanted.tab, person, now, start_of_day(now, zone)).model_dump(exclude_none=True)
    given = dict(wanted.given)
    if wanted.tab == "all" and "state" not in given and {"opened", "closed", "ended"} & set(given):
        fields.pop("state", None)
    order = given.pop("order", None)
    if order:
        fields["journey_id"] = await _journey_of(conn, person, order)
    if given.pop("mentions", None):
        fields["mentions"] = person.id
    fields |= bounds(given, now, zone)
    return CaseFilter(**{**fields, **{name: value for name, value in given.items() if name not in SPANS}})


async def _journey_of(conn: Any, person: Person, order: str) -> str:
    """A journey by its id or by the number that the customer knows; what is not found matches no case."""
    found = await list_journeys(conn, person, JourneyFilter(key=order), limit=1)
    return found.items[0].id if found.items else order


class Looked(NamedTuple):
    """What an address means for who looks now: the cases that it wants, and what its text names."""

    wanted: Wanted
    filters: CaseFilter
    meant: Named
    now: datetime
    zone: str


class Listed(NamedTuple):
    """The rows of a page. `left` are those that a refresh keeps although the filters do not want them any more."""

    cases: Sequence[CaseSummary]
    left: frozenset[int]
    new: int
    next_cursor: str | None


async def listed(conn: Any, person: Person, look: Looked, shown: Sequence[int]) -> Listed:
    """One page; with `shown`, the same rows in the same places as they are now, and how many there are besides."""
    about: dict[str, Any] = {"cursor": look.wanted.cursor, "limit": PAGE_ROWS, "found": look.meant}
    if not shown:
        opened = await list_cases(conn, person, look.filters, **about)
        return Listed(opened.items, frozenset(), 0, opened.next)
    found = await list_numbers(conn, person, look.filters, **about)
    new = set(found.items) - set(shown) if look.wanted.cursor is None else ()
    return (await _again(conn, person, look, shown))._replace(new=len(new), next_cursor=found.next)


async def _again(conn: Any, person: Person, look: Looked, numbers: Sequence[int]) -> Listed:
    """Rows that are shown already, in their order, as they are now."""
    again = await cases_again(conn, person, look.filters, numbers, found=look.meant)
    return Listed([case for case, _ in again], frozenset(case.id for case, fits in again if not fits), 0, None)


def clock_now(case: CaseSummary, now: datetime) -> datetime:
    """The time by the case's own clock: the demo may have moved it on."""
    return now + timedelta(seconds=case.clock_offset_s)


@router.get("/console/queue")
async def show(request: Request, person: SignedIn) -> Response:
    """One page of the queue; the list alone when it refreshes itself, or those of its rows that have changed."""
    changed, shown = (_numbers(request, name) for name in ("row", "shown"))
    if not changed and not shown:
        return await _shown(request, person, [])
    live = live_of(request)
    async with live.changing if changed else live.refreshing:
        return await (_changed(request, person, changed) if changed else _shown(request, person, shown))


def _numbers(request: Request, name: str) -> list[int]:
    """The rows that a page says it shows (`shown`), or asks for (`row`); none for a page that is opened."""
    if not is_partial(request):
        return []
    numbers = request.query_params.getlist(name)[:MOST_SHOWN]
    return [int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 19]


async def _looked(conn: Any, request: Request, person: Person, now: datetime) -> Looked:
    wanted, zone = read_address(request.query_params), await zone_of(conn, person)
    filters = await filter_of(conn, wanted, person, now, zone)
    # Open cases of one cause are one row; who looks for one order sees each of its cases.
    rolled_up = filters.sorted_by == "due" and filters.journey_id is None
    filters = filters.model_copy(update={"rolled_up": rolled_up})
    return Looked(wanted, filters, await named(conn, filters), now, zone)


async def _rows(
    conn: Any, person: Person, look: Looked, found: Listed, places: Mapping[str, Place] | None = None
) -> dict[str, Any]:
    """What `queue_rows.html` is filled with; `places` are all of them, where they were read."""
    filters, cases = look.filters, found.cases
    query = {"tab": look.wanted.tab, **look.wanted.given}
    return {
        "person": person,
        "cases": cases,
        "left": found.left,
        "alone": False,
        "members": await members(conn, person, filters, cases, found=look.meant) if filters.rolled_up else {},
        "names": await item_names(conn, {case.sku for case in cases if case.sku}),
        "places": places if places is not None else await places_at(conn, {case.location for case in cases}),
        "zone": look.zone,
        "now": look.now,
        "clock_now": clock_now,
        "place_of": lambda case: place_in_view(case, filters),
        "view_query": urlencode(query),
    }


async def _changed(request: Request, person: Person, numbers: Sequence[int]) -> Response:
    """Rows of an open page as they are now, each to be put in the place of the one that is there."""
    async with database_of(request).read() as conn:
        look = await _looked(conn, request, person, datetime.now(UTC))
        context = await _rows(conn, person, look, await _again(conn, person, look, numbers))
    return page(request, "queue_rows.html", context | {"alone": True})


async def _shown(request: Request, person: Person, shown: Sequence[int]) -> Response:
    since = live_of(request).mark()
    async with database_of(request).read() as conn:
        look = await _looked(conn, request, person, datetime.now(UTC))
        found = await listed(conn, person, look, shown)
        places = None if is_partial(request) and found.cases else await all_places(conn)
        choices = visible_among(places, person) if places else []
        context = await _rows(conn, person, look, found, places)
        if not is_partial(request):
            context |= await _about_it(conn, request, person, look, _all_of(look, found, context["members"]))
    wanted = look.wanted
    query = {"tab": wanted.tab, **wanted.given}
    context |= {
        "section": "queue",
        "live_since": since,
        "new": found.new,
        "choices": choices,
        "tabs": (*TABS, ALL),
        "tab": next(tab for tab in (*TABS, ALL) if tab.slug == wanted.tab),
        "wanted": wanted,
        "place_options": place_options,
        "regions": list(dict.fromkeys(one.region for one in choices)),
        "entities": list(dict.fromkeys(one.entity for one in choices)),
        "kinds": KINDS,
        "severities": SEVERITIES,
        "states": STATES,
        "ages": AGES_H,
        "this_page": address("/console/queue", {**query, "cursor": wanted.cursor}),
        "next_page": address("/console/queue", {**query, "cursor": found.next_cursor}) if found.next_cursor else None,
        "first_page": address("/console/queue", query),
        "csv": address("/console/queue.csv", query),
        "tail": f"?{urlencode(query)}",
    }
    return page(request, "queue.html", context, block="list")


def _all_of(look: Looked, found: Listed, groups: Mapping[int, Sequence[object]]) -> int | None:
    """How many cases the filters want, where the page shows all of them; otherwise they are to be counted."""
    if look.wanted.cursor is not None or found.next_cursor is not None:
        return None
    sizes = [len(groups.get(case.id, (case,))) for case in found.cases]
    return None if max(sizes, default=0) > GROUP_SHOWN else sum(sizes)


async def _about_it(conn: Any, request: Request, person: Person, look: Looked, matching: int | None) -> dict[str, Any]:
    """What stands about the list: the tabs with their counts, saved views, what was decided just before. `matching` is
    how many cases there are, where it is known.
    """
    today = start_of_day(look.now, look.zone)
    slugs = [tab.slug for tab in (*TABS, ALL)]
    asked = [(filter_of_tab(slug, person, look.now, today), 100) for slug in slugs]
    if matching is None:
        asked.append((look.filters, 1000))
    counts = await count_several(conn, person, asked, found=look.meant)
    if matching is None:
        matching = counts.pop()
    return {
        "counts": dict(zip(slugs, counts, strict=True)),
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
                await case_detail(conn, person, case_id)  # not found, unless the person may see it
            await cases.claim(database, case_id, person, version=None, via="console")
            outcomes.append((case_id, None))
        except DomainError as refused:
            outcomes.append((case_id, refused.detail))
    status = 200 if any(refusal is None for _, refusal in outcomes) else 409
    return page(request, "claimed.html", {"person": person, "section": "queue", "outcomes": outcomes}, status=status)

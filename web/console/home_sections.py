"""What stands on the first page: one function for each section, giving what its template `home/<name>.html` shows.

A figure and the way behind it are made side by side, so that they count the same.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CASE_STATES
from domain.case_kinds import KINDS
from domain.journey_kinds import JOURNEY_KINDS
from domain.people import Person
from ledger.reads import codes, first_page, overview
from ledger.reads.approvals import ApprovalFilter, list_approvals
from ledger.reads.case_filter import CaseFilter
from ledger.reads.case_lists import count_cases
from ledger.reads.comments import unanswered
from ledger.reads.events import list_set_aside
from ledger.reads.journeys import under_way as journeys_under_way
from ledger.reads.looks import running_promotions
from ledger.reads.places import item_names
from ledger.reads.questions import open_questions
from ledger.reads.store import stores_of
from web import charts
from web.console.queue_address import TABS, filter_of_tab
from web.console.spans import days, hours
from web.journeys import work_of
from web.pages import address

COUNT_CAP = 1000
RECURS_DAYS = 30
COMING_HOURS = 8
MOST_PLACES = 12
MOST_LISTED = 5
MOST_ANSWERS = 50  # as many as a page of their list has
AGE_BANDS = (("0h-4h", "under 4 h"), ("4h-1d", "4 h to a day"), ("1d-3d", "1 to 3 days"), ("3d", "over 3 days"))
EVERY_STATE = ",".join(CASE_STATES)
QUEUE = "/console/queue"


class Moment(NamedTuple):
    """When a page is made: now, the reader's zone, and when today began there; and the role whose page it is."""

    now: datetime
    zone: str
    today: datetime
    role: str


async def strip(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:
    """What today has brought: broken, healed, decided, kept and refunded."""
    today = moment.today
    broken = CaseFilter(kind=",".join(first_page.BROKEN_PROMISE), opened_from=today)
    healed = CaseFilter(ended="alone", closed_from=today)
    return {
        "broken": (
            await count_cases(conn, person, broken, cap=COUNT_CAP),
            address(QUEUE, {"kind": ",".join(first_page.BROKEN_PROMISE), "opened": "today"}),
        ),
        "healed": (
            await count_cases(conn, person, healed, cap=COUNT_CAP),
            address(QUEUE, {"ended": "alone", "closed": "today"}),
        ),
        "decided": await first_page.decided_by_people(conn, person, today),
        "kept": await overview.kept(conn, person, today),
        "refunded": await overview.refunded(conn, person, today),
        "cap": COUNT_CAP,
    }


async def stories(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:  # noqa: ARG001
    """What the demo has pinned."""
    return {"stories": await first_page.stories(conn, person)}


async def queues(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:
    """The tabs of the queue with their counts."""
    counts = [
        (tab, await count_cases(conn, person, filter_of_tab(tab.slug, person, moment.now, moment.today)))
        for tab in TABS
    ]
    return {"tabs": counts}


async def under_way(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:  # noqa: ARG001
    """How many journeys of each kind have not ended."""
    kinds = JOURNEY_KINDS.values()
    return {"under_way": [(kind, await journeys_under_way(conn, person, kind.kind, cap=COUNT_CAP)) for kind in kinds]}


async def promotions(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:  # noqa: ARG001
    """Those that run, as the latest look has found them."""
    found, whole = await running_promotions(conn, person, limit=MOST_LISTED)
    return {"running": found, "running_more": max(whole - MOST_LISTED, 0)}


async def coming(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:
    """Whose time is over, and whose runs out in each of the coming hours."""
    start = moment.now.replace(second=0, microsecond=0)
    hour = start.replace(minute=0)
    edges = [start, *(hour + timedelta(hours=ahead) for ahead in range(1, COMING_HOURS + 1))]
    counts = await overview.due_between(conn, person, edges)
    points = [_column("over", counts[0], "Over already", address(QUEUE, {"due": "over"}))]
    for begin, end, count in zip(edges, edges[1:], counts[1:], strict=False):
        there = begin.astimezone(ZoneInfo(moment.zone))
        name = f"{there:%H:%M}"
        points.append(
            _column(name, count, f"{name} to {end.astimezone(ZoneInfo(moment.zone)):%H:%M}", _due(begin, end))
        )
    return {
        "due": [(point, count) for point, count in zip(points, counts, strict=True)],
        "due_total": sum(counts),
        "due_chart": charts.columns("Clocks that run out in the coming hours", points),
    }


def _due(begin: datetime, end: datetime) -> str:
    return address(QUEUE, {"due": hours(begin, end)})


def _column(name: str, count: int, title: str, href: str) -> charts.Point:
    said = f"{count} {'case' if count == 1 else 'cases'}"
    return charts.Point(name, count or None, str(count), f"{title}: {said}", href if count else None)


async def watched(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:
    """The lists that a retailer looks at every morning, by legal company and place."""
    found = await overview.open_cases(conn, person, moment.now)
    lists = []
    cells: dict[tuple[str, str], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for number, (title, kinds) in enumerate(overview.WATCHED):
        known = ",".join(kind for kind in kinds if kind in KINDS)
        if not known:  # a list that nothing can fill would say that all is well
            continue
        here = [one for one in found if one.kind in kinds]
        for one in here:
            cells[one.entity, one.location][number] += one.cases
        lists.append((number, title, known, sum(one.cases for one in here)))
    places = sorted(cells.items(), key=lambda row: (-sum(row[1].values()), row[0]))
    return {
        "watched": lists,
        "watched_places": places[:MOST_PLACES],
        "watched_more": max(len(places) - MOST_PLACES, 0),
        "watched_kinds": ",".join(kinds for _, _, kinds, _ in lists),
        "entities": {entity for entity, _ in cells},
    }


async def kinds(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:
    """Open cases by kind, age and value."""
    return {"by_kind": _by_kind(await overview.open_cases(conn, person, moment.now))}


async def owned(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:
    """The same for the kinds that the reader's role owns."""
    found = await overview.open_cases(conn, person, moment.now)
    mine = [one for one in found if one.kind in KINDS and KINDS[one.kind].owner_role == moment.role]
    return {"owned": _by_kind(mine), "role": moment.role}


def _by_kind(found: list[overview.Open]) -> list[dict[str, Any]]:
    """Each kind over all places: how many by age, the oldest, the value by currency; most cases first."""
    rows = []
    for kind, here in overview.by_kind(found).items():
        value: dict[str, int] = defaultdict(int)
        for one in here:
            value[one.currency] += one.value_minor
        counts = [sum(numbers) for numbers in zip(*(one.bands for one in here), strict=True)]
        ways = [address(QUEUE, {"kind": kind, "age": age}) for age, _ in AGE_BANDS]
        title = KINDS[kind].title if kind in KINDS else kind
        rows.append(
            {
                "kind": kind,
                "title": title,
                "cases": sum(counts),
                "ages": list(zip(counts, ways, strict=True)),
                "oldest_at": min(one.oldest_at for one in here),
                "value": sorted((currency, amount) for currency, amount in value.items() if amount),
            }
        )
    rows.sort(key=lambda row: (-row["cases"], row["title"]))
    most = max((row["cases"] for row in rows), default=0)
    for row in rows:
        named = zip(row["ages"], AGE_BANDS, strict=True)
        marks = [(count, f"{row['title']}, {age}: {count}", way) for (count, way), (_, age) in named]
        row["bar"] = charts.parts(marks, most)
    return rows


async def again(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:
    """Items and places that keep coming back."""
    last = moment.today.astimezone(ZoneInfo(moment.zone)).date()
    first = last - timedelta(days=RECURS_DAYS - 1)
    since = datetime.combine(first, datetime.min.time(), ZoneInfo(moment.zone))
    found = await overview.recurring(conn, person, since)
    troubled = await overview.troubled(conn, person, since)
    return {
        "recurring": found,
        "troubled": troubled,
        "why_items": await codes.why_of_items(conn, person, since, {(one.sku, one.location) for one in found}),
        "why_places": await codes.why_of_places(conn, person, since, {one.location for one in troubled}),
        "names": await item_names(conn, {one.sku for one in found}),
        "recurs": {"opened": days(first, last), "state": EVERY_STATE},
        "recurs_days": RECURS_DAYS,
    }


async def approvals(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:  # noqa: ARG001
    """What waits for the reader's word, the nearest deadline first."""
    found = await list_approvals(conn, person, ApprovalFilter(state="pending", mine=True), limit=MOST_LISTED + 1)
    return {"approvals": found.items[:MOST_LISTED], "approvals_more": len(found.items) > MOST_LISTED}


async def answers(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:  # noqa: ARG001
    """What approvers want to know of the reader before they decide; their clocks stand meanwhile."""
    found = await list_approvals(conn, person, ApprovalFilter(state="pending", questions=True), limit=MOST_ANSWERS)
    asked = await open_questions(conn, [one.id for one in found.items[:MOST_LISTED]])
    return {
        "answers": [(one, asked.get(one.id)) for one in found.items[:MOST_LISTED]],
        "answers_count": len(found.items),
        "answers_more": found.next is not None,
    }


async def floor(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:  # noqa: ARG001
    """What the reader's stores have to do."""
    stores = await stores_of(conn, person)
    return {"floors": [(one, *await work_of(conn, one)) for one in stores[:MOST_LISTED]]}


async def decided(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:  # noqa: ARG001
    """What was decided last, by whom."""
    return {"decisions": await overview.decided_last(conn, person)}


async def feeds(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:  # noqa: ARG001
    """What systems reported in vain."""
    found = await list_set_aside(conn, person, limit=MOST_LISTED + 1)
    return {"set_aside": found[:MOST_LISTED], "set_aside_more": len(found) > MOST_LISTED}


Section = Callable[[AsyncConnection, Person, Moment], Awaitable[dict[str, Any]]]


async def mentions(conn: AsyncConnection, person: Person, moment: Moment) -> dict[str, Any]:  # noqa: ARG001
    """Comments that mention the reader and are not answered."""
    return {"mentions": await unanswered(conn, person)}


SECTIONS: dict[str, Section] = {
    made.__name__: made
    for made in (
        mentions,
        answers,
        strip,
        stories,
        queues,
        under_way,
        promotions,
        coming,
        watched,
        kinds,
        owned,
        again,
        approvals,
        floor,
        decided,
        feeds,
    )
}

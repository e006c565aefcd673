"""Open queues that look again by themselves: those that ask at the same moment are answered by one reading.

Who shares a reading has the same grants and means the same cases in the same zone. It begins after they have asked, so
none of them sees less than they were told of. What a row says to one person alone is written for that person.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from fastapi import Request
from jinja2_fragments import render_block
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.engine import Database
from ledger.reads.case_filter import CaseFilter
from ledger.reads.case_lists import list_numbers
from ledger.reads.case_shapes import QueueCase
from ledger.reads.places import all_places, zones_of
from web.console.queue_address import ALL, TABS, Wanted
from web.console.queue_list import PAGE_ROWS, Looked, again, filled, filters_meant, looked, ways
from web.pages import templates
from web.together import Together

# Pages that are told at the same moment ask within a few milliseconds of each other, and over a network within some
# ten. Who has opened a page looks at it for seconds.
ROWS_WAIT_S, LISTS_WAIT_S = 0.03, 0.06
LISTS_AT_ONCE = 20


class Refresh(NamedTuple):
    """What one open page asks for: its whole list, with the rows that it has (`shown`), or rows that have `changed`."""

    person: Person
    tab: str
    given: tuple[tuple[str, str], ...]
    cursor: str | None
    shown: tuple[int, ...]
    changed: tuple[int, ...]

    @classmethod
    def of(cls, person: Person, wanted: Wanted, *, shown: tuple[int, ...], changed: tuple[int, ...]) -> Self:
        return cls(person, wanted.tab, tuple(wanted.given.items()), wanted.cursor, shown, changed)

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.tab, dict(self.given), self.cursor, [])

    @property
    def numbers(self) -> tuple[int, ...]:
        return self.changed or self.shown


class Refreshing:
    """Of one process. One reading at a time, so that whoever opens a page has at most one of them beside them; rows
    that have changed wait for no more than the list that is being read.
    """

    def __init__(self, database: Database) -> None:
        self.lane = asyncio.Lock()
        self._database = database
        self.rows = Together(self._answers, wait_s=ROWS_WAIT_S)
        self.lists = Together(self._answers, wait_s=LISTS_WAIT_S, most=LISTS_AT_ONCE)

    async def ask(self, one: Refresh) -> str:
        """The list, or the rows, as `queue.html` has them. Raises `Malformed` for the cursor of another list."""
        answer = await (self.rows if one.changed else self.lists).ask(one)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        await self.rows.close()
        await self.lists.close()

    async def _answers(self, asked: Sequence[Refresh]) -> dict[Refresh, str | Exception]:
        """Each view in a transaction of its own: what fails for one (a text that the database cannot hold, say) fails
        for nobody else.
        """
        alike: dict[Any, list[Refresh]] = defaultdict(list)
        for one in asked:
            alike[one.person.grants, one.tab, one.given, one.cursor].append(one)
        answers: dict[Refresh, str | Exception] = {}
        for those in alike.values():
            async with self.lane:
                try:
                    answers |= await self._read(those)
                except Exception as error:  # noqa: BLE001  raised to whoever has asked
                    answers |= dict.fromkeys(those, error)
        return answers

    async def _read(self, those: Sequence[Refresh]) -> dict[Refresh, str]:
        """For people with the same grants at the same address."""
        answers: dict[Refresh, str] = {}
        views: dict[tuple[CaseFilter, str], list[Refresh]] = defaultdict(list)
        async with self._database.read() as conn:
            now, wanted = datetime.now(UTC), those[0].wanted
            people = {one.person.id: one.person for one in those}
            zones = await zones_of(conn, list(people.values()))
            for one in those:
                zone = zones.get(one.person.id, "UTC")
                views[await filters_meant(conn, wanted, one.person, now, zone), zone].append(one)
            for (filters, zone), same in views.items():
                answers |= await _written(conn, await looked(conn, wanted, filters, now, zone), same)
        return answers


async def _written(conn: AsyncConnection, look: Looked, same: Sequence[Refresh]) -> dict[Refresh, str]:
    reader = same[0].person
    listed, following = set[int](), None
    if any(one.shown for one in same):
        cursor = look.wanted.cursor
        page = await list_numbers(conn, reader, look.filters, cursor=cursor, limit=PAGE_ROWS, found=look.meant)
        listed, following = set(page.items) if cursor is None else set(), page.next
    found = await again(conn, reader, look, list(dict.fromkeys(number for one in same for number in one.numbers)))
    rows = _Rows({case.id: case for case in found.cases}, await filled(conn, reader, look, found))
    about = ways(look, following) | {
        "wanted": look.wanted,
        "tab": next(tab for tab in (*TABS, ALL) if tab.slug == look.wanted.tab),
    }
    seen = (await all_places(conn)).visible_to(reader)
    answers: dict[Refresh, str] = {}
    for one in same:
        texts = rows.texts(one)
        if one.changed:
            answers[one] = Markup().join(texts)
            continue
        list_of_one = {"cases": texts, "texts": texts, "new": len(listed - set(one.shown)), "seen": seen}
        answers[one] = render_block(templates, "queue.html", "list", **about, **list_of_one)
    return answers


class _Rows:
    """Rows as they are written, each once for everybody to whom it says the same."""

    def __init__(self, cases: Mapping[int, QueueCase], context: Mapping[str, Any]) -> None:
        self._cases = cases
        macros = templates.get_template("queue_rows.html").make_module({**context, "cases": []})
        self._row: Callable[..., Markup] = vars(macros)["row"]
        self._written: dict[tuple[int, bool, bool], Markup] = {}

    def texts(self, one: Refresh) -> list[Markup]:
        """In the order in which they are shown; without those that cannot be seen any more."""
        return [self._text(self._cases[number], one) for number in one.numbers if number in self._cases]

    def _text(self, case: QueueCase, one: Refresh) -> Markup:
        key = (case.id, case.claimed_by == one.person.id, bool(one.changed))
        if key not in self._written:
            self._written[key] = self._row(case, one.person, bool(one.changed))
        return self._written[key]


def refreshing_of(request: Request) -> Refreshing:
    """The open queues of this application."""
    found: Refreshing = request.app.state.refreshing
    return found

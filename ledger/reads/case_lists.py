"""Lists of cases for the queue: the rows of a page, the rows that a page shows already, and counts.

Every query here is prepared once for each way of asking: the filters that have a value, the kind of the viewer's
grants, the order, and whether it goes on behind a row.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Integer,
    Select,
    and_,
    any_,
    bindparam,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.prepared import Ask, Prepared, Record
from ledger.reads.access import ALL_SOURCES, Reach, of_these_sources, reach_of, within
from ledger.reads.case_filter import Asked, CaseFilter, Named, Order, asked, named, where
from ledger.reads.case_shapes import DUE, OF_A_QUEUE, READ, CaseSummary, QueueCase, queued, summary
from ledger.reads.paging import DEFAULT_LIMIT, After, Page, check_limit, fingerprint, read_cursor, write_cursor
from ledger.reads.parents import stands_for_its_cause
from ledger.tables import case_file, person

SORTED_BY = {"due": "next_due_at", "priority": "priority_score", "opened": "opened_at", "closed": "closed_at"}
WAYS_KEPT = 512  # of asking, each with its compiled query


class _Way(NamedTuple):
    """One way of asking for a list."""

    asked: Asked
    reach: Reach
    by_source: bool
    by: Order
    after: Literal["value", "no value"] | None = None
    rolled_up: bool = False
    shown: Literal["whole", "in a queue", "by number"] = "whole"


def _selected(names: Sequence[str], *more: ColumnElement[Any]) -> Select[Any]:
    columns = (case_file.c[name] for name in names)
    return select(*columns, person.c.name.label("claimed_by_name"), *more).join(
        person, person.c.id == case_file.c.claimed_by, isouter=True
    )


def _shown(way: _Way) -> Select[Any]:
    table = case_file.c
    if way.shown == "by number":
        return select(table.id, table[SORTED_BY[way.by]])
    return _in_a_queue() if way.shown == "in a queue" else _selected(READ)


def _in_a_queue(*more: ColumnElement[Any]) -> Select[Any]:
    return _selected(OF_A_QUEUE, *(case_file.c[name] for name in DUE), *more)


def seen(reach: Reach, *, by_source: bool) -> ColumnElement[bool]:
    """The cases that somebody sees; with `by_source` only those of journeys of the value `sources`, and of none."""
    inside = within(case_file.c, reach)
    return and_(inside, of_these_sources(case_file.c.journey_id)) if by_source else inside


@lru_cache(maxsize=WAYS_KEPT)
def _page(way: _Way) -> Prepared:
    table = case_file.c
    wanted = where(way.asked)
    query = _shown(way).where(seen(way.reach, by_source=way.by_source), *wanted)
    if way.rolled_up:
        query = query.where(stands_for_its_cause(wanted))
    if way.by == "due":
        query = query.order_by(table.next_due_at.asc().nulls_last(), table.id)
        if way.after == "no value":
            query = query.where(table.next_due_at.is_(None), table.id > _after_id)
        elif way.after:
            later = tuple_(table.next_due_at, table.id) > tuple_(_after_instant, _after_id)
            query = query.where(or_(later, table.next_due_at.is_(None)))
    else:
        column = table[SORTED_BY[way.by]]
        query = query.order_by(column.desc(), table.id.desc())
        query = query.where(table.closed_at.is_not(None)) if way.by == "closed" else query
        if way.after:
            value = _after_score if way.by == "priority" else _after_instant
            query = query.where(tuple_(column, table.id) < tuple_(value, _after_id))
    return Prepared(query.limit(bindparam("limit")))


_after_id = bindparam("after_id", type_=BigInteger)
_after_instant = bindparam("after", type_=DateTime(timezone=True))
_after_score = bindparam("after", type_=Integer)


async def list_cases(
    conn: AsyncConnection,
    viewer: Person | None,
    filters: CaseFilter | None = None,
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
    sources: Collection[str] | None = None,
    found: Named | None = None,
) -> Page[CaseSummary]:
    """A queue in the order of `filters.sorted_by`. `found` is what `named` says of the filters, where it is known.

    Raises `Malformed` for a foreign cursor or a limit out of bounds.
    """
    rows, following = await _listed(conn, viewer, filters or CaseFilter(), cursor, limit, sources, found)
    return Page(items=[CaseSummary.model_validate(summary(row)) for row in rows], next=following)


async def list_queue(
    conn: AsyncConnection,
    viewer: Person,
    filters: CaseFilter,
    *,
    cursor: str | None,
    limit: int,
    found: Named | None = None,
) -> tuple[list[QueueCase], str | None]:
    """The same rows as a queue shows them, and the cursor of the next ones."""
    rows, following = await _listed(conn, viewer, filters, cursor, limit, None, found, shown="in a queue")
    return [queued(row) for row in rows], following


async def list_numbers(
    conn: AsyncConnection, viewer: Person | None, filters: CaseFilter, *, cursor: str | None, limit: int, found: Named
) -> Page[int]:
    """The same rows by their numbers alone."""
    rows, following = await _listed(conn, viewer, filters, cursor, limit, None, found, shown="by number")
    return Page(items=[row["id"] for row in rows], next=following)


async def _listed(
    conn: AsyncConnection,
    viewer: Person | None,
    filters: CaseFilter,
    cursor: str | None,
    limit: int,
    sources: Collection[str] | None,
    found: Named | None,
    *,
    shown: Literal["whole", "in a queue", "by number"] = "whole",
) -> tuple[list[Record], str | None]:
    """The rows of a page, and the cursor of the next one."""
    mark = fingerprint("cases", filters.model_dump())
    by = filters.sorted_by
    after = read_cursor(mark, cursor, value_type=int if by == "priority" else datetime, id_type=int)
    wanted, values = asked(filters, found if found is not None else await named(conn, filters))
    reach, words = reach_of(viewer)
    by_source = sources is not None and ALL_SOURCES not in sources
    way = _Way(wanted, reach, by_source, by, _begins(after), filters.rolled_up, shown)
    values = {**values, **words, "limit": check_limit(limit) + 1, "sources": sorted(sources or ())}
    if after is not None:
        values |= {"after": after.value, "after_id": after.id}
    rows = await _page(way).rows(conn, values)
    last = rows[limit - 1] if len(rows) > limit else None
    return rows[:limit], None if last is None else write_cursor(mark, last[SORTED_BY[by]], last["id"])


def _begins(after: After | None) -> Literal["value", "no value"] | None:
    return None if after is None else "no value" if after.value is None else "value"


async def count_cases(conn: AsyncConnection, viewer: Person | None, filters: CaseFilter, *, cap: int = 100) -> int:
    """How many cases match, counted to `cap` at most (100 means "99+")."""
    return (await count_several(conn, viewer, [(filters, cap)], await named(conn, filters)))[0]


@lru_cache(maxsize=WAYS_KEPT)
def _counts(reach: Reach, several: tuple[Asked, ...]) -> Prepared:
    """How many cases match each, in one row."""
    inside = within(case_file.c, reach)
    counts = []
    for at, wanted in enumerate(several):
        cap = bindparam(f"{at}_cap", type_=Integer)
        rows = select(case_file.c.id).where(inside, *where(wanted, f"{at}_", counted=True)).limit(cap).subquery()
        counts.append(select(func.count()).select_from(rows).scalar_subquery().label(f"count_{at}"))
    return Prepared(select(*counts), once=True)


def counts_asked(viewer: Person | None, several: Sequence[tuple[CaseFilter, int]], found: Named) -> Ask:
    """What `count_several` asks; `found` is what `named` says of the text that these filters have, if any has one."""
    reach, words = reach_of(viewer)
    values: dict[str, Any] = {**words}
    shapes = []
    for at, (filters, cap) in enumerate(several):
        shape, own = asked(filters, found if filters.text else Named(), f"{at}_")
        shapes.append(shape)
        values |= own | {f"{at}_cap": cap}
    return _counts(reach, tuple(shapes)).of(values)


async def count_several(
    conn: AsyncConnection, viewer: Person | None, several: Sequence[tuple[CaseFilter, int]], found: Named
) -> list[int]:
    """How many cases match each of these filters, each counted to its own cap, in one statement. `found` is what
    `named` says of the text that they have, if any has one.
    """
    row = await counts_asked(viewer, several, found).row(conn)
    assert row is not None  # it asks for counts
    return [int(count) for count in row]


@lru_cache(maxsize=WAYS_KEPT)
def _again(reach: Reach, wanted: Asked) -> Prepared:
    fits = and_(literal(value=True), *where(wanted))
    these = case_file.c.id == any_(bindparam("ids", type_=ARRAY(BigInteger)))
    return Prepared(_in_a_queue(fits.label("fits")).where(these, within(case_file.c, reach)))


async def cases_again(
    conn: AsyncConnection, viewer: Person, filters: CaseFilter, ids: Sequence[int], *, found: Named | None = None
) -> list[tuple[QueueCase, bool]]:
    """Cases that a page shows already, in the order given, each as it is now and whether the filters still want it."""
    wanted, values = asked(filters, found if found is not None else await named(conn, filters))
    reach, words = reach_of(viewer)
    values = {**values, **words, "ids": list(ids)}
    listed = {row["id"]: row for row in await _again(reach, wanted).rows(conn, values)}
    rows = [listed[case_id] for case_id in dict.fromkeys(ids) if case_id in listed]
    return [(queued(row), bool(row["fits"])) for row in rows]

"""Who sees which rows: entity, region and location of the viewer's grants as a WHERE clause.

`viewer` is None for a system's key; it then sees the journeys of its `sources` and what belongs to no journey.
A row that a viewer may not see is answered exactly as one that does not exist.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, ColumnElement, Text, and_, any_, bindparam, false, func, or_, true

from domain.people import Person
from ledger.tables import location as location_table

ALL_SOURCES = "*"


class Reach(NamedTuple):
    """The kind of grants that somebody has, without their words: who has the same kind is asked the same query.

    `by` are those of entity, region and location for which there are words, and whether there is one alone: an index
    gives the rows of one word in their order. `exactly` are grants that name several at once, as (entity, region,
    location).
    """

    everywhere: bool
    by: tuple[tuple[str, bool], ...] = ()
    exactly: tuple[tuple[str, str, str], ...] = ()


_NAMES = ("entity", "region", "location")
_WORDS = ARRAY(Text)


def reach_of(viewer: Person | None) -> tuple[Reach, dict[str, Any]]:
    """How far a viewer sees, and the words of it as the values of a query that `within` has narrowed."""
    if viewer is None:
        return Reach(everywhere=True), {}
    words: dict[str, set[str]] = {}
    exactly = []
    for grant in viewer.grants:
        named = [(name, word) for name, word in zip(_NAMES, grant[1:], strict=True) if word]
        if not named:
            return Reach(everywhere=True), {}
        if len(named) == 1:
            words.setdefault(named[0][0], set()).add(named[0][1])
        else:
            exactly.append((grant.entity, grant.region, grant.location))
    by = tuple((name, len(words[name]) == 1) for name in _NAMES if name in words)
    values: dict[str, Any] = {
        f"seen_{name}": words[name].pop() if is_one else sorted(words[name]) for name, is_one in by
    }
    return Reach(everywhere=False, by=by, exactly=tuple(exactly)), values


def within(columns: Any, reach: Reach) -> ColumnElement[bool]:
    """As `visible`, for prepared queries: the words of the lists are their values, as `reach_of` returns them."""
    return _within(reach, None, columns.entity, columns.region, columns.location)


def visible(columns: Any, viewer: Person | None) -> ColumnElement[bool]:
    """Rows whose `entity`, `region` and `location` columns one of the viewer's grants covers.

    `columns` is the `.c` of a table that has these three; an empty word in a grant means everywhere.
    A person without a grant sees nothing.
    """
    return _within(*reach_of(viewer), columns.entity, columns.region, columns.location)


def visible_location(viewer: Person | None) -> ColumnElement[bool]:
    """The same for the `location` table, whose own code is the location."""
    return _within(*reach_of(viewer), *_OF_A_LOCATION)


def location_within(reach: Reach) -> ColumnElement[bool]:
    """The same for prepared queries."""
    return _within(reach, None, *_OF_A_LOCATION)


_OF_A_LOCATION = (location_table.c.entity, location_table.c.region, location_table.c.code)


def _within(reach: Reach, words: Mapping[str, Any] | None, *columns: ColumnElement[str]) -> ColumnElement[bool]:
    """Grants that name one thing of one kind (six regions, say) are one list: an index is asked for it at once.

    Without `words` the lists are values that the query is given when it is sent.
    """
    if reach.everywhere:
        return true()
    clauses: list[ColumnElement[bool]] = [
        and_(*(column == word for column, word in zip(columns, exact, strict=True) if word)) for exact in reach.exactly
    ]
    by_name = dict(zip(_NAMES, columns, strict=True))
    for name, is_one in reach.by:
        key = f"seen_{name}"
        kind = Text() if is_one else _WORDS
        given = bindparam(key, type_=kind) if words is None else bindparam(None, words[key], type_=kind)
        clauses.append(by_name[name] == (given if is_one else any_(given)))
    return or_(*clauses) if clauses else false()


def of_sources(source_column: ColumnElement[str], sources: Collection[str] | None) -> ColumnElement[bool]:
    """Journeys of these sources; None or `*` among them means every source."""
    if sources is None or ALL_SOURCES in sources:
        return true()
    return source_column.in_(sorted(sources))


def of_journey_sources(
    journey_column: ColumnElement[str | None], sources: Collection[str] | None
) -> ColumnElement[bool]:
    """Rows of a journey of these sources, and rows that belong to no journey. The source is the id's second word."""
    if sources is None or ALL_SOURCES in sources:
        return true()
    source = func.split_part(journey_column, ":", 2)
    return or_(journey_column.is_(None), source == any_(bindparam(None, sorted(sources), type_=_WORDS)))


def of_these_sources(journey_column: ColumnElement[str | None]) -> ColumnElement[bool]:
    """The same for prepared queries: the sources are their value `sources`."""
    source = func.split_part(journey_column, ":", 2)
    return or_(journey_column.is_(None), source == any_(bindparam("sources", type_=_WORDS)))

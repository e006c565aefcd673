"""Who sees which rows: entity, region and location of the viewer's grants as a WHERE clause.

`viewer` is None for a system's key; it then sees the journeys of its `sources` and what belongs to no journey.
A row that a viewer may not see is answered exactly as one that does not exist.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, true

from domain.people import Person
from ledger.tables import location as location_table

ALL_SOURCES = "*"


def visible(columns: Any, viewer: Person | None) -> ColumnElement[bool]:
    """Rows whose `entity`, `region` and `location` columns one of the viewer's grants covers.

    `columns` is the `.c` of a table that has these three; an empty word in a grant means everywhere.
    A person without a grant sees nothing.
    """
    return _covered(viewer, columns.entity, columns.region, columns.location)


def visible_location(viewer: Person | None) -> ColumnElement[bool]:
    """The same for the `location` table, whose own code is the location."""
    return _covered(viewer, location_table.c.entity, location_table.c.region, location_table.c.code)


def _covered(
    viewer: Person | None, entity: ColumnElement[str], region: ColumnElement[str], location: ColumnElement[str]
) -> ColumnElement[bool]:
    """Grants that name one thing of one kind (six regions, say) are one list: an index is asked for it at once."""
    if viewer is None:
        return true()
    lists: dict[int, tuple[ColumnElement[str], set[str]]] = {}
    clauses: list[ColumnElement[bool]] = []
    for grant in viewer.grants:
        named = [
            (at, column, word)
            for at, (column, word) in enumerate(zip((entity, region, location), grant[1:], strict=True))
            if word
        ]
        if not named:
            return true()
        if len(named) == 1:
            at, column, word = named[0]
            lists.setdefault(at, (column, set()))[1].add(word)
        else:
            clauses.append(and_(*(column == word for _, column, word in named)))
    clauses += [column.in_(sorted(words)) for column, words in lists.values()]
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
    return or_(journey_column.is_(None), func.split_part(journey_column, ":", 2).in_(sorted(sources)))

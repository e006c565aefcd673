"""Cases of one cause in a queue: one row stands for all of them, the one whose clock ends first."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ARRAY, ColumnElement, Select, Text, and_, bindparam, case, column, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.util import ClauseAdapter

from domain.errors import NotFound
from domain.people import Person
from ledger.parents import Cause, of_cause
from ledger.prepared import Ask, Prepared
from ledger.reads.access import Reach, reach_of, visible, within
from ledger.reads.case_filter import Asked, CaseFilter, Named, asked, named, where
from ledger.tables import case_file, case_parent, person

MOST_MEMBERS = 500  # on the page of a parent; as many as one decision may be for
SHOWN = 100  # under one row of a queue


class Member(NamedTuple):
    """A case that stands with others under one parent."""

    id: int
    kind: str
    subject: str
    sku: str
    location: str
    journey_id: str | None
    state: str
    claimed_by_name: str | None
    value_at_risk_minor: int
    currency: str


class CauseRow(Protocol):
    """What is to be known of a case to tell which others are of its cause."""

    @property
    def id(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def sku(self) -> str: ...
    @property
    def location(self) -> str: ...
    @property
    def journey_id(self) -> str | None: ...
    @property
    def closed_at(self) -> datetime | None: ...


class ParentView(NamedTuple):
    """A parent with its cases: those that are open, and how many have been closed since it opened."""

    id: int
    kind: str
    sku: str
    location: str
    journey_id: str | None
    episode: int
    opened_at: datetime
    closed_at: datetime | None
    open: list[Member]
    closed: list[Member]


def stands_for_its_cause(wanted: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Whether a case is the one that a queue shows of its cause: by the clocks, the first of those that it wants.

    `wanted` are the conditions of the queue on `case_file`. Asked for row after row, and only as far as a page goes.
    """
    other = case_file.alias()
    same = ClauseAdapter(other)
    fits = [same.traverse(clause) for clause in wanted]
    table = case_file.c

    def first(*alike: ColumnElement[bool]) -> Any:
        return (
            select(other.c.id)
            .where(*alike, other.c.closed_at.is_(None), other.c.journey_id.is_not(None), *fits)
            .order_by(other.c.next_due_at.asc().nulls_last(), other.c.id)
            .limit(1)
            .correlate(case_file)
            .scalar_subquery()
        )

    of_item = first(
        other.c.location == table.location, other.c.sku == table.sku, other.c.kind == table.kind, other.c.sku != ""
    )
    of_order = first(other.c.journey_id == table.journey_id, other.c.sku == "")
    alone = or_(table.journey_id.is_(None), table.closed_at.is_not(None))
    return or_(alone, table.id == case((table.sku != "", of_item), else_=of_order))


def _members() -> Any:
    columns = [case_file.c[name] for name in Member._fields if name != "claimed_by_name"]
    columns.insert(Member._fields.index("claimed_by_name"), person.c.name)
    return select(*columns).join(person, person.c.id == case_file.c.claimed_by, isouter=True).order_by(case_file.c.id)


def members_asked(viewer: Person, filters: CaseFilter, rows: Sequence[CauseRow], found: Named) -> list[Ask]:
    """What `members` asks."""
    shared = {cause.key: cause for cause in _causes(rows).values()}
    if not shared:
        return []
    wanted, values = asked(filters, found)
    reach, words = reach_of(viewer)
    of_items = [cause for cause in shared.values() if cause.sku]
    lists = {f"{name}s": [getattr(cause, name) for cause in of_items] for name in _OF_AN_ITEM}
    lists["journey_ids"] = [cause.journey_id for cause in shared.values() if not cause.sku]
    return [_members_of(reach, wanted).of({**values, **words, **lists})]


async def members(
    conn: AsyncConnection,
    viewer: Person,
    filters: CaseFilter,
    rows: Sequence[CauseRow],
    *,
    found: Named | None = None,
) -> Mapping[int, list[Member]]:
    """For each row of a queue that stands for several cases: those that the queue wants, the row itself among them, the
    first `SHOWN` and one more where there are more. `found` is what `named` says of the filters, where it is known.
    """
    by_key: dict[str, list[Member]] = defaultdict(list)
    asks = members_asked(viewer, filters, rows, found if found is not None else await named(conn, filters))
    for row in [row for ask in asks for row in await ask.rows(conn)]:
        one = Member(*row)
        by_key[f"{one.kind}|{one.location}|{one.sku}" if one.sku else f"order|{one.journey_id}"].append(one)
    groups = {number: sorted(by_key[cause.key]) for number, cause in _causes(rows).items()}
    return {number: group for number, group in groups.items() if len(group) > 1}


def _causes(rows: Sequence[CauseRow]) -> dict[int, Cause]:
    """The causes of those that may stand for several, by their numbers."""
    return {row.id: _cause(row) for row in rows if row.closed_at is None and row.journey_id is not None}


def _cause(row: CauseRow) -> Cause:
    if row.sku:
        return Cause(row.kind, row.location, row.sku, None, "", "")
    return Cause("", row.location, "", row.journey_id, "", "")


_OF_AN_ITEM = ("kind", "location", "sku")


@lru_cache(maxsize=512)
def _members_of(reach: Reach, wanted: Asked) -> Prepared:
    """The first cases of each cause, given as lists of the same length (`kinds`, `locations`, `skus`) or as orders
    (`journey_ids`). One look at an index for each.
    """
    table = case_file.c
    fits = [within(table, reach), *where(wanted)]
    shared_item = and_(table.journey_id.is_not(None), table.sku != "")
    of_items = _first_of(_OF_AN_ITEM, shared_item, fits)
    return Prepared(of_items.union_all(_first_of(("journey_id",), table.sku == "", fits)), once=True)


def _first_of(names: Sequence[str], more: ColumnElement[bool], fits: Sequence[ColumnElement[bool]]) -> Select[Any]:
    table = case_file.c
    lists = [bindparam(f"{name}s", type_=ARRAY(Text)) for name in names]
    of = func.unnest(*lists).table_valued(*(column(name, Text) for name in names), name="cause").render_derived()
    alike = [table[name] == of.c[name] for name in names]
    columns = [table[name] for name in (*(name for name in Member._fields if name != "claimed_by_name"), "claimed_by")]
    # In the order of the index of causes, which is then read no further than the limit.
    soonest = select(*columns).where(*alike, more, table.closed_at.is_(None), *fits)
    first = soonest.order_by(table.next_due_at, table.id).limit(SHOWN + 1).lateral()
    # Looked up for each that has somebody: joined, everybody there is was read for every cause.
    claimed_by = select(person.c.name).where(person.c.id == first.c.claimed_by).scalar_subquery()
    shown = [claimed_by.label(name) if name == "claimed_by_name" else first.c[name] for name in Member._fields]
    return select(*shown).select_from(of.join(first, true()))


async def parent_view(conn: AsyncConnection, viewer: Person, parent_id: int) -> ParentView:
    """A parent with its cases. Raises `NotFound` for one that is not there for this person."""
    row = None
    if -(2**63) <= parent_id < 2**63:
        query = select(case_parent).where(case_parent.c.id == parent_id, visible(case_parent.c, viewer))
        row = (await conn.execute(query)).mappings().first()
    if row is None:
        raise NotFound(f"There is no parent case {parent_id} that you may see.")
    table = case_file.c
    cause = Cause(**{name: row[name] for name in Cause._fields})
    query = _members().where(of_cause(cause), visible(table, viewer)).limit(MOST_MEMBERS)
    open_ones = (await conn.execute(query.where(table.closed_at.is_(None)))).all()
    closed = (await conn.execute(query.where(table.closed_at >= row["opened_at"]))).all()
    said = {name: row[name] for name in ParentView._fields if name not in ("open", "closed")}
    return ParentView(**said, open=[Member(*one) for one in open_ones], closed=[Member(*one) for one in closed])

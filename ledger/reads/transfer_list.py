"""Lists of transfers, and what is on its way now by age and value: the same figures as the books."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, DateTime, Select, and_, case, cast, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from domain.transfer import ON_THE_WAY, TO_BE_SHIPPED
from ledger.reads.paging import (
    DEFAULT_LIMIT,
    Page,
    check_limit,
    contains,
    fingerprint,
    in_states,
    read_cursor,
    write_cursor,
)
from ledger.reads.transfers import visible_transfer
from ledger.tables import journey, location, transfer, transfer_line, transfer_parcel

# Upper ends, in days, of what is on its way: under a day, 1 to 2, and so on; beyond the last without an end.
BANDS_D = (1, 2, 4, 7)


class TransferFilter(BaseModel):
    """Every field narrows the list. `state` is a state, several with commas, or `open` / `closed`; `place` is either
    end; `late`: what should have left, or come, by now; `asked`: it waits for somebody's decision or verdict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: str | None = None
    source: str | None = None
    destination: str | None = None
    place: str | None = None
    region: str | None = None  # of either end
    reason: str | None = None
    sku: str | None = None
    text: str | None = None  # part of the id
    late: bool = False
    asked: bool = False


class TransferSummary(BaseModel):
    """A transfer in a list; units over all its lines. `due_at` is on its own clock, and `now` that clock's."""

    id: str
    key: str
    source: str
    state: str
    suspended: bool
    from_location: str
    to_location: str
    reason: str
    value_minor: int
    currency: str
    wanted: int
    shipped: int
    in_transit: int
    arrived: int
    opened_at: datetime
    needed_by: datetime | None
    due_at: datetime | None
    now: datetime
    case_id: int | None
    approval_id: int | None
    closed_at: datetime | None


class OnTheWay(BaseModel):
    """Goods of one transfer that are on their way: `value_minor` is what they are worth to who owns them, in their
    books. `since` is when the first of them left; both instants are on the transfer's own clock, as is `now`.
    """

    id: str
    key: str
    from_location: str
    to_location: str
    entity: str
    currency: str
    units: int
    value_minor: int
    carrier: str | None
    tracking: str | None
    since: datetime
    expected_at: datetime | None
    due_at: datetime | None
    now: datetime
    case_id: int | None

    @property
    def age(self) -> timedelta:
        return max(self.now - self.since, timedelta())


OWN_NOW = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, journey.c.clock_offset_s)


class Heap(NamedTuple):
    """What is on its way to the places of one entity for about as long; `band` is the place of its age in `BANDS_D`."""

    entity: str
    currency: str
    band: int
    transfers: int
    units: int
    value_minor: int


def _instant(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """An instant that is kept as text within a document."""
    return cast(text, DateTime(timezone=True))


def _due(name: str) -> ColumnElement[Any]:
    return _instant(journey.c.dues[name].astext)


def _at_either_end(*fits: ColumnElement[bool]) -> ColumnElement[bool]:
    ends = or_(location.c.code == transfer.c.from_location, location.c.code == transfer.c.to_location)
    return exists(select(location.c.code).where(ends, *fits))


def _where(filters: TransferFilter) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = []
    for name, column in (
        ("source", transfer.c.from_location),
        ("destination", transfer.c.to_location),
        ("reason", transfer.c.reason),
    ):
        if (wanted := getattr(filters, name)) is not None:
            clauses.append(column == wanted)
    if filters.state is not None:
        clauses.append(in_states(filters.state, journey.c.state, journey.c.closed_at))
    if filters.place is not None:
        clauses.append(or_(transfer.c.from_location == filters.place, transfer.c.to_location == filters.place))
    if filters.region is not None:
        clauses.append(_at_either_end(location.c.region == filters.region))
    if filters.sku is not None:
        line = select(transfer_line.c.journey_id).where(
            transfer_line.c.journey_id == journey.c.id, transfer_line.c.sku == filters.sku
        )
        clauses.append(exists(line))
    if filters.text is not None:
        clauses.append(journey.c.id.ilike(contains(filters.text), escape="\\"))
    if filters.asked:
        clauses += [journey.c.closed_at.is_(None), or_(*(journey.c.asks.has_key(one) for one in _ASKED))]
    if filters.late:
        clauses += [
            journey.c.closed_at.is_(None),
            or_(_is_over("ship", TO_BE_SHIPPED | ON_THE_WAY), _is_over("receipt", ON_THE_WAY)),
        ]
    return clauses


_ASKED = ("case_id", "approval_id")


def _is_over(due: str, states: frozenset[Any]) -> ColumnElement[bool]:
    return and_(journey.c.state.in_(sorted(states)), _due(due) < OWN_NOW)


def _visible(viewer: Person | None) -> tuple[ColumnElement[bool], ...]:
    return (journey.c.kind == "transfer", visible_transfer(viewer))


async def list_transfers(
    conn: AsyncConnection,
    viewer: Person | None,
    filters: TransferFilter,
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[TransferSummary]:
    """Newest first. Raises `Malformed` for a cursor of another list or a limit out of bounds."""
    mark = fingerprint("transfers", filters.model_dump())
    after = read_cursor(mark, cursor, value_type=datetime, id_type=str)
    query = (
        select(
            journey.c.id, journey.c.key, journey.c.source, journey.c.state, journey.c.opened_at, journey.c.closed_at,
            journey.c.currency, journey.c.suspended_from.is_not(None).label("suspended"), journey.c.asks,
            transfer.c.from_location, transfer.c.to_location, transfer.c.reason, transfer.c.value_minor,
            transfer.c.needed_by, func.least(_due("ship"), _due("receipt")).label("due_at"), OWN_NOW.label("now"),
        )
        .join(transfer, transfer.c.journey_id == journey.c.id)
        .where(*_visible(viewer), *_where(filters))
        .order_by(journey.c.opened_at.desc(), journey.c.id.desc())
        .limit(check_limit(limit) + 1)
    )  # fmt: skip
    if after is not None:
        query = query.where(tuple_(journey.c.opened_at, journey.c.id) < tuple_(after.value, after.id))
    rows = (await conn.execute(query)).mappings().all()
    units = await _units(conn, [row["id"] for row in rows[:limit]])
    items = [
        TransferSummary.model_validate({**row, **units[row["id"]], **{name: row["asks"].get(name) for name in _ASKED}})
        for row in rows[:limit]
    ]
    more = len(rows) > limit
    return Page(items=items, next=write_cursor(mark, items[-1].opened_at, items[-1].id) if more else None)


async def _units(conn: AsyncConnection, ids: list[str]) -> dict[str, dict[str, int]]:
    """Units by transfer, over its lines."""
    line = transfer_line.c
    query = (
        select(
            line.journey_id,
            func.sum(line.ordered).label("wanted"),
            func.sum(line.shipped).label("shipped"),
            func.sum(line.in_transit).label("in_transit"),
            func.sum(line.received + line.damaged).label("arrived"),
        )
        .where(line.journey_id.in_(ids))
        .group_by(line.journey_id)
    )
    rows = (await conn.execute(query)).mappings()
    return {row["journey_id"]: {name: row[name] for name in row if name != "journey_id"} for row in rows}


def _on_the_way(viewer: Person | None, filters: TransferFilter) -> Select[Any]:
    left = (
        select(func.min(transfer_parcel.c.at))
        .where(transfer_parcel.c.journey_id == journey.c.id, transfer_parcel.c.kind != "announced")
        .scalar_subquery()
    )
    line = transfer_line.c
    moving = (
        select(line.journey_id, func.sum(line.in_transit).label("units"), func.sum(line.transit_minor).label("value"))
        .where(line.in_transit > 0)
        .group_by(line.journey_id)
        .subquery()
    )
    return (
        select(
            journey.c.id, journey.c.key, transfer.c.from_location, transfer.c.to_location,
            transfer.c.to_entity.label("entity"), journey.c.currency, moving.c.units, moving.c.value,
            journey.c.detail["carrier"].astext.label("carrier"), journey.c.detail["tracking"].astext.label("tracking"),
            func.coalesce(left, journey.c.opened_at).label("since"),
            _instant(journey.c.detail["expected_at"].astext).label("expected_at"), _due("receipt").label("due_at"),
            OWN_NOW.label("now"), journey.c.asks,
        )
        .select_from(moving)
        .join(journey, journey.c.id == moving.c.journey_id)
        .join(transfer, transfer.c.journey_id == journey.c.id)
        .where(*_visible(viewer), *_where(filters))
    )  # fmt: skip


async def on_the_way(
    conn: AsyncConnection, viewer: Person | None, filters: TransferFilter, *, limit: int, band: int | None = None
) -> list[OnTheWay]:
    """What is on its way now, the longest first; `limit` transfers at most, of one band of age where that is given."""
    moving = _on_the_way(viewer, filters).subquery()
    query = select(moving).order_by(moving.c.since, moving.c.id).limit(limit)
    if band is not None:
        query = query.where(_band(moving.c) == band)
    return [
        OnTheWay(
            **{name: value for name, value in row.items() if name not in ("asks", "value")},
            value_minor=int(row["value"]),
            case_id=row["asks"].get("case_id"),
        )
        for row in (await conn.execute(query)).mappings()
    ]


def _band(moving: Any) -> ColumnElement[int]:
    """The place of an age among `BANDS_D`."""
    age = moving.now - moving.since
    ends = [(age < timedelta(days=end), number) for number, end in enumerate(BANDS_D)]
    return case(*ends, else_=len(BANDS_D))


async def heaps(conn: AsyncConnection, viewer: Person | None, filters: TransferFilter) -> list[Heap]:
    """All of it by who owns it and by age. Without filters, for whoever sees an entity wholly, the values of its bands
    add up to what its books call goods in transit.
    """
    moving = _on_the_way(viewer, filters).subquery()
    band = _band(moving.c).label("band")
    query = (
        select(
            moving.c.entity,
            moving.c.currency,
            band,
            func.count().label("transfers"),
            func.sum(moving.c.units).label("units"),
            func.sum(moving.c.value).label("value"),
        )
        .group_by(moving.c.entity, moving.c.currency, band)
        .order_by(moving.c.entity, moving.c.currency, band)
    )
    return [
        Heap(row.entity, row.currency, row.band, row.transfers, int(row.units), int(row.value))
        for row in await conn.execute(query)
    ]

"""Reads of journeys: the list, and one journey with its lines, timeline, movements, postings and payments."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, and_, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from ledger.reads.access import of_sources, visible
from ledger.reads.case_filter import SHORTEST_PART
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
from ledger.reads.promotions import visible_promotion
from ledger.reads.records import (
    MovementRow,
    PaymentRow,
    PostingRow,
    TimelineEntry,
    movements_of,
    payments_of,
    postings_of,
    timeline_of,
)
from ledger.reads.transfers import visible_transfer
from ledger.tables import approval, case_file, customer, item, journey, journey_line

FEW = 200  # journeys that a text names: so many are a list of their ids


class JourneyFilter(BaseModel):
    """Every field narrows the list; `state` is a state, several with commas, or `open` / `closed`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str | None = None
    state: str | None = None
    location: str | None = None
    region: str | None = None
    entity: str | None = None
    channel: str | None = None
    key: str | None = None
    sku: str | None = None
    text: str | None = None  # part of the number, or of the id with its colons
    opened_from: datetime | None = None
    opened_until: datetime | None = None


class JourneySummary(BaseModel):
    """A journey in a list. Times are RFC 3339 with offset."""

    id: str
    kind: str
    source: str
    key: str
    state: str
    location: str
    region: str
    entity: str
    channel: str
    currency: str
    opened_at: datetime
    promised_at: datetime | None
    closed_at: datetime | None
    policy_version: str
    suspended: bool


class JourneyLine(BaseModel):
    """A line; quantities are in the item's base unit."""

    line_id: str
    sku: str
    name: str
    ordered: int
    reserved: int
    picked: int
    staged: int
    collected: int
    cancelled: int
    short: int
    substitution: str
    fallback: str
    substituted_by: str | None
    refunded_minor: int
    state: str


class DueInstant(BaseModel):
    name: str
    at: datetime


class JourneyDetail(JourneySummary):
    """One journey with everything recorded about it; cases and approvals by number."""

    clock_offset_s: int
    hand_over_blocked: str | None  # why nothing may be handed over now
    version: int
    suspended_from: str | None
    dues: list[DueInstant]
    lines: list[JourneyLine]
    timeline: list[TimelineEntry]
    movements: list[MovementRow]
    postings: list[PostingRow]
    payments: list[PaymentRow]
    cases: list[int]
    approvals: list[int]


class UnderWay(NamedTuple):
    """Open journeys of a kind, and how many of them have an open case; counted up to a cap."""

    open: int
    asked: int


class CustomerView(BaseModel):
    """Personal data of an order's customer, for people who work on it; never handed to systems."""

    id: str
    name: str | None
    email: str | None
    phone: str | None
    address: dict[str, Any] | None
    pickup_person: str | None
    erased_at: datetime | None


_SUMMARY = (
    journey.c.id, journey.c.kind, journey.c.source, journey.c.key, journey.c.state, journey.c.location,
    journey.c.region, journey.c.entity, journey.c.channel, journey.c.currency, journey.c.opened_at,
    journey.c.promised_at, journey.c.closed_at, journey.c.policy_version,
    journey.c.suspended_from.is_not(None).label("suspended"),
)  # fmt: skip


def _visible(viewer: Person | None) -> ColumnElement[bool]:
    """Journeys that concern a place which the viewer may see: their own place, or another."""
    return or_(visible_transfer(viewer), visible_promotion(viewer))


def _where(filters: JourneyFilter) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = []
    for name in ("kind", "location", "region", "entity", "channel", "key"):
        wanted = getattr(filters, name)
        if wanted is not None:
            clauses.append(journey.c[name] == wanted)
    if filters.state is not None:
        clauses.append(in_states(filters.state, journey.c.state, journey.c.closed_at))
    if filters.sku is not None:
        clauses.append(
            exists().where(and_(journey_line.c.journey_id == journey.c.id, journey_line.c.sku == filters.sku))
        )
    if filters.opened_from is not None:
        clauses.append(journey.c.opened_at >= filters.opened_from)
    if filters.opened_until is not None:
        clauses.append(journey.c.opened_at < filters.opened_until)
    return clauses


async def _named(conn: AsyncConnection, text: str) -> ColumnElement[bool]:
    """Journeys whose number has these letters; with a colon among them, whose id has them.

    Few are looked up by an index of parts, so that they are a list of ids; very many are a condition on each journey,
    which a list that is cut at fifty rows soon finds fulfilled.
    """
    has = (journey.c.id if ":" in text else journey.c.key).ilike(contains(text), escape="\\")
    of_key = (
        text.split(":", maxsplit=2)[-1] if text.count(":") != 1 else ""
    )  # behind kind and source it is all of the key
    if len(of_key) < SHORTEST_PART:
        return has
    part = journey.c.key.ilike(contains(of_key), escape="\\")
    ids = (await conn.execute(select(journey.c.id).where(part, has).limit(FEW + 1))).scalars().all()
    return has if len(ids) > FEW else journey.c.id.in_(ids)


async def list_journeys(
    conn: AsyncConnection,
    viewer: Person | None,
    filters: JourneyFilter | None = None,
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
    sources: Collection[str] | None = None,
) -> Page[JourneySummary]:
    """Newest first. Raises `Malformed` for a cursor of another list or a limit out of bounds."""
    filters = filters or JourneyFilter()
    mark = fingerprint("journeys", filters.model_dump())
    after = read_cursor(mark, cursor, value_type=datetime, id_type=str)
    seen = (_visible(viewer), of_sources(journey.c.source, sources))
    query = select(*_SUMMARY).where(*seen, *_where(filters))
    if filters.text:
        query = query.where(await _named(conn, filters.text))
    if after is not None:
        query = query.where(tuple_(journey.c.opened_at, journey.c.id) < tuple_(after.value, after.id))
    query = query.order_by(journey.c.opened_at.desc(), journey.c.id.desc()).limit(check_limit(limit) + 1)
    rows = (await conn.execute(query)).mappings().all()
    items = [JourneySummary.model_validate(dict(row)) for row in rows[:limit]]
    more = len(rows) > limit
    return Page(items=items, next=write_cursor(mark, items[-1].opened_at, items[-1].id) if more else None)


async def journey_detail(
    conn: AsyncConnection, viewer: Person | None, journey_id: str, *, sources: Collection[str] | None = None
) -> JourneyDetail:
    """One journey. Raises `NotFound` for one that does not exist or that the viewer may not see."""
    query = select(
        *_SUMMARY, journey.c.clock_offset_s, journey.c.version, journey.c.suspended_from, journey.c.dues
    ).where(journey.c.id == journey_id, _visible(viewer), of_sources(journey.c.source, sources))
    row = (await conn.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no journey {journey_id} that you may see.")
    found = dict(row)
    dues = [DueInstant.model_validate({"name": name, "at": at}) for name, at in (found.pop("dues") or {}).items() if at]
    return JourneyDetail(
        **found,
        dues=sorted(dues, key=lambda due: due.at),
        hand_over_blocked=await _blocked(conn, journey_id),
        lines=await _lines(conn, journey_id),
        timeline=await timeline_of(conn, journey_id),
        movements=await movements_of(conn, journey_id),
        postings=await postings_of(conn, journey_id),
        payments=await payments_of(conn, journey_id),
        cases=await _numbers(conn, case_file, journey_id),
        approvals=await _numbers(conn, approval, journey_id),
    )


async def journey_customer(conn: AsyncConnection, viewer: Person, journey_id: str) -> CustomerView | None:
    """The customer of a journey the viewer may see; None when there is none. Raises `NotFound` as `journey_detail`."""
    query = select(journey.c.customer_id).where(journey.c.id == journey_id, visible(journey.c, viewer))
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"There is no journey {journey_id} that you may see.")
    if row.customer_id is None:
        return None
    found = (await conn.execute(select(customer).where(customer.c.id == row.customer_id))).mappings().one_or_none()
    return None if found is None else CustomerView.model_validate(dict(found))


async def under_way(conn: AsyncConnection, viewer: Person, kind: str, *, cap: int) -> UnderWay:
    """How many journeys of a kind are open at the places that the viewer sees, and how many of them wait for people."""
    seen = visible_transfer(viewer) if kind == "transfer" else visible(journey.c, viewer)  # from either of its ends
    here = (journey.c.kind == kind, journey.c.closed_at.is_(None), seen)
    is_asked = exists().where(case_file.c.journey_id == journey.c.id, case_file.c.closed_at.is_(None))
    some = select(journey.c.id).where(*here).limit(cap).subquery()
    asked = select(journey.c.id).where(*here, is_asked).limit(cap).subquery()
    counts = [await conn.execute(select(func.count()).select_from(rows)) for rows in (some, asked)]
    return UnderWay(*(int(count.scalar_one()) for count in counts))


async def _blocked(conn: AsyncConnection, journey_id: str) -> str | None:
    asked = await conn.execute(
        select(case_file.c.id).where(
            case_file.c.journey_id == journey_id, case_file.c.kind == "capture_failed", case_file.c.closed_at.is_(None)
        )
    )
    case_id = asked.scalar()
    return None if case_id is None else f"The payment could not be taken (case {case_id}): hand nothing over."


async def _lines(conn: AsyncConnection, journey_id: str) -> list[JourneyLine]:
    query = (
        select(journey_line, item.c.name)
        .join(item, item.c.sku == journey_line.c.sku, isouter=True)
        .where(journey_line.c.journey_id == journey_id)
        .order_by(journey_line.c.line_id)
    )
    rows = (await conn.execute(query)).mappings().all()
    return [JourneyLine.model_validate({**row, "name": row["name"] or row["sku"]}) for row in rows]


async def _numbers(conn: AsyncConnection, table: Any, journey_id: str) -> list[int]:
    query = select(table.c.id).where(table.c.journey_id == journey_id).order_by(table.c.id)
    return list((await conn.execute(query)).scalars())

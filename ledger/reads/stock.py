"""Reads of stock: buckets, what may be promised to each channel and why, and what is behind it."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Select, Text, and_, bindparam, or_, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from domain.policy import StockPolicy
from domain.stock import BUCKETS, PHYSICAL_BUCKETS, atp, atp_steps
from ledger.distance import distance_km
from ledger.prepared import Prepared
from ledger.reads.access import Reach, location_within, reach_of, visible_location
from ledger.reads.paging import DEFAULT_LIMIT, Page, check_limit, contains, fingerprint, read_cursor, write_cursor
from ledger.reads.records import MovementRow
from ledger.reference import Scope, policies_at
from ledger.tables import hold, item, location, movement, stock, waiting_demand

CHANNELS = ("web", "store")  # always answered; those with a threshold of their own come beside them
DEFAULT_CHANNEL = "web"


class StockFilter(BaseModel):
    """Every field narrows the list; `channel` only says whose ATP is explained step by step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    location: str | None = None
    sku: str | None = None
    region: str | None = None
    entity: str | None = None
    category: str | None = None
    text: str | None = None  # part of the SKU or of the item's name
    negative: bool = False
    channel: str = DEFAULT_CHANNEL


class AtpStepRow(BaseModel):
    step: str
    quantity: int
    why: str


class StockItem(BaseModel):
    """One SKU at one location; quantities in the item's base unit, `confidence` a share between 0 and 1."""

    location: str
    location_name: str
    location_kind: str
    region: str
    entity: str
    sku: str
    name: str
    category: str
    base_unit: str
    buckets: dict[str, int]
    on_hand: int
    atp: dict[str, int]
    atp_channel: str
    atp_steps: list[AtpStepRow]
    confidence: float
    safety_stock: int
    stop_sale: bool


class HoldRow(BaseModel):
    """A promise on this stock; `quantity` is the sum of the parts."""

    id: str
    source: str
    channel: str
    journey_id: str | None
    line_id: str
    quantity: int
    reserved: int
    staged: int
    committed: int
    released: int
    expired: int
    lost: int
    promised_at: datetime | None
    doubted_at: datetime | None
    at: datetime


class DemandRow(BaseModel):
    """An order that waits for this stock; whoever was promised first is served first."""

    id: int
    journey_id: str
    line_id: str
    quantity: int
    promised_at: datetime | None
    at: datetime


class StockDetail(BaseModel):
    item: StockItem
    holds: list[HoldRow]
    waiting: list[DemandRow]
    movements: list[MovementRow]


class NearbyStock(BaseModel):
    """The same SKU at another location, with the straight-line distance."""

    stock: StockItem
    distance_km: float | None


def _selected() -> Select[Any]:
    return (
        select(
            stock, location.c.name.label("location_name"), location.c.kind.label("location_kind"),
            location.c.region, location.c.entity, item.c.name, item.c.category, item.c.base_unit, item.c.stop_sale,
        )
        .join(location, location.c.code == stock.c.location)
        .join(item, item.c.sku == stock.c.sku)
    )  # fmt: skip


def _where(filters: StockFilter) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = []
    pairs = (
        (stock.c.location, filters.location), (stock.c.sku, filters.sku), (location.c.region, filters.region),
        (location.c.entity, filters.entity), (item.c.category, filters.category),
    )  # fmt: skip
    for column, wanted in pairs:
        if wanted is not None:
            clauses.append(column == wanted)
    if filters.text:
        pattern = contains(filters.text)
        clauses.append(or_(stock.c.sku.ilike(pattern, escape="\\"), item.c.name.ilike(pattern, escape="\\")))
    if filters.negative:
        clauses.append(stock.c.available < 0)
    return clauses


async def list_stock(
    conn: AsyncConnection,
    viewer: Person | None,
    filters: StockFilter | None = None,
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[StockItem]:
    """By location and SKU. Raises `Malformed` for a cursor of another list or a limit out of bounds."""
    filters = filters or StockFilter()
    mark = fingerprint("stock", filters.model_dump())
    after = read_cursor(mark, cursor, value_type=str, id_type=str)
    query = _selected().where(visible_location(viewer), *_where(filters))
    if after is not None:
        query = query.where(tuple_(stock.c.location, stock.c.sku) > tuple_(after.value, after.id))
    query = query.order_by(stock.c.location, stock.c.sku).limit(check_limit(limit) + 1)
    rows = (await conn.execute(query)).mappings().all()
    items = await _items_of(conn, rows[:limit], filters.channel)
    more = len(rows) > limit
    return Page(items=items, next=write_cursor(mark, items[-1].location, items[-1].sku) if more else None)


async def stock_detail(
    conn: AsyncConnection,
    viewer: Person | None,
    location_code: str,
    sku: str,
    *,
    channel: str = DEFAULT_CHANNEL,
    movements: int = 100,
) -> StockDetail:
    """One SKU at one location with its newest movements, open holds and waiting demand. Raises `NotFound`."""
    query = _selected().where(stock.c.location == location_code, stock.c.sku == sku, visible_location(viewer))
    row = (await conn.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no stock record of {sku} at {location_code} that you may see.")
    holds = (
        select(hold)
        .where(hold.c.location == location_code, hold.c.sku == sku, hold.c.reserved + hold.c.staged > 0)
        .order_by(hold.c.promised_at.asc().nulls_last(), hold.c.id)
    )
    demand = (
        select(waiting_demand)
        .where(
            waiting_demand.c.location == location_code,
            waiting_demand.c.sku == sku,
            waiting_demand.c.ended_at.is_(None),
            waiting_demand.c.quantity > 0,
        )
        .order_by(waiting_demand.c.promised_at.asc().nulls_last(), waiting_demand.c.id)
    )
    moved = newest_movements(location_code, sku, check_limit(movements))
    return StockDetail(
        item=(await _items_of(conn, [row], channel))[0],
        holds=[HoldRow.model_validate(dict(found)) for found in (await conn.execute(holds)).mappings()],
        waiting=[DemandRow.model_validate(dict(found)) for found in (await conn.execute(demand)).mappings()],
        movements=[MovementRow.model_validate(dict(found)) for found in (await conn.execute(moved)).mappings()],
    )


def newest_movements(location_code: str, sku: str, limit: int) -> Select[Any]:
    """The newest movements of a SKU to, from and within a place, newest first; of years of them no more than these are
    read, since what comes and what leaves are each read from the end of their own index.
    """
    came = movement.c.to_location == location_code
    left = and_(movement.c.from_location == location_code, movement.c.from_location != movement.c.to_location)
    newest = movement.c.recorded_at.desc(), movement.c.id.desc()
    both = union_all(
        *(
            select(select(movement).where(movement.c.sku == sku, one).order_by(*newest).limit(limit).subquery())
            for one in (came, left)
        )
    ).subquery()
    return select(both).order_by(both.c.recorded_at.desc(), both.c.id.desc()).limit(limit)


async def nearby_stock(
    conn: AsyncConnection, viewer: Person | None, location_code: str, sku: str, *, limit: int = 5
) -> list[NearbyStock]:
    """The same SKU at the nearest other locations of the viewer; a place without coordinates comes last."""
    reach, words = reach_of(viewer)
    rows = await _near(reach).rows(conn, words, location=location_code, sku=sku, limit=check_limit(limit))
    items = await _items_of(conn, rows)
    return [NearbyStock(stock=one, distance_km=row["distance_km"]) for one, row in zip(items, rows, strict=True)]


_PLACE, _SKU = bindparam("location", type_=Text), bindparam("sku", type_=Text)


@lru_cache(maxsize=64)
def _near(reach: Reach) -> Prepared:
    """The stock of `sku` at other places of the viewer, the nearest to `location` first, with `distance_km`."""
    here = location.alias("here")
    distance = distance_km(here, location)
    return Prepared(
        _selected()
        .add_columns(distance.label("distance_km"))
        .join(here, here.c.code == _PLACE)
        .where(stock.c.sku == _SKU, stock.c.location != _PLACE, location_within(reach))
        .order_by(distance.asc().nulls_last(), stock.c.location)
        .limit(bindparam("limit"))
    )


async def _items_of(conn: AsyncConnection, rows: Sequence[Any], channel: str = DEFAULT_CHANNEL) -> list[StockItem]:
    """Rows of stock with their places as items, by the policies in force at each place."""
    if not rows:
        return []
    places = {row["location"]: Scope(row["location"], row["region"], row["entity"]) for row in rows}
    policies = await policies_at(conn, list(places.values()))
    return [_item(row, policies[row["location"]].stock, channel) for row in rows]


def _item(row: Any, policy: StockPolicy, channel: str) -> StockItem:
    def by_channel(name: str) -> dict[str, int]:
        return {
            "safety_stock": row["safety_stock"],
            "channel_threshold": policy.channel_threshold.get(name, 0),
            "confidence_permille": row["confidence_permille"],
        }

    steps = atp_steps(row["available"], **by_channel(channel), channel=channel)
    channels = sorted({*CHANNELS, *policy.channel_threshold, channel})
    names = (
        "location", "location_name", "location_kind", "region", "entity", "sku", "name", "category", "base_unit",
        "safety_stock", "stop_sale",
    )  # fmt: skip
    return StockItem(
        **{name: row[name] for name in names},
        buckets={bucket: row[bucket] for bucket in BUCKETS},
        on_hand=sum(row[bucket] for bucket in PHYSICAL_BUCKETS),
        atp={name: atp(row["available"], **by_channel(name)) for name in channels},
        atp_channel=channel,
        atp_steps=[AtpStepRow(step=step.step, quantity=step.quantity, why=step.why) for step in steps],
        confidence=row["confidence_permille"] / 1000,
    )

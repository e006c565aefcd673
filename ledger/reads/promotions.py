"""Reads of promotions: the list, and one with how far each channel is."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, and_, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.ids import OWN_SOURCE, journey_id
from domain.people import Person
from domain.promotion import PRICES_DUE, Offer, in_words, offer_of
from domain.promotions import PlaceView, PromotedLineView, PromotionView, PublicationView
from ledger.reads.access import of_sources, visible, visible_location
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
from ledger.tables import (
    case_file,
    journey,
    location,
    price_publication,
    promotion,
    promotion_item,
    promotion_line,
    promotion_place,
    publication,
)


def visible_promotion(viewer: Person | None) -> ColumnElement[bool]:
    """Promotions that run at a place which the viewer may see."""
    there = (
        select(promotion_place.c.journey_id)
        .join(location, location.c.code == promotion_place.c.location)
        .where(promotion_place.c.journey_id == journey.c.id, visible_location(viewer))
    )
    return or_(visible(journey.c, viewer), and_(journey.c.kind == "promotion", there.exists()))


class PromotionFilter(BaseModel):
    """Every field narrows the list; `state` is a state, several with commas, or `open` / `closed`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: str | None = None
    channel: str | None = None
    location: str | None = None
    sku: str | None = None
    text: str | None = None  # part of the name or the id
    running_at: datetime | None = None
    asked: bool = False  # it waits for somebody's decision or verdict


class PromotionSummary(BaseModel):
    """A promotion in a list. `wrong`: prices that its channels did not show as they should when they were looked at
    last; `items` and `places` count what it covers; `margin_permille` and `discount_minor` are those at forecast.
    `due_at` is the next instant of its own clock, `due` its name, `now` that clock's time.
    """

    journey_id: str
    promotion_id: str
    source: str
    name: str
    state: str
    offer: Offer
    stacking: str
    starts_at: datetime
    ends_at: datetime
    items: int
    places: int
    channels: list[str]
    cases: int
    wrong: int
    margin_permille: int | None
    discount_minor: int
    currency: str
    due: str
    due_at: datetime | None
    now: datetime
    approval_id: int | None
    suspended: bool

    @property
    def offer_words(self) -> str:
        return in_words(self.offer)


def _where(filters: PromotionFilter) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = []
    if filters.state is not None:
        clauses.append(in_states(filters.state, promotion.c.state, journey.c.closed_at))
    for table, column, wanted in (
        (promotion_place, "channel", filters.channel),
        (promotion_place, "location", filters.location),
        (promotion_item, "sku", filters.sku),
    ):
        if wanted is not None:
            clauses.append(exists().where(table.c.journey_id == promotion.c.journey_id, table.c[column] == wanted))
    if filters.text:
        like = contains(filters.text)
        clauses.append(or_(promotion.c.name.ilike(like, escape="\\"), journey.c.id.ilike(like, escape="\\")))
    if filters.asked:
        open_case = exists().where(case_file.c.journey_id == promotion.c.journey_id, case_file.c.closed_at.is_(None))
        clauses.append(or_(open_case, journey.c.asks.has_key("approval_id")))
    if filters.running_at is not None:
        clauses += [promotion.c.starts_at <= filters.running_at, promotion.c.ends_at > filters.running_at]
    return clauses


async def list_promotions(
    conn: AsyncConnection,
    viewer: Person | None,
    filters: PromotionFilter | None = None,
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
    sources: Collection[str] | None = None,
) -> Page[PromotionSummary]:
    """Those that begin last come first. Raises `Malformed` for a cursor of another list or a limit out of bounds."""
    filters = filters or PromotionFilter()
    mark = fingerprint("promotions", filters.model_dump())
    after = read_cursor(mark, cursor, value_type=datetime, id_type=str)
    place, thing = promotion_place.c, promotion_item.c
    own = promotion.c
    query = (
        select(
            *(own[name] for name in ("journey_id", "promotion_id", "source", "name", "state", "offer", "stacking")),
            own.starts_at,
            own.ends_at,
            own.margin_permille,
            own.discount_minor,
            *(journey.c[name] for name in ("currency", "dues", "asks", "clock_offset_s")),
            func.now().label("now"),
            select(func.coalesce(func.sum(publication.c.wrong), 0))
            .where(publication.c.journey_id == own.journey_id, publication.c.done_at.is_(None))
            .scalar_subquery()
            .label("wrong"),
            journey.c.suspended_from.is_not(None).label("suspended"),
            select(func.count()).where(thing.journey_id == own.journey_id).scalar_subquery().label("items"),
            select(func.count()).where(place.journey_id == own.journey_id).scalar_subquery().label("places"),
            select(func.array_agg(place.channel.distinct()))
            .where(place.journey_id == own.journey_id)
            .scalar_subquery()
            .label("channels"),
            select(func.count())
            .where(case_file.c.journey_id == own.journey_id, case_file.c.closed_at.is_(None))
            .scalar_subquery()
            .label("cases"),
        )
        .join(journey, journey.c.id == own.journey_id)
        .where(visible_promotion(viewer), of_sources(journey.c.source, sources), *_where(filters))
    )
    if after is not None:
        query = query.where(tuple_(own.starts_at, own.journey_id) < tuple_(after.value, after.id))
    query = query.order_by(own.starts_at.desc(), own.journey_id.desc()).limit(check_limit(limit) + 1)
    rows = (await conn.execute(query)).mappings().all()
    items = [_summary(dict(row)) for row in rows[:limit]]
    more = len(rows) > limit
    return Page(items=items, next=write_cursor(mark, items[-1].starts_at, items[-1].journey_id) if more else None)


def _summary(row: dict[str, Any]) -> PromotionSummary:
    dues = sorted((datetime.fromisoformat(at), name) for name, at in row.pop("dues").items() if at)
    due_at, due = dues[0] if dues else (None, "")
    row |= {"due": due, "due_at": due_at, "approval_id": row.pop("asks").get("approval_id")}
    row["now"] += timedelta(seconds=row.pop("clock_offset_s"))
    return PromotionSummary.model_validate(row)


async def by_state(conn: AsyncConnection, viewer: Person | None, filters: PromotionFilter) -> dict[str, int]:
    """How many there are in each state, by the other filters."""
    others = filters.model_copy(update={"state": None})
    rows = await conn.execute(
        select(promotion.c.state, func.count())
        .join(journey, journey.c.id == promotion.c.journey_id)
        .where(visible_promotion(viewer), *_where(others))
        .group_by(promotion.c.state)
    )
    return {row[0]: row[1] for row in rows}


async def promotion_view(
    conn: AsyncConnection, viewer: Person | None, promotion_id: str, *, sources: Collection[str] | None = None
) -> PromotionView:
    """A promotion by its own id or the one that a source gave it. Raises `NotFound` for one that the viewer may not
    see.
    """
    ids = {journey_id("promotion", one, promotion_id) for one in {*(sources or ()), OWN_SOURCE}}
    named = [promotion_id, *sorted(ids)]
    query = (
        select(
            promotion,
            *(journey.c[name] for name in ("currency", "opened_at", "closed_at", "asks", "dues")),
            select(func.count())
            .where(promotion_item.c.journey_id == promotion.c.journey_id)
            .scalar_subquery()
            .label("items"),
        )
        .join(journey, journey.c.id == promotion.c.journey_id)
        .where(promotion.c.journey_id.in_(named), visible_promotion(viewer), of_sources(journey.c.source, sources))
    )
    found = sorted(
        (dict(row) for row in (await conn.execute(query)).mappings()), key=lambda row: named.index(row["journey_id"])
    )
    if not found:
        raise NotFound(f"There is no promotion {promotion_id} that you may see.")
    row = found[0]
    key = row["journey_id"]
    lines = await conn.execute(
        select(promotion_line).where(promotion_line.c.journey_id == key).order_by(promotion_line.c.number)
    )
    places = await conn.execute(
        select(promotion_place)
        .where(promotion_place.c.journey_id == key)
        .order_by(promotion_place.c.channel, promotion_place.c.location)
    )
    dues = {name: datetime.fromisoformat(at) for name, at in row.pop("dues").items() if at}
    return PromotionView(
        **{name: value for name, value in row.items() if name not in ("asks", "offer", "recorded_at")},
        offer=offer_of(row["offer"]),
        approval_id=row["asks"].get("approval_id"),
        lines=[
            PromotedLineView(**{name: line[name] for name in PromotedLineView.model_fields})
            for line in lines.mappings()
        ],
        places=[PlaceView(channel=one.channel, location=one.location) for one in places],
        publications=await _publications(conn, key, dues),
        dues=dues,
    )


async def _publications(conn: AsyncConnection, key: str, dues: dict[str, datetime]) -> list[PublicationView]:
    counted = (
        select(
            price_publication.c.publication_id,
            *(
                func.count().filter(price_publication.c.state == state).label(state)
                for state in ("right", "waived", "pending")
            ),
        )
        .where(price_publication.c.publication_id.in_(select(publication.c.id).where(publication.c.journey_id == key)))
        .group_by(price_publication.c.publication_id)
        .subquery()
    )
    about = func.concat(
        "promo_price_conflict|", publication.c.journey_id, "|", publication.c.phase, ":", publication.c.channel
    )
    rows = await conn.execute(
        select(publication, counted, case_file.c.id.label("case_id"))
        .outerjoin(counted, counted.c.publication_id == publication.c.id)
        .outerjoin(case_file, and_(case_file.c.dedupe_key == about, case_file.c.closed_at.is_(None)))
        .where(publication.c.journey_id == key)
        .order_by(publication.c.phase, publication.c.channel)
    )
    return [
        PublicationView.model_validate(
            {
                **row,
                **{state: row[state] or 0 for state in ("right", "waived", "pending")},
                "next_run_at": dues.get(PRICES_DUE + row["channel"]) if row["done_at"] is None else None,
            }
        )
        for row in rows.mappings()
    ]


async def journeys_of(conn: AsyncConnection, entity: str, promotion_ids: Collection[str]) -> dict[str, str]:
    """The journeys of promotions that are defined here, by the codes that sales carry; of several the newest."""
    rows = await conn.execute(
        select(promotion.c.promotion_id, promotion.c.journey_id)
        .where(promotion.c.entity == entity, promotion.c.promotion_id.in_(list(promotion_ids)))
        .order_by(promotion.c.recorded_at)
    )
    return {row.promotion_id: row.journey_id for row in rows}

"""Reads of the looks at a promotion: the latest with its places and what was proposed, and those before it."""

from collections.abc import Collection
from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.looks import Course, LookFigures
from domain.people import Person
from domain.promotion import PromotionState
from ledger.reads.access import visible_location
from ledger.reads.paging import DEFAULT_LIMIT, Page, check_limit, fingerprint, read_cursor, write_cursor
from ledger.reads.promotions import promotion_view, visible_promotion
from ledger.tables import (
    item,
    journey,
    location,
    promotion,
    promotion_look,
    promotion_look_place,
    promotion_proposal,
    transfer,
)

MOST_LISTED = 200  # places and proposals of a page


class LookView(BaseModel):
    """A look: what was found of the whole promotion until `at`. `transfers`: how many it asked for."""

    number: int
    at: datetime
    figures: LookFigures
    margin_permille: int | None
    uplift_permille: int | None
    override_permille: int | None


class LookPlaceView(BaseModel):
    """A place as the latest look has found it. `pace` is how many times its forecast it sells; `surge_hours` the window
    in which it surges, None with a surge: since the promotion began. Units; money in minor units.
    """

    location: str
    state: str
    sold_units: int
    expected_units: float
    usual_units: float
    receipts: int
    pace: float
    surge_hours: int | None
    surge_sold: int | None
    surge_expected: float | None
    available: int
    inbound: int
    cover_days: float | None
    short_items: int
    revenue_minor: int
    cost_minor: int


class ProposalView(BaseModel):
    """Units that a look has proposed to move, with why, and what became of it. `agreed_at`: nobody had to be asked, or
    somebody has agreed.
    """

    look: int
    at: datetime
    sku: str
    name: str
    from_location: str
    to_location: str
    quantity: int
    because: str
    transfer_id: str
    transfer_state: str
    approval_id: int | None
    agreed_at: datetime | None


class LatestLook(BaseModel):
    """The latest look with its places, those that surge first, and all that was proposed for the promotion, latest
    first.
    """

    look: LookView
    course: list[Course]
    places: list[LookPlaceView]
    more_places: int
    proposals: list[ProposalView]


_ORDER = case({"surge": 0, "short": 1, "slow": 2}, value=promotion_look_place.c.state, else_=3)


def _view(number: int, at: datetime, stored: object) -> LookView:
    figures = LookFigures.model_validate(stored)
    return LookView(
        number=number,
        at=at,
        figures=figures,
        margin_permille=figures.margin_permille,
        uplift_permille=figures.uplift_permille,
        override_permille=figures.override_permille,
    )


async def latest_look(conn: AsyncConnection, viewer: Person | None, journey_id: str) -> LatestLook | None:
    """None for a promotion that was not looked at yet. Whoever may see the promotion is settled by the caller; places
    are those that the viewer may see.
    """
    own = promotion_look.c
    found = await conn.execute(
        select(own.number, own.at, own.figures, own.course)
        .where(own.journey_id == journey_id)
        .order_by(own.number.desc())
        .limit(1)
    )
    row = found.first()
    if row is None:
        return None
    seen = promotion_look_place.c
    places = await conn.execute(
        select(*(seen[name] for name in LookPlaceView.model_fields))
        .join(location, location.c.code == seen.location)
        .where(seen.journey_id == journey_id, visible_location(viewer))
        .order_by(_ORDER, seen.cover_days.asc().nulls_last(), seen.location)
    )
    listed = [LookPlaceView.model_validate(dict(one)) for one in places.mappings()]
    return LatestLook(
        look=_view(row.number, row.at, row.figures),
        course=[Course.model_validate(one) for one in row.course],
        places=listed[:MOST_LISTED],
        more_places=max(len(listed) - MOST_LISTED, 0),
        proposals=await _proposals(conn, viewer, journey_id),
    )


async def _proposals(conn: AsyncConnection, viewer: Person | None, journey_id: str) -> list[ProposalView]:
    own = promotion_proposal.c
    rows = await conn.execute(
        select(
            own.look, own.at, own.sku, item.c.name, own.from_location, own.to_location, own.quantity, own.because,
            own.transfer_id, journey.c.state.label("transfer_state"),
            journey.c.asks["approval_id"].as_integer().label("approval_id"), transfer.c.approved_at.label("agreed_at"),
        )
        .join(journey, journey.c.id == own.transfer_id)
        .join(transfer, transfer.c.journey_id == own.transfer_id)
        .join(item, item.c.sku == own.sku)
        .join(location, location.c.code == own.to_location)
        .where(own.journey_id == journey_id, visible_location(viewer))
        .order_by(own.id.desc())
        .limit(MOST_LISTED)
    )  # fmt: skip
    return [ProposalView.model_validate(dict(row)) for row in rows.mappings()]


async def list_looks(
    conn: AsyncConnection,
    viewer: Person | None,
    promotion_id: str,
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
    sources: Collection[str] | None = None,
) -> Page[LookView]:
    """Looks at a promotion, the latest first. Raises `NotFound`, and `Malformed` for a cursor of another list."""
    about = (await promotion_view(conn, viewer, promotion_id, sources=sources)).journey_id
    mark = fingerprint("looks", {"of": about})
    after = read_cursor(mark, cursor, value_type=datetime, id_type=int)
    own = promotion_look.c
    query = select(own.number, own.at, own.figures).where(own.journey_id == about)
    if after is not None:
        query = query.where(own.number < after.id)
    rows = (await conn.execute(query.order_by(own.number.desc()).limit(check_limit(limit) + 1))).all()
    looks = [_view(row.number, row.at, row.figures) for row in rows[:limit]]
    more = len(rows) > limit
    return Page(items=looks, next=write_cursor(mark, looks[-1].at, looks[-1].number) if more else None)


class RunningPromotion(BaseModel):
    """A promotion that runs, on the first page; `look` is None until it was looked at."""

    journey_id: str
    promotion_id: str
    name: str
    currency: str
    ends_at: datetime
    look: LookView | None


async def running_promotions(
    conn: AsyncConnection, viewer: Person, *, limit: int
) -> tuple[list[RunningPromotion], int]:
    """Those that run where the viewer sees something, the most surging first; and how many there are."""
    newest = (
        select(promotion_look.c.number, promotion_look.c.at, promotion_look.c.figures)
        .where(promotion_look.c.journey_id == promotion.c.journey_id)
        .order_by(promotion_look.c.number.desc())
        .limit(1)
        .lateral("newest")
    )
    surging = func.coalesce(newest.c.figures["surging"].as_integer(), 0)
    rows = (
        await conn.execute(
            select(
                promotion.c.journey_id, promotion.c.promotion_id, promotion.c.name, journey.c.currency,
                promotion.c.ends_at, newest.c.number, newest.c.at, newest.c.figures,
            )
            .select_from(promotion)
            .join(journey, journey.c.id == promotion.c.journey_id)
            .join(newest, newest.c.number.is_not(None), isouter=True)
            .where(promotion.c.state == PromotionState.ACTIVE, visible_promotion(viewer))
            .order_by(surging.desc(), promotion.c.ends_at, promotion.c.journey_id)
        )
    ).all()  # fmt: skip
    return [
        RunningPromotion(
            journey_id=row.journey_id, promotion_id=row.promotion_id, name=row.name, currency=row.currency,
            ends_at=row.ends_at, look=None if row.number is None else _view(row.number, row.at, row.figures),
        )
        for row in rows[:limit]
    ], len(rows)  # fmt: skip

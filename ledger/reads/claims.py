"""Reads of claims against carriers: the list, and one with the line that it is about."""

from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from ledger.reads.paging import DEFAULT_LIMIT, Page, check_limit, fingerprint, read_cursor, write_cursor
from ledger.reads.transfers import visible_transfer
from ledger.tables import carrier_claim, item, journey, location, transfer_line

OPEN_CLAIMS = ("opened", "sent", "accepted")  # money may still come


class ClaimFilter(BaseModel):
    """Every field narrows the list; `state` is a state, or `open`: money may still come of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: str | None = None
    carrier: str | None = None
    location: str | None = None


class ClaimRow(BaseModel):
    """A claim with what it is about. `accepted_minor` means something once the carrier has answered; `root_cause` is
    that of its line.
    """

    id: int
    journey_id: str
    state: str
    sku: str
    item_name: str
    quantity: int
    location: str
    region: str
    entity: str
    carrier: str
    tracking: str
    currency: str
    amount_minor: int
    accepted_minor: int
    reference: str
    root_cause: str | None
    opened_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    paid_at: datetime | None

    @property
    def is_answered(self) -> bool:
        return self.answered_at is not None


class Owed(NamedTuple):
    """What carriers may still pay, of one currency: claimed and not answered, and accepted and not paid."""

    currency: str
    asked_minor: int
    accepted_minor: int


def _claims(viewer: Person | None, *fits: ColumnElement[bool]) -> Select[Any]:
    about = (*(column for column in carrier_claim.c if column.name not in ("line_id", "recorded_at")),)
    return (
        select(*about, location.c.region, item.c.name.label("item_name"), transfer_line.c.root_cause)
        .join(journey, journey.c.id == carrier_claim.c.journey_id)
        .join(location, location.c.code == carrier_claim.c.location)
        .join(item, item.c.sku == carrier_claim.c.sku)
        .join(
            transfer_line,
            (transfer_line.c.journey_id == carrier_claim.c.journey_id)
            & (transfer_line.c.line_id == carrier_claim.c.line_id),
        )
        .where(visible_transfer(viewer), *fits)
    )


def _where(filters: ClaimFilter) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = []
    if filters.state is not None:
        states = OPEN_CLAIMS if filters.state == "open" else (filters.state,)
        clauses.append(carrier_claim.c.state.in_(states))
    if filters.carrier is not None:
        clauses.append(carrier_claim.c.carrier == filters.carrier)
    if filters.location is not None:
        clauses.append(carrier_claim.c.location == filters.location)
    return clauses


async def list_claims(
    conn: AsyncConnection,
    viewer: Person | None,
    filters: ClaimFilter,
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[ClaimRow]:
    """Newest first. Raises `Malformed` for a cursor of another list or a limit out of bounds."""
    mark = fingerprint("claims", filters.model_dump())
    after = read_cursor(mark, cursor, value_type=int, id_type=int)
    query = _claims(viewer, *_where(filters)).order_by(carrier_claim.c.id.desc()).limit(check_limit(limit) + 1)
    if after is not None:
        query = query.where(carrier_claim.c.id < after.id)
    rows = (await conn.execute(query)).mappings().all()
    items = [ClaimRow.model_validate(dict(row)) for row in rows[:limit]]
    more = len(rows) > limit
    return Page(items=items, next=write_cursor(mark, items[-1].id, items[-1].id) if more else None)


async def claim_row(conn: AsyncConnection, viewer: Person | None, claim_id: int) -> ClaimRow:
    """One claim. Raises `NotFound` for one of a transfer that the viewer may not see."""
    row = (await conn.execute(_claims(viewer, carrier_claim.c.id == claim_id))).mappings().first()
    if row is None:
        raise NotFound(f"There is no claim {claim_id} that you may see.")
    return ClaimRow.model_validate(dict(row))


async def owed(conn: AsyncConnection, viewer: Person | None) -> list[Owed]:
    """What may still come, by currency: what the books hold as claims against carriers, for whoever sees them all."""
    some = _claims(viewer, carrier_claim.c.state.in_(OPEN_CLAIMS)).subquery()
    asked, accepted = _sum(some, ("opened", "sent"), "amount_minor"), _sum(some, ("accepted",), "accepted_minor")
    query = select(some.c.currency, asked, accepted).group_by(some.c.currency).order_by(some.c.currency)
    return [Owed(row[0], int(row[1]), int(row[2])) for row in await conn.execute(query)]


def _sum(some: Any, states: tuple[str, ...], column: str) -> ColumnElement[int]:
    return func.coalesce(func.sum(some.c[column]).filter(some.c.state.in_(states)), 0)

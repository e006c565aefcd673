"""Lists of claims against vendors: what each is worth, what it waits for, and what of all of them is open."""

from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import BigInteger, ColumnElement, case, cast, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.reads.access import visible
from ledger.reads.paging import DEFAULT_LIMIT, Page, check_limit, contains, fingerprint, read_cursor, write_cursor
from ledger.tables import claim, claim_line, funding_agreement, journey

Tab = Literal["open", "agree", "vendor", "asked", "pay", "over"]
TABS: tuple[Tab, ...] = ("open", "agree", "vendor", "asked", "pay", "over")
_IS_OPEN = journey.c.closed_at.is_(None)
_UNPAID = claim.c.accepted_minor - claim.c.settled_minor
_OPEN_MINOR = case(
    (
        claim.c.is_billed,
        claim.c.amount_minor - claim.c.settled_minor - claim.c.released_minor - claim.c.written_off_minor
        - claim.c.reclaimed_minor,
    ),
    else_=0,
)  # fmt: skip
# What a tab shows: all that are open; what we have to agree to or hand over; what the vendor has to answer; what waits
# for somebody's decision; what was accepted and is not paid; what is over.
_OF_TAB: dict[str, ColumnElement[bool]] = {
    "open": _IS_OPEN,
    "agree": journey.c.state.in_(("prepared", "approved")),
    "vendor": journey.c.state.in_(("sent", "disputed")),
    "asked": _IS_OPEN & journey.c.asks.has_key("case_id"),
    "pay": _IS_OPEN & (_UNPAID > 0),
    "over": journey.c.closed_at.is_not(None),
}


class ClaimFilter(BaseModel):
    """Every field narrows the list. `text` is a part of the number, of the vendor's name or of its reference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tab: Tab | None = None
    state: str | None = None
    vendor: str | None = None
    agreement: str | None = None
    entity: str | None = None
    promotion: str | None = None
    text: str | None = None


class ClaimSummary(BaseModel):
    """A claim in a list. `due_at` is the next instant of its own clock, `due` its name, `now` that clock's time."""

    journey_id: str
    claim_id: str
    source: str
    state: str
    suspended: bool
    kind: str
    vendor: str
    vendor_name: str
    agreement_id: str
    agreement_number: str
    entity: str
    currency: str
    amount_minor: int
    accepted_minor: int
    settled_minor: int
    given_up_minor: int
    open_minor: int
    answered: bool
    disputes: int
    frozen_at: datetime
    sent_at: datetime | None
    due: str
    due_at: datetime | None
    now: datetime
    case_id: int | None
    approval_id: int | None
    closed_at: datetime | None


class Owed(NamedTuple):
    """What is open of the claims of one currency, and how many they are."""

    currency: str
    claims: int
    claimed_minor: int
    open_minor: int
    settled_minor: int


def _where(filters: ClaimFilter) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = []
    if filters.tab is not None:
        clauses.append(_OF_TAB[filters.tab])
    if filters.state is not None:
        clauses.append(journey.c.state.in_([word for word in filters.state.split(",") if word]))
    for column, wanted in (
        (claim.c.vendor, filters.vendor),
        (claim.c.agreement_id, filters.agreement),
        (journey.c.entity, filters.entity),
    ):
        if wanted is not None:
            clauses.append(column == wanted)
    if filters.promotion is not None:
        lines = select(claim_line.c.journey_id).where(claim_line.c.promotion_id == filters.promotion)
        clauses.append(claim.c.journey_id.in_(lines))
    if filters.text is not None:
        like = contains(filters.text)
        places = (journey.c.id, funding_agreement.c.vendor_name, claim.c.vendor, claim.c.reference)
        clauses.append(or_(*(column.ilike(like, escape="\\") for column in places)))
    return clauses


def _from(viewer: Person | None, filters: ClaimFilter, *columns: Any) -> Any:
    return (
        select(*columns)
        .select_from(claim)
        .join(journey, journey.c.id == claim.c.journey_id)
        .join(funding_agreement, funding_agreement.c.id == claim.c.agreement_id)
        .where(visible(journey.c, viewer), *_where(filters))
    )


_COLUMNS = (
    journey.c.id.label("journey_id"),
    journey.c.key.label("claim_id"),
    *(journey.c[name] for name in ("source", "state", "entity", "asks", "dues", "clock_offset_s", "closed_at")),
    journey.c.suspended_from.is_not(None).label("suspended"),
    *(claim.c[name] for name in ("kind", "vendor", "agreement_id", "currency", "amount_minor", "accepted_minor")),
    *(claim.c[name] for name in ("settled_minor", "disputes", "frozen_at", "sent_at")),
    (claim.c.released_minor + claim.c.written_off_minor + claim.c.reclaimed_minor).label("given_up_minor"),
    _OPEN_MINOR.label("open_minor"),
    claim.c.answered_at.is_not(None).label("answered"),
    funding_agreement.c.vendor_name,
    funding_agreement.c.number.label("agreement_number"),
    func.now().label("now"),
)


async def list_claims(
    conn: AsyncConnection,
    viewer: Person | None,
    filters: ClaimFilter | None = None,
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[ClaimSummary]:
    """Those that were frozen last come first. Raises `Malformed` for a cursor of another list."""
    filters = filters or ClaimFilter()
    mark = fingerprint("vendor claims", filters.model_dump())
    after = read_cursor(mark, cursor, value_type=datetime, id_type=str)
    query = _from(viewer, filters, *_COLUMNS)
    order = claim.c.frozen_at, claim.c.journey_id
    if after is not None:
        query = query.where(tuple_(*order) < tuple_(after.value, after.id))
    query = query.order_by(*(column.desc() for column in order)).limit(check_limit(limit) + 1)
    rows = (await conn.execute(query)).mappings().all()
    items = [_summary(dict(row)) for row in rows[:limit]]
    more = len(rows) > limit
    return Page(items=items, next=write_cursor(mark, items[-1].frozen_at, items[-1].journey_id) if more else None)


def _summary(row: dict[str, Any]) -> ClaimSummary:
    dues = sorted((datetime.fromisoformat(at), name) for name, at in row["dues"].items() if at)
    due_at, due = dues[0] if dues else (None, "")
    now = row["now"] + timedelta(seconds=row["clock_offset_s"])
    asks = row["asks"]
    return ClaimSummary.model_validate(
        {**row, "due": due, "due_at": due_at, "now": now, "case_id": asks.get("case_id"),
         "approval_id": asks.get("approval_id")}
    )  # fmt: skip


def _total(column: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.sum(column), BigInteger)


async def owed(conn: AsyncConnection, viewer: Person | None, filters: ClaimFilter) -> list[Owed]:
    """What is open of all claims of the list, by currency."""
    rows = await conn.execute(
        _from(
            viewer,
            filters,
            claim.c.currency,
            func.count(),
            _total(claim.c.amount_minor),
            _total(_OPEN_MINOR),
            _total(claim.c.settled_minor),
        )
        .group_by(claim.c.currency)
        .order_by(claim.c.currency)
    )
    return [Owed(*row) for row in rows]


async def of_tabs(conn: AsyncConnection, viewer: Person | None, filters: ClaimFilter) -> dict[str, int]:
    """How many there are under each tab, by the other filters."""
    others = filters.model_copy(update={"tab": None})
    counted = [func.count().filter(_OF_TAB[tab]).label(tab) for tab in TABS]
    row = (await conn.execute(_from(viewer, others, *counted))).one()
    return {tab: int(getattr(row, tab)) for tab in TABS}

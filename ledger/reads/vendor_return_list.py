"""The list of vendor returns, and what each vendor owes by age."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from domain.vendor_returns import WITH_US, VendorReturnState
from ledger.reads.access import visible
from ledger.reads.paging import DEFAULT_LIMIT, Page, check_limit, fingerprint, read_cursor, write_cursor
from ledger.tables import vendor_return, vendor_return_line

OWED = (VendorReturnState.SHIPPED.value, VendorReturnState.SHORT_CREDITED.value)
GROUPS = {"waiting": tuple(sorted(state.value for state in WITH_US)), "owed": OWED}
BANDS_D = (30, 60, 90)
Order = Literal["newest", "longest", "value"]


class VendorReturnFilter(BaseModel):
    """Every field narrows the list. `state` is a state, `waiting` (still here) or `owed` (the vendor owes something of
    it); `older_d` keeps what was shipped, or opened where it was not, so many days ago or earlier.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: str | None = None
    vendor: str | None = None
    location: str | None = None
    region: str | None = None
    older_d: int | None = Field(None, ge=0, le=3_650)
    by: Order = "newest"


class VendorReturnRow(BaseModel):
    """A vendor return in the list. Money in minor units; `open_minor` is what the vendor still owes."""

    id: str
    key: str
    source: str
    vendor: str
    state: str
    location: str
    region: str
    entity: str
    currency: str
    authorization: str
    units: int
    cost_minor: int
    credited_minor: int
    written_off_minor: int
    open_minor: int
    approval_id: int | None
    opened_at: datetime
    shipped_at: datetime | None
    credit_due_at: datetime | None
    closed_at: datetime | None


_T = vendor_return.c
OPEN_MINOR: ColumnElement[int] = func.greatest(_T.cost_minor - _T.credited_minor - _T.written_off_minor, 0)
_SINCE = func.coalesce(_T.shipped_at, _T.opened_at)
_SORT: dict[str, tuple[ColumnElement[Any], bool, type[int | datetime]]] = {
    "newest": (_T.opened_at, True, datetime),
    "longest": (_SINCE, False, datetime),
    "value": (OPEN_MINOR, True, int),
}


def _where(viewer: Person | None, filters: VendorReturnFilter, now: datetime) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = [visible(_T, viewer)]
    if filters.state is not None:
        clauses.append(_T.state.in_(GROUPS.get(filters.state, (filters.state,))))
    for name in ("vendor", "location", "region"):
        wanted = getattr(filters, name)
        if wanted is not None:
            clauses.append(_T[name] == wanted)
    if filters.older_d is not None:
        clauses.append(now - timedelta(days=filters.older_d) >= _SINCE)
    return clauses


async def list_vendor_returns(
    conn: AsyncConnection,
    viewer: Person | None,
    filters: VendorReturnFilter,
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[VendorReturnRow]:
    """In the order that the filter says. Raises `Malformed` for a cursor of another list or a limit out of bounds."""
    mark = fingerprint("vendor returns", filters.model_dump())
    column, is_falling, value_type = _SORT[filters.by]
    after = read_cursor(mark, cursor, value_type=value_type, id_type=str)
    units = (
        select(func.coalesce(func.sum(vendor_return_line.c.quantity), 0))
        .where(vendor_return_line.c.vendor_return_id == _T.id)
        .scalar_subquery()
    )
    names = [name for name in VendorReturnRow.model_fields if name in _T]
    query = select(
        *(_T[name] for name in names), units.label("units"), OPEN_MINOR.label("open_minor"), column.label("sorted_by")
    ).where(*_where(viewer, filters, datetime.now(UTC)))
    if after is not None:
        here, there = tuple_(column, _T.id), tuple_(*(func.coalesce(one) for one in (after.value, after.id)))
        query = query.where(here < there if is_falling else here > there)
    ways = (column.desc(), _T.id.desc()) if is_falling else (column.asc(), _T.id.asc())
    rows = (await conn.execute(query.order_by(*ways).limit(check_limit(limit) + 1))).mappings().all()
    items = [VendorReturnRow.model_validate(dict(row)) for row in rows[:limit]]
    more = len(rows) > limit
    return Page(items=items, next=write_cursor(mark, rows[limit - 1]["sorted_by"], items[-1].id) if more else None)


class Owing(NamedTuple):
    """What a vendor owes, by the days since the goods left: `bands` are up to 30, 60, 90 days, and over."""

    vendor: str
    currency: str
    documents: int
    bands: tuple[int, ...]
    total_minor: int


async def owing(conn: AsyncConnection, viewer: Person | None, filters: VendorReturnFilter) -> Sequence[Owing]:
    """Vendors that owe something, by what the filters say of place and vendor; most first."""
    now = datetime.now(UTC)
    ends = [now - timedelta(days=days) for days in BANDS_D]
    edges = [None, *ends, None]
    sums = []
    for number in range(len(BANDS_D) + 1):
        newer, older = edges[number], edges[number + 1]
        fits = [_T.shipped_at <= newer] if newer is not None else []
        fits += [_T.shipped_at > older] if older is not None else []
        sums.append(func.coalesce(func.sum(OPEN_MINOR).filter(*fits), 0))
    narrowed = VendorReturnFilter(state="owed", vendor=filters.vendor, location=filters.location, region=filters.region)
    total = func.sum(OPEN_MINOR)
    query = (
        select(_T.vendor, _T.currency, func.count(), *sums, total)
        .where(*_where(viewer, narrowed, now))
        .group_by(_T.vendor, _T.currency)
        .order_by(total.desc(), _T.vendor, _T.currency)
        .limit(50)
    )
    return [
        Owing(row[0], row[1], row[2], tuple(int(one) for one in row[3:-1]), int(row[-1]))
        for row in await conn.execute(query)
    ]

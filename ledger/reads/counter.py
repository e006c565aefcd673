"""What the counter of a store needs for returns: which are awaited, which one stands on a parcel, what was bought."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, RowMapping, Text, literal_column, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.ids import journey_id, receipt_document
from domain.returns import AWAITING_GOODS
from ledger.reads.store import StorePlace
from ledger.tables import api_key, journey, location

KIND = "returns"
OWN = "console"  # the source of a return of goods that no system here has sold
AT_MOST = 200


class Awaited(NamedTuple):
    """A return that is to come to a place. `due_at` is on the return's own clock, `now` is that clock's."""

    journey_id: str
    key: str
    method: str
    units: int
    due_at: datetime | None
    now: datetime


_AWAITED = text(
    "SELECT j.id, j.key, j.detail ->> 'method' AS method, now() + make_interval(secs => j.clock_offset_s) AS now,"
    " sum(greatest(l.claimed - l.received, 0))::int AS units, j.dues ->> 'goods' AS due_at"
    " FROM journey j JOIN return_line l ON l.journey_id = j.id"
    " WHERE j.kind = 'returns' AND j.closed_at IS NULL AND j.location = :location AND j.state = ANY(:states)"
    " AND coalesce(l.ruling ->> 'refused', '') = '' GROUP BY j.id"
    " ORDER BY j.dues ->> 'goods' NULLS LAST, j.id LIMIT :most"
)


async def awaited(conn: AsyncConnection, place: StorePlace) -> list[Awaited]:
    """Returns whose goods are to come here, the one that is due first at the top."""
    states = sorted(state.value for state in AWAITING_GOODS)
    rows = await conn.execute(_AWAITED, {"location": place.code, "states": states, "most": AT_MOST})
    return [
        Awaited(
            row.id, row.key, row.method, row.units, datetime.fromisoformat(row.due_at) if row.due_at else None, row.now
        )
        for row in rows
    ]


# As the index has it: a parameter in place of the word would not be found by it.
_LABEL: ColumnElement[str] = literal_column("journey.detail ->> 'label'", Text)


async def return_here(conn: AsyncConnection, place: StorePlace, named: str) -> RowMapping:
    """The return that is to come here, or whose reference is on the parcel: then it may be expected elsewhere.

    `named` is its journey's id, or its reference. Raises `NotFound`, also for another company's.
    """
    rows = await conn.execute(
        select(journey).where(
            journey.c.kind == KIND,
            journey.c.entity == place.entity,
            or_((journey.c.id == named) & (journey.c.location == place.code), _LABEL.in_([named.strip().upper()])),
        )
    )
    found = rows.mappings().first()
    if found is None:
        raise NotFound(f"There is no return {named[:80]} that is to come to {place.name}.")
    return found


class FoundReturn(NamedTuple):
    """A return that a number stands for; `named` is what its page here is called by."""

    journey_id: str
    named: str


class Found(NamedTuple):
    """What a number stands for: a return with its page, or a sale of which something can come back."""

    returns: list[FoundReturn]
    sales: list["Sale"]


class Sale(NamedTuple):
    """A sale: an order, or a receipt of a till. `reference` names it in an address."""

    reference: str
    source: str
    number: str
    bought_at: str  # the place's name
    is_order: bool


class SoldLine(NamedTuple):
    """A line of a sale; `left` are units that the customer has and that no open return has announced."""

    line_id: str
    sku: str
    name: str
    sold: int
    left: int


async def look_up(conn: AsyncConnection, place: StorePlace, number: str, bought_at: str) -> Found:
    """Whatever a number on a parcel, a mail or a receipt stands for. `bought_at` is the place of a receipt."""
    given = number.strip()
    sources = list((await conn.execute(select(api_key.c.source).distinct().order_by(api_key.c.source))).scalars())
    own = [journey_id(KIND, source, given) for source in (*sources, OWN)]
    here = journey.c.id.in_(own) & (journey.c.location == place.code)
    rows = await conn.execute(
        select(journey.c.id, journey.c.location)
        .where(journey.c.kind == KIND, journey.c.entity == place.entity, or_(here, _LABEL.in_([given.upper()])))
        .order_by(journey.c.id)
    )
    returns = [FoundReturn(row.id, row.id if row.location == place.code else given.upper()) for row in rows]
    orders = await conn.execute(
        select(journey.c.id, journey.c.source, journey.c.key, location.c.name)
        .join(location, location.c.code == journey.c.location)
        .where(
            journey.c.id.in_([journey_id("bopis", source, given) for source in (*sources, OWN)]),
            journey.c.entity == place.entity,
        )
        .order_by(journey.c.id)
    )
    sales = [Sale(row.id, row.source, row.key, row.name, is_order=True) for row in orders]
    sales += await _receipts(conn, place, sources, given, bought_at)
    known = {one.journey_id for one in returns}
    announced = [one for one in await _announced(conn, place, sales) if one.journey_id not in known]
    return Found([*returns, *announced], sales)


_ANNOUNCED = text(
    "SELECT DISTINCT j.id, j.location, j.detail ->> 'label' AS label FROM return_line l"
    " JOIN journey j ON j.id = l.journey_id WHERE l.document = ANY(:documents) AND j.closed_at IS NULL"
    " AND j.entity = :entity AND j.state = ANY(:states) AND j.detail ->> 'label' IS NOT NULL ORDER BY j.id"
)


async def _announced(conn: AsyncConnection, place: StorePlace, sales: Sequence[Sale]) -> list[FoundReturn]:
    """Returns that are awaited of these sales: whoever brings their goods shows the receipt."""
    values = {
        "documents": [one.reference for one in sales],
        "entity": place.entity,
        "states": sorted(state.value for state in AWAITING_GOODS),
    }
    rows = await conn.execute(_ANNOUNCED, values)
    return [FoundReturn(row.id, row.id if row.location == place.code else row.label) for row in rows]


_RECEIPTS = text(
    "SELECT DISTINCT s.document, l.name FROM sale_line s, location l"
    " WHERE s.document = ANY(:documents) AND s.entity = :entity AND l.code = :at ORDER BY s.document"
)


async def _receipts(
    conn: AsyncConnection, place: StorePlace, sources: Sequence[str], number: str, at: str
) -> list[Sale]:
    documents = {receipt_document(source, at, number): source for source in sources}
    rows = await conn.execute(_RECEIPTS, {"documents": sorted(documents), "entity": place.entity, "at": at})
    return [Sale(row.document, documents[row.document], number, row.name, is_order=False) for row in rows]


_LINES = text(
    "SELECT s.line_id, s.sku, i.name, s.handed_over AS sold, (s.handed_over - s.returned - coalesce(("
    "   SELECT sum(l.claimed - l.booked) FROM return_line l JOIN journey j ON j.id = l.journey_id"
    "   WHERE l.document = s.document AND l.sale_line_id = s.line_id AND j.closed_at IS NULL AND l.claimed > l.booked"
    "   AND coalesce(l.ruling ->> 'refused', '') = ''), 0))::int AS remaining"
    " FROM sale_line s JOIN item i ON i.sku = s.sku"
    " WHERE s.document = :document AND s.entity = :entity AND s.line_id NOT LIKE 'charge:%' AND s.handed_over > 0"
    " ORDER BY s.line_id"
)


async def sold_lines(conn: AsyncConnection, place: StorePlace, document: str) -> list[SoldLine]:
    """What was sold by a document of the same company. Raises `NotFound` where nothing was handed over by it."""
    rows = await conn.execute(_LINES, {"document": document, "entity": place.entity})
    found = [SoldLine(row.line_id, row.sku, row.name, row.sold, max(row.remaining, 0)) for row in rows]
    if not found:
        raise NotFound("Nothing was handed over by that order or receipt, or it is another company's.")
    return found


async def sale_of(conn: AsyncConnection, place: StorePlace, reference: str) -> dict[str, Any]:
    """What a document is: `number`, `source`, `at` (the place of a receipt), `is_order`. Raises `NotFound`."""
    if reference.startswith("receipt:") and reference.count(":") >= 3:
        _, source, at, number = reference.split(":", 3)
        return {"number": number, "source": source, "at": at, "is_order": False}
    row = (
        await conn.execute(
            select(journey.c.key, journey.c.source).where(
                journey.c.id == reference, journey.c.kind == "bopis", journey.c.entity == place.entity
            )
        )
    ).first()
    if row is None:
        raise NotFound("There is no such order or receipt.")
    return {"number": row.key, "source": row.source, "at": None, "is_order": True}


async def is_begun(conn: AsyncConnection, own: str) -> bool:
    """Whether there is a return of this id already."""
    return (await conn.execute(select(journey.c.id).where(journey.c.id == own))).first() is not None


async def currency_of(conn: AsyncConnection, place: StorePlace) -> str:
    found = await conn.execute(text("SELECT currency FROM entity WHERE code = :entity"), {"entity": place.entity})
    return str(found.scalar_one())

"""What waits to go back to a vendor and that no document has gathered: by place, and item by item at one."""

from typing import NamedTuple

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from domain.vendor_returns import WITH_US
from ledger.reads.access import visible_location
from ledger.tables import entity, funding_agreement, location, vendor_return

MOST = 500  # lines of a document, and no more of them on its form


class PlaceWaiting(NamedTuple):
    """A place at which units wait; `region` and `entity` say who acts for it, `currency` in what its books are."""

    location: str
    name: str
    region: str
    entity: str
    currency: str
    items: int
    units: int


class Waiting(NamedTuple):
    """Units of an item that wait, with what they stand for in the books (minor units), and who took it back the last
    time ("" for nobody).
    """

    sku: str
    name: str
    units: int
    value_minor: int
    vendor: str


# What has waited anywhere was posted when it came to wait: a partial index knows those few among all stock.
_LEFT = """
    WITH posted AS (
        SELECT location, sku, sum(debit_minor - credit_minor)::bigint AS value_minor
        FROM journal_line WHERE account = 'vendor_returns' {at} GROUP BY location, sku
    ), gathered AS (
        SELECT d.location, l.sku, sum(l.quantity)::bigint AS units
        FROM vendor_return d JOIN vendor_return_line l ON l.vendor_return_id = d.id
        WHERE d.closed_at IS NULL AND d.state = ANY(:states) GROUP BY d.location, l.sku
    ), waiting AS (
        SELECT p.location, p.sku, p.value_minor, s.vendor_return_pending AS pending,
            s.vendor_return_pending - coalesce(g.units, 0) AS units
        FROM posted p
        JOIN stock s ON s.location = p.location AND s.sku = p.sku
        LEFT JOIN gathered g ON g.location = p.location AND g.sku = p.sku
        WHERE s.vendor_return_pending > coalesce(g.units, 0)
    )
"""
_STATES = sorted(state.value for state in WITH_US)
_PLACES = text(
    _LEFT.format(at="")  # noqa: S608  our own words alone
    + " SELECT location, count(*)::int AS items, sum(units)::int AS units FROM waiting"
    " GROUP BY location ORDER BY location"
)
_ITEMS = text(
    _LEFT.format(at="AND location = :location")  # noqa: S608  our own words alone
    + """
    SELECT w.sku, i.name, w.units::int AS units, (w.value_minor * w.units / w.pending)::bigint AS value_minor,
        coalesce(last.vendor, '') AS vendor
    FROM waiting w JOIN item i ON i.sku = w.sku
    LEFT JOIN LATERAL (
        SELECT d.vendor FROM vendor_return_line l JOIN vendor_return d ON d.id = l.vendor_return_id
        WHERE l.sku = w.sku AND d.state <> 'cancelled' ORDER BY d.opened_at DESC, d.id LIMIT 1
    ) last ON true
    ORDER BY i.name, w.sku LIMIT :most
    """
)


async def waiting_places(conn: AsyncConnection, viewer: Person) -> list[PlaceWaiting]:
    """The places that the viewer sees at which something waits, by their code."""
    rows = {row.location: row for row in await conn.execute(_PLACES, {"states": _STATES})}
    columns = (location.c.code, location.c.name, location.c.region, location.c.entity, entity.c.currency)
    seen = await conn.execute(
        select(*columns)
        .join(entity, entity.c.code == location.c.entity)
        .where(location.c.code.in_(rows), visible_location(viewer))
        .order_by(location.c.code)
    )
    return [PlaceWaiting(*row, rows[row.code].items, rows[row.code].units) for row in seen]


async def waiting_at(conn: AsyncConnection, code: str) -> list[Waiting]:
    """What waits at a place, by name; at most as many items as a document can have."""
    rows = await conn.execute(_ITEMS, {"states": _STATES, "location": code, "most": MOST})
    return [Waiting(*row) for row in rows]


async def known_vendors(conn: AsyncConnection, of_entity: str) -> list[str]:
    """Who has taken something back from an entity, or has agreed with it to pay of promotions."""
    named = select(vendor_return.c.vendor).where(vendor_return.c.entity == of_entity)
    agreed = select(funding_agreement.c.vendor).where(funding_agreement.c.entity == of_entity)
    both = named.union(agreed).subquery()
    rows = await conn.execute(select(both.c.vendor).order_by(both.c.vendor).limit(200))
    return [str(name) for name in rows.scalars()]

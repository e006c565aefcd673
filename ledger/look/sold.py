"""What was sold of a promotion's items at its places, read from movements set-based; and the hours kept of it.

A sale at the till counts when it happened, an order when it was placed, whatever becomes of it: that is demand. A
receipt counts once, however many of the items stand on it. Nothing here is told of a sale: a look reads what was
recorded since the last one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

# A transaction that was under way while a look read is in the next one: it counts from this much earlier on.
OVERLAP = timedelta(minutes=15)

# `begins` and `ends` on the promotion's clock; movements carry the wall's, `ahead` behind it.
_SOLD = """
    SELECT m.to_location AS location, m.sku, m.quantity AS units, m.at + CAST(:ahead AS interval) AS at,
        m.cause AS receipt, m.cost_minor, m.entity, m.journey_id
    FROM movement m
    WHERE m.sku = ANY(CAST(:skus AS text[])) AND m.to_location = ANY(CAST(:places AS text[]))
      AND m.recorded_at >= CAST(:recorded_from AS timestamptz)
      AND m.at >= CAST(:begins AS timestamptz) - CAST(:ahead AS interval)
      AND m.at < CAST(:ends AS timestamptz) - CAST(:ahead AS interval)
      AND (m.kind = 'sold' AND m.journey_id IS NULL OR m.kind = 'reserved' AND m.cause LIKE 'intake:bopis:%')
"""


class Scope(NamedTuple):
    """Which sales count: of these items at these places. `ahead`: by how much the promotion's clock was moved on;
    `known_at`: when the promotion was recorded, so that no sale of it was recorded before, whatever its own date says.
    """

    skus: Sequence[str]
    places: Sequence[str]
    known_at: datetime
    ahead: timedelta = timedelta(0)

    def given(self, begins: datetime, ends: datetime, recorded_from: datetime | None = None) -> dict[str, Any]:
        return {
            "skus": list(self.skus),
            "places": list(self.places),
            "ahead": self.ahead,
            "begins": begins,
            "ends": ends,
            "recorded_from": recorded_from or min(begins - self.ahead - timedelta(days=1), self.known_at),
        }


_PAST_ITEMS = text(
    f"""
    SELECT location, sku, count(DISTINCT receipt) AS receipts, sum(units) AS units FROM ({_SOLD}) s
    GROUP BY location, sku
    """  # noqa: S608  a constant of this module
)
_PAST_HOURS = text(
    f"""
    SELECT location, ((extract(isodow FROM there)::int - 1) * 24 + extract(hour FROM there)::int) AS hour,
        count(DISTINCT receipt) AS receipts
    FROM (SELECT s.location, s.receipt, s.at AT TIME ZONE l.time_zone AS there
          FROM ({_SOLD}) s JOIN location l ON l.code = s.location) t
    GROUP BY location, 2
    """  # noqa: S608
)


async def past_items(conn: AsyncConnection, scope: Scope, begins: datetime, ends: datetime) -> Sequence[RowMapping]:
    """(location, sku, receipts, units) of a span before the promotion."""
    return (await conn.execute(_PAST_ITEMS, scope.given(begins, ends))).mappings().all()


async def past_hours(conn: AsyncConnection, scope: Scope, begins: datetime, ends: datetime) -> Sequence[RowMapping]:
    """(location, hour of the local week, receipts) of a span before the promotion."""
    return (await conn.execute(_PAST_HOURS, scope.given(begins, ends))).mappings().all()


_TOUCHED = text(f"SELECT date_trunc('hour', min(at)) FROM ({_SOLD}) s")  # noqa: S608
_FORGET = text("DELETE FROM promotion_hour WHERE journey_id = :id AND hour >= CAST(:hour AS timestamptz)")
# What the till took stands in the journal under the event of the receipt, by item; what an order pays, in its lines.
_KEEP = text(
    f"""
    WITH s AS MATERIALIZED (SELECT *, date_trunc('hour', at) AS hour FROM ({_SOLD}) sold),
    cells AS (
        SELECT s.hour, s.location, s.sku, count(DISTINCT s.receipt) AS receipts, sum(s.units) AS units,
            sum(CASE WHEN s.journey_id IS NULL THEN s.cost_minor
                ELSE (s.units * coalesce(a.unit_cost_e4, i.cost_minor * 10000) + 5000) / 10000 END) AS cost
        FROM s JOIN item i ON i.sku = s.sku LEFT JOIN average_cost a ON a.entity = s.entity AND a.sku = s.sku
        GROUP BY s.hour, s.location, s.sku
    ), taken AS (
        SELECT r.hour, r.location, r.sku, sum(l.credit_minor - l.debit_minor) AS revenue
        FROM (SELECT DISTINCT hour, location, sku, receipt, entity FROM s WHERE journey_id IS NULL) r
        JOIN journal j ON j.cause = r.receipt AND j.event = 'pos.sale' AND j.entity = r.entity
        JOIN journal_line l ON l.journal_id = j.id AND l.sku = r.sku
            AND l.account IN ('revenue', 'promotional_discounts')
        GROUP BY r.hour, r.location, r.sku
        UNION ALL
        SELECT r.hour, r.location, r.sku, sum(l.gross_minor - l.discount_minor - l.appeasement_minor
            - CASE WHEN l.tax_included THEN l.tax_minor ELSE 0 END)
        FROM (SELECT DISTINCT hour, location, sku, journey_id FROM s WHERE journey_id IS NOT NULL) r
        JOIN sale_line l ON l.document = r.journey_id AND l.sku = r.sku
        GROUP BY r.hour, r.location, r.sku
    ), money AS (SELECT hour, location, sku, sum(revenue) AS revenue FROM taken GROUP BY hour, location, sku),
    items AS (
        SELECT c.*, coalesce(m.revenue, 0) AS revenue FROM cells c LEFT JOIN money m USING (hour, location, sku)
    ), whole AS (
        SELECT hour, location, count(DISTINCT receipt) AS receipts FROM s GROUP BY hour, location
    )
    INSERT INTO promotion_hour (journey_id, hour, location, sku, receipts, units, revenue_minor, cost_minor)
    SELECT :id, hour, location, sku, receipts, units, revenue, cost FROM items
    UNION ALL
    SELECT :id, i.hour, i.location, '', w.receipts, sum(i.units), sum(i.revenue), sum(i.cost)
    FROM items i JOIN whole w USING (hour, location) GROUP BY i.hour, i.location, w.receipts
    """  # noqa: S608
)


async def keep_hours(
    conn: AsyncConnection, about: str, scope: Scope, begins: datetime, until: datetime, read_until: datetime | None
) -> None:
    """Bring the hours of a promotion up to date: anew from the first hour on of which something was recorded since
    `read_until`, so that what a till tells late counts when it was sold. The promotion is locked.
    """
    since = begins
    if read_until is not None:
        given = scope.given(begins, until, read_until - OVERLAP)
        touched = (await conn.execute(_TOUCHED, given)).scalar()
        if touched is None:
            return
        since = max(begins, touched)
    await conn.execute(_FORGET, {"id": about, "hour": since.replace(minute=0, second=0, microsecond=0)})
    await conn.execute(_KEEP, {"id": about, **scope.given(since, until)})


_OVERRIDDEN = text(
    """
    SELECT location, sum(quantity) AS units, mode() WITHIN GROUP (ORDER BY override_reason) AS reason
    FROM sale_line
    WHERE override_reason IS NOT NULL AND recorded_at >= CAST(:since AS timestamptz)
      AND sku = ANY(CAST(:skus AS text[])) AND location = ANY(CAST(:places AS text[]))
    GROUP BY location ORDER BY units DESC, location
    """
)


async def overridden(conn: AsyncConnection, scope: Scope, begins: datetime) -> Sequence[RowMapping]:
    """(location, units, the reason given most often) of what was sold at a price that somebody at the till has set, by
    when it was recorded.
    """
    given = {"skus": list(scope.skus), "places": list(scope.places), "since": min(begins - scope.ahead, scope.known_at)}
    return (await conn.execute(_OVERRIDDEN, given)).mappings().all()

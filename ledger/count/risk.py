"""The counts of the day: what is most worth counting at each place, chosen by risk, each factor written on its line."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, select, text

from domain.count import risk_score, risk_terms
from domain.ids import OWN_SOURCE
from ledger import reference
from ledger.count.opening import Opening, being_counted, open_count
from ledger.engine import Database
from ledger.idempotency import Answer, body_hash, claim_keys, keep_answer
from ledger.tables import location
from ledger.transaction import Transaction

SOLD_DAYS = 28
VARIANCE_DAYS = 180

# One look at the movements of four weeks for each place and day. What waits for a count, or is below zero, comes first.
_CANDIDATES = text(
    """
    WITH sold AS (
        SELECT sku, sum(quantity)::int AS units FROM movement
        WHERE from_location = :location AND kind IN ('sold', 'handed_over', 'shipped') AND at > :sold_from
            AND recorded_at > :sold_from
        GROUP BY sku
    ), off AS (
        SELECT sku, avg(least(abs(counted - book) * 1000 / greatest(counted, book, 1), 1000))::int AS permille
        FROM count_line WHERE location = :location AND state = 'posted' AND bucket = '' AND counted_at > :off_from
        GROUP BY sku
    )
    SELECT s.sku, s.available, s.count_pending, s.available + s.reserved + s.count_pending AS shelf, s.counted_at,
        coalesce(a.unit_cost_e4, i.cost_minor * 10000) AS unit_cost_e4,
        coalesce(sold.units, 0) AS sold, coalesce(off.permille, 0) AS off_permille
    FROM stock s JOIN item i ON i.sku = s.sku
    LEFT JOIN average_cost a ON a.sku = s.sku AND a.entity = :entity
    LEFT JOIN sold ON sold.sku = s.sku LEFT JOIN off ON off.sku = s.sku
    WHERE s.location = :location AND (s.available <> 0 OR s.reserved > 0 OR s.count_pending > 0)
    """
)


class Candidate(NamedTuple):
    """An item that might be counted. `is_urgent`: units wait for a count, or the book is below zero."""

    sku: str
    is_urgent: bool
    score: int
    terms: list[dict[str, Any]]


def candidate(row: RowMapping, at: datetime) -> Candidate:
    """The risk of one stock row, as of `at`."""
    days = None if row["counted_at"] is None else max((at - row["counted_at"]).days, 0)
    terms = risk_terms(
        value_minor=reference.cost_of(row["unit_cost_e4"], max(row["shelf"], 0)),
        sold_in_28_days=row["sold"],
        days_since_count=days,
        mean_variance_permille=row["off_permille"],
    )
    urgent = row["count_pending"] > 0 or row["available"] < 0
    return Candidate(row["sku"], urgent, risk_score(terms), [term._asdict() for term in terms])


async def most_at_risk(tx: Transaction, place: reference.Place, at: datetime, limit: int) -> list[Candidate]:
    """At most `limit` items of a place that no open count looks at, the most urgent first."""
    values = {
        "location": place.code,
        "entity": place.entity,
        "sold_from": at - timedelta(days=SOLD_DAYS),
        "off_from": at - timedelta(days=VARIANCE_DAYS),
    }
    rows = (await tx.conn.execute(_CANDIDATES, values)).mappings().all()
    asked = await being_counted(tx, place.code, [row["sku"] for row in rows])
    found = [candidate(row, at) for row in rows if row["sku"] not in asked]
    return sorted(found, key=lambda one: (not one.is_urgent, -one.score, one.sku))[:limit]


async def open_days_counts(database: Database, at: datetime) -> int:
    """Open today's count at each place that is open by now and has none yet; returns how many were opened.

    A day is the place's own. Each place is a transaction of its own, under a key of the day: asked again, or by two at
    once, it opens no second one.
    """
    async with database.read() as conn:
        codes = (
            await conn.execute(
                select(location.c.code)
                .where(location.c.kind.in_(("store", "dc")), location.c.status != "closed")
                .order_by(location.c.code)
            )
        ).scalars()
        places = [await reference.place(conn, code) for code in codes]
    opened = 0
    for place in places:
        day = place.hours.local_date(at)
        span = place.hours.spans(day)
        if span is not None and span[0] <= at:
            key = f"{place.code}-{day:%Y%m%d}"
            opened += await database.write(
                lambda tx, where=place, name=key: _open_at(tx, where, name, at),  # type: ignore[misc]
                actor="endcap",
                via="schedule",
            )
    return opened


async def _open_at(tx: Transaction, place: reference.Place, key: str, at: datetime) -> int:
    names = [f"count:{key}"]
    if await claim_keys(tx, OWN_SOURCE, names, body_hash(key)) is not None:
        return 0
    policy = await reference.policy_at(tx.conn, place, at)
    chosen = await most_at_risk(tx, place, at, policy.count.daily_lines) if policy.count.daily_lines else []
    if chosen:
        await open_count(
            tx,
            Opening(
                place=place,
                policy=policy,
                reason="schedule",
                skus=[one.sku for one in chosen],
                at=at,
                key=key,
                risk={one.sku: one.terms for one in chosen},
            ),
        )
    await keep_answer(tx, OWN_SOURCE, names, Answer(201, {"lines": len(chosen)}))
    return int(bool(chosen))

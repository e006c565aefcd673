"""What counts for the figures of claims against vendors: how long one takes, and what comes of it."""

from sqlalchemy import CTE, Float, cast, extract, func, select

from domain.people import Person
from ledger.reads.access import visible
from ledger.reads.kpis.measure import Period, Rows, seconds, true_time
from ledger.tables import claim, journey


def _over(viewer: Person | None, period: Period, name: str) -> CTE:
    """Claims that went out and were over in the period. What was claimed again is not what this one was about."""
    over = true_time(claim.c.settled_at, journey.c.clock_offset_s)
    return (
        select(
            journey.c.id.label("journey_id"),
            journey.c.region,
            journey.c.location,
            over.label("at"),
            extract("epoch", claim.c.settled_at - claim.c.sent_at).label("seconds"),
            claim.c.settled_minor,
            (claim.c.amount_minor - claim.c.reclaimed_minor).label("claimed_minor"),
        )
        .join(claim, claim.c.journey_id == journey.c.id)
        .where(claim.c.is_billed, claim.c.amount_minor > 0, period.holds(over), visible(journey.c, viewer))
        .cte(name)
    )


def cycle(viewer: Person | None, period: Period) -> Rows:
    rows = _over(viewer, period, "claims_over")
    return seconds(rows, rows.c.seconds)


def recovery(viewer: Person | None, period: Period) -> Rows:
    rows = _over(viewer, period, "claims_recovered")
    paid, claimed = func.sum(rows.c.settled_minor), func.sum(rows.c.claimed_minor)
    return Rows(rows, [cast(paid, Float) / func.nullif(claimed, 0)])

"""What counts for the figures of transfers: how long one takes."""

from sqlalchemy import extract, select

from domain.people import Person
from ledger.reads.access import visible
from ledger.reads.kpis.measure import Period, Rows, seconds, true_time
from ledger.tables import journey, transfer


def lead_time(viewer: Person | None, period: Period) -> Rows:
    """Transfers of which the destination had everything in the period, and how long each took since it was agreed."""
    complete = true_time(transfer.c.completed_at, journey.c.clock_offset_s)
    rows = (
        select(
            journey.c.id.label("journey_id"),
            journey.c.region,
            journey.c.location,
            complete.label("at"),
            extract("epoch", transfer.c.completed_at - transfer.c.approved_at).label("seconds"),
        )
        .join(transfer, transfer.c.journey_id == journey.c.id)
        .where(transfer.c.approved_at.is_not(None), period.holds(complete), visible(journey.c, viewer))
        .cte("transfers_completed")
    )
    return seconds(rows, rows.c.seconds)

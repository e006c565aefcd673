"""What counts for the figure of refunds: how long a customer waits for money that is owed."""

from sqlalchemy import extract, func, select

from domain import exchanges
from domain.people import Person
from ledger.reads.access import visible
from ledger.reads.kpis.measure import Period, Rows, seconds, true_time
from ledger.tables import journey, movement, payment, payment_operation


def cycle(viewer: Person | None, period: Period) -> Rows:
    """Refunds that were confirmed, and how long each took: from when goods of its return came, else from when it was
    owed.
    """
    confirmed = true_time(payment_operation.c.finished_at, journey.c.clock_offset_s)
    came = (
        select(func.min(movement.c.at))
        .where(
            movement.c.journey_id == payment_operation.c.journey_id,
            movement.c.kind == "returned",
            movement.c.at <= payment_operation.c.finished_at,
        )
        .scalar_subquery()
    )
    began = func.coalesce(came, payment_operation.c.at)
    rows = (
        select(
            payment_operation.c.journey_id,
            journey.c.region,
            journey.c.location,
            confirmed.label("at"),
            extract("epoch", payment_operation.c.finished_at - began).label("seconds"),
        )
        .join(journey, journey.c.id == payment_operation.c.journey_id)
        .join(payment, payment.c.id == payment_operation.c.payment_id)
        .where(
            payment_operation.c.kind == "refund",
            payment_operation.c.state == "succeeded",
            payment.c.tender != exchanges.TENDER,  # what pays for a replacement is no money that somebody waits for
            period.holds(confirmed),
            visible(journey.c, viewer),
        )
        .cte("refunds")
    )
    return seconds(rows, rows.c.seconds)

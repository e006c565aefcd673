"""What counts for the figures of returns: how often what policy refused is taken back after all."""

from sqlalchemy import Boolean, cast, func, select

from domain.people import Person
from ledger.reads.access import visible
from ledger.reads.kpis.measure import Period, Rows, share, true_time
from ledger.tables import journey, return_line


def overridden(viewer: Person | None, period: Period) -> Rows:
    """Lines that policy refused when their return was begun, and whether each was allowed by an override."""
    begun = true_time(journey.c.opened_at, journey.c.clock_offset_s)
    ruling = return_line.c.ruling
    was_allowed = func.coalesce(ruling["override"]["was"].astext != "declined", cast(False, Boolean))  # noqa: FBT003
    rows = (
        select(
            journey.c.id.label("journey_id"),
            journey.c.region,
            journey.c.location,
            begun.label("at"),
            was_allowed.label("allowed"),
        )
        .join(return_line, return_line.c.journey_id == journey.c.id)
        .where(
            journey.c.kind == "returns",
            return_line.c.claimed > 0,
            (func.coalesce(ruling["refused"].astext, "") != "") | was_allowed,
            period.may_hold(journey.c.opened_at),
            period.holds(begun),
            visible(journey.c, viewer),
        )
        .cte("refused_lines")
    )
    return share(rows, rows.c.allowed)

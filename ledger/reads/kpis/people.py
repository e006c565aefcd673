"""What counts for the figures of people: how long approvals take, cases resolved in time, proposals not followed."""

from sqlalchemy import Integer, cast, exists, extract, func, literal, select

from domain.case import CaseOption
from domain.people import Person
from ledger.reads.access import visible
from ledger.reads.kpis.measure import Period, Rows, seconds, share, true_time
from ledger.tables import approval, case_decision, case_file, person

UNRANKED: int = CaseOption.model_fields["rank"].default


def approval_time(viewer: Person | None, period: Period) -> Rows:
    """Approvals given or refused, and how long each took."""
    given = true_time(approval.c.decided_at, approval.c.clock_offset_s)
    rows = (
        select(
            approval.c.journey_id,
            approval.c.region,
            approval.c.location,
            given.label("at"),
            extract("epoch", approval.c.decided_at - approval.c.opened_at).label("seconds"),
        )
        .where(approval.c.state.in_(("approved", "rejected")), period.holds(given), visible(approval.c, viewer))
        .cte("verdicts")
    )
    return seconds(rows, rows.c.seconds)


def in_time(viewer: Person | None, period: Period) -> Rows:
    """Cases of which it is known whether they were closed in time, dated by when that was known."""
    known = true_time(func.least(case_file.c.closed_at, case_file.c.unresolved_due_at), case_file.c.clock_offset_s)
    rows = (
        select(
            case_file.c.journey_id,
            case_file.c.region,
            case_file.c.location,
            known.label("at"),
            func.coalesce(case_file.c.closed_at <= case_file.c.unresolved_due_at, literal(value=False)).label("met"),
        )
        .where(
            period.may_hold(case_file.c.unresolved_due_at),  # and so it has one; `known` is no later
            period.holds(known),
            visible(case_file.c, viewer),
        )
        .cte("cases_due")
    )
    return share(rows, rows.c.met)


def overrides(viewer: Person | None, period: Period) -> Rows:
    """Decisions of people on ranked ways out, and whether each chose another than the first."""
    at = true_time(case_decision.c.at, case_file.c.clock_offset_s)
    rank = cast(func.coalesce(case_decision.c.option["rank"].astext, literal(str(UNRANKED))), Integer)
    rows = (
        select(
            case_file.c.journey_id,
            case_file.c.region,
            case_file.c.location,
            at.label("at"),
            (rank > 1).label("against"),
        )
        .join(case_file, case_file.c.id == case_decision.c.case_id)
        .where(
            rank < UNRANKED,
            case_decision.c.state != "refused",
            exists().where(person.c.id == case_decision.c.decided_by),
            period.holds(at),
            visible(case_file.c, viewer),
        )
        .cte("decided")
    )
    return share(rows, rows.c.against)

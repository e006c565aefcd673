"""What counts for the figures of orders: fallout, readiness, what was given away to keep a customer."""

from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from domain.bopis import BopisState
from domain.people import Person
from ledger.reads.access import visible
from ledger.reads.kpis.measure import Period, Rows, share, total, true_time
from ledger.tables import case_file, item, journal, journal_line, journey, journey_line, journey_step


def _cancelled_by_customer(journey_id: ColumnElement[Any], state: ColumnElement[Any]) -> ColumnElement[bool]:
    asked = exists().where(journey_step.c.journey_id == journey_id, journey_step.c.step == "cancelled")
    return and_(state == BopisState.CANCELLED, asked)


def fallout(viewer: Person | None, period: Period) -> Rows:
    """Orders placed, and whether each was cancelled by us or needed a person."""
    needed = exists().where(
        case_file.c.journey_id == journey.c.id,
        or_(case_file.c.closed_at.is_(None), case_file.c.state == "resolved"),
    )
    rows = (
        select(
            journey.c.id.label("journey_id"),
            journey.c.region,
            journey.c.location,
            journey.c.opened_at.label("at"),
            or_(needed, journey.c.state == BopisState.CANCELLED).label("fell"),
        )
        .where(
            journey.c.kind == "bopis",
            period.holds(journey.c.opened_at),
            ~_cancelled_by_customer(journey.c.id, journey.c.state),
            visible(journey.c, viewer),
        )
        .cte("placed")
    )
    return share(rows, rows.c.fell)


def readiness(viewer: Person | None, period: Period) -> Rows:
    """Lines whose promise fell into the period, and whether each was ready by it."""
    promised = true_time(journey.c.promised_at, journey.c.clock_offset_s)
    late = exists().where(
        journey_step.c.journey_id == journey.c.id,
        journey_step.c.step == "picked",
        journey_step.c.at > journey.c.promised_at,
    )
    ended = journey.c.closed_at.is_not(None)
    ready = and_(
        journey_line.c.picked >= journey_line.c.ordered,
        journey_line.c.cancelled == 0,
        ~late,
        or_(~ended, journey_line.c.collected == journey_line.c.ordered),
    )
    rows = (
        select(
            journey.c.id.label("journey_id"),
            journey.c.region,
            journey.c.location,
            item.c.category,
            promised.label("at"),
            ready.label("ready"),
        )
        .join(journey_line, journey_line.c.journey_id == journey.c.id)
        .join(item, item.c.sku == journey_line.c.sku)
        .where(
            journey.c.kind == "bopis",
            period.may_hold(journey.c.promised_at),
            period.holds(promised),
            journey.c.state != BopisState.EXPIRED,
            ~_cancelled_by_customer(journey.c.id, journey.c.state),
            visible(journey.c, viewer),
        )
        .cte("due_lines")
    )
    return share(rows, rows.c.ready)


def appeasements(viewer: Person | None, period: Period) -> Rows:
    """Postings of what an order's customer was given beyond what they paid for."""
    at = true_time(journal.c.effective_at, journey.c.clock_offset_s)
    rows = (
        select(
            journal.c.journey_id,
            journey.c.region,
            journey.c.location,
            func.coalesce(item.c.category, "").label("category"),
            journal.c.currency,
            at.label("at"),
            (journal_line.c.debit_minor - journal_line.c.credit_minor).label("given_minor"),
        )
        .join(journal_line, journal_line.c.journal_id == journal.c.id)
        .join(journey, journey.c.id == journal.c.journey_id)
        .join(item, item.c.sku == journal_line.c.sku, isouter=True)
        .where(journal_line.c.account == "appeasement", period.holds(at), visible(journey.c, viewer))
        .cte("appeasements")
    )
    return total(rows, rows.c.given_minor)

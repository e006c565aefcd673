"""What counts for the figures of stock: how far book and shelf agree, who corrects the book, how late reports come."""

from typing import Any

from sqlalchemy import ColumnElement, and_, extract, func, or_, select

from domain.people import Person
from ledger.reads.access import visible, visible_location
from ledger.reads.kpis.measure import Period, Rows, seconds, share, true_time
from ledger.tables import count_entry, count_line, item, journey, location, movement

OUTSIDE = ("found", "shrink")


def accuracy(viewer: Person | None, period: Period) -> Rows:
    """Lines of first blind counts, each with the book of its instant."""
    at = true_time(count_entry.c.counted_at, journey.c.clock_offset_s)
    # Lines counted before the first book was kept have it as long as no other round came after.
    book = func.coalesce(count_line.c.first_book, count_line.c.book)
    rows = (
        select(
            count_entry.c.journey_id,
            journey.c.region,
            journey.c.location,
            func.coalesce(item.c.category, "").label("category"),
            at.label("at"),
            func.abs(count_entry.c.quantity - book).label("off"),
            func.abs(book).label("book"),
        )
        .join(journey, journey.c.id == count_entry.c.journey_id)
        .join(
            count_line,
            and_(*(count_line.c[name] == count_entry.c[name] for name in ("journey_id", "sku", "bucket"))),
        )
        .join(item, item.c.sku == count_entry.c.sku, isouter=True)
        .where(
            count_entry.c.round == 1,
            or_(count_line.c.first_book.is_not(None), and_(count_line.c.round == 1, count_line.c.book.is_not(None))),
            period.holds(at),
            visible(journey.c, viewer),
        )
        .cte("counted")
    )
    return Rows(rows, [func.greatest(1.0 - func.sum(rows.c.off) * 1.0 / func.nullif(func.sum(rows.c.book), 0), 0.0)])


def _place() -> ColumnElement[Any]:
    """The place of a movement: where it leads to; from outside accounts it is the same."""
    return movement.c.to_location


def adjustments(viewer: Person | None, period: Period) -> Rows:
    """Movements, and whether each corrects the book without a count."""
    corrects = and_(
        movement.c.kind == "adjusted",
        or_(movement.c.from_account.in_(OUTSIDE), movement.c.to_account.in_(OUTSIDE)),
    )
    rows = (
        select(
            movement.c.journey_id,
            location.c.region,
            location.c.code.label("location"),
            func.coalesce(item.c.category, "").label("category"),
            movement.c.recorded_at.label("at"),
            corrects.label("corrects"),
        )
        .join(location, location.c.code == _place())
        .join(item, item.c.sku == movement.c.sku, isouter=True)
        .where(
            period.holds(movement.c.recorded_at),
            ~movement.c.cause.startswith("load:", autoescape=True),
            visible_location(viewer),
        )
        .cte("movements")
    )
    return share(rows, rows.c.corrects, of=1_000)


def latency(viewer: Person | None, period: Period) -> Rows:
    """Reports of systems and stores that moved goods, once at each place, and how late each came."""
    happened = true_time(func.min(movement.c.at), func.max(journey.c.clock_offset_s))
    recorded = func.min(movement.c.recorded_at)
    source = func.split_part(movement.c.cause, ":", 2)
    rows = (
        select(
            func.max(movement.c.journey_id).label("journey_id"),
            location.c.region,
            location.c.code.label("location"),
            source.label("source"),
            recorded.label("at"),
            func.greatest(extract("epoch", recorded - happened), 0).label("seconds"),
        )
        .join(location, location.c.code == _place())
        .join(journey, journey.c.id == movement.c.journey_id, isouter=True)
        .where(
            period.holds(movement.c.recorded_at),
            movement.c.cause.startswith("event:", autoescape=True),
            visible_location(viewer),
        )
        .group_by(movement.c.cause, location.c.region, location.c.code)
        .cte("reports")
    )
    return seconds(rows, rows.c.seconds)

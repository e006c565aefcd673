"""Reads of adjustments: one by its id, the list, and those that are open on an item at a place."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, literal, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.adjustments import Adjustment
from domain.errors import NotFound
from domain.people import Person
from ledger.reads.access import ALL_SOURCES, visible
from ledger.tables import adjustment, adjustment_line, person

_NEEDS = ("nobody", "manager", "finance")


async def _read(conn: AsyncConnection, clause: ColumnElement[bool]) -> list[Adjustment]:
    rows = (await conn.execute(select(adjustment).where(clause).order_by(adjustment.c.at, adjustment.c.id))).mappings()
    documents = rows.all()
    lines: dict[str, list[dict[str, Any]]] = {}
    for line in (
        await conn.execute(
            select(adjustment_line)
            .where(adjustment_line.c.adjustment_id.in_([row["id"] for row in documents]))
            .order_by(adjustment_line.c.line_no)
        )
    ).mappings():
        lines.setdefault(line["adjustment_id"], []).append({**line, "line": line["line_no"]})
    return [
        Adjustment.model_validate(
            {**row, "adjustment_id": row["key"], "needs": _NEEDS[row["level"]], "lines": lines[row["id"]]}
        )
        for row in documents
    ]


async def adjustment_of(conn: AsyncConnection, row_id: str) -> Adjustment:
    """The document with this id of the ledger's; it exists."""
    (found,) = await _read(conn, adjustment.c.id == row_id)
    return found


async def adjustment_detail(
    conn: AsyncConnection, viewer: Person | None, key: str, *, sources: Collection[str] | None
) -> Adjustment:
    """One adjustment by the id that its source gave. Raises `NotFound`, also for one out of the viewer's sight."""
    mine = true() if sources is None or ALL_SOURCES in sources else adjustment.c.source.in_(sources)
    found = await _read(conn, (adjustment.c.key == key) & visible(adjustment.c, viewer) & mine)
    if not found:
        raise NotFound(f"There is no adjustment {key} that you may see.")
    return found[0]


class AdjustmentRow(NamedTuple):
    """An adjustment in a list; `units` without their sign, money in minor units of `currency`."""

    key: str
    source: str
    state: str
    location: str
    skus: int
    sku: str
    units: int
    reasons: str
    gross_minor: int
    currency: str
    requested_by: str
    approval_id: int | None
    case_id: int | None
    at: datetime


async def list_adjustments(
    conn: AsyncConnection, viewer: Person, *, closed: bool | None = None, reason: str = "", limit: int = 200
) -> list[AdjustmentRow]:
    """Adjustments that the viewer may see, newest first: all, those that wait for somebody, or those that ended;
    with `reason`, those that have a line with it.
    """
    line = adjustment_line.c
    table = adjustment.c
    query = (
        select(
            table.key,
            table.source,
            table.state,
            table.location,
            func.count(line.sku.distinct()),
            func.min(line.sku),
            func.sum(func.abs(line.quantity)),
            func.string_agg(line.reason.distinct(), literal(",")),
            table.gross_minor,
            table.currency,
            func.coalesce(person.c.name, table.requested_by),
            table.approval_id,
            table.case_id,
            table.at,
        )
        .join(adjustment_line, line.adjustment_id == table.id)
        .join(person, person.c.id == table.requested_by, isouter=True)
        .where(visible(table, viewer))
        .group_by(table.id, person.c.name)
        .order_by(table.at.desc(), table.id)
        .limit(limit)
    )
    if closed is not None:
        query = query.where(table.closed_at.is_not(None) if closed else table.closed_at.is_(None))
    if reason:
        with_it = select(line.adjustment_id).where(line.reason == reason)
        query = query.where(table.id.in_(with_it))
    return [AdjustmentRow(*row) for row in await conn.execute(query)]


async def open_adjustments(conn: AsyncConnection, location: str, sku: str) -> Sequence[Adjustment]:
    """Those that wait for a verdict or a decision on an item at a place."""
    about = select(adjustment_line.c.adjustment_id).where(adjustment_line.c.sku == sku)
    return await _read(
        conn, (adjustment.c.location == location) & adjustment.c.closed_at.is_(None) & adjustment.c.id.in_(about)
    )

"""Writes the rows of an order that its transaction has changed: lines, holds, sale lines."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, update

from ledger.tables import hold, journey_line, sale_line

if TYPE_CHECKING:
    from ledger.bopis.order import Order


async def write_changes(order: "Order", before: Mapping[str, Mapping[str, Any]]) -> None:
    """Write every row that is not as it was `before`, by its name there; holds that were not there are inserted."""
    conn = order.tx.conn
    for line in order.lines.values():
        if line != before.get(f"line {line['line_id']}"):
            key = (journey_line.c.journey_id == order.id) & (journey_line.c.line_id == line["line_id"])
            await conn.execute(update(journey_line).where(key).values(**_without(line, ("journey_id", "line_id"))))
    for row in order.holds:
        if f"hold {row['id']}" not in before:
            await conn.execute(insert(hold).values(**row))
        elif row != before[f"hold {row['id']}"]:
            values = _without(row, ("id", "recorded_at"))
            await conn.execute(update(hold).where(hold.c.id == row["id"]).values(**values))
    for row in order.sales.values():
        if row != before.get(f"sale {row['line_id']}"):
            key = (sale_line.c.document == order.id) & (sale_line.c.line_id == row["line_id"])
            values = _without(row, ("document", "line_id", "recorded_at"))
            await conn.execute(update(sale_line).where(key).values(**values))


def _without(row: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in keys}

"""Goods that were sent for an order: what comes is held for it at once, and it is told what will not come.

Rows of `awaited` are covered by the stock row at the destination; the order's own rows are its to change
(`ledger.bopis.coming`).
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from domain.ids import hold_id
from domain.messages import Message

if TYPE_CHECKING:
    from ledger.transfer.document import Transfer

_HOLD = text(
    "INSERT INTO hold (id, source, channel, journey_id, line_id, location, sku, quantity, reserved, promised_at, at)"
    " SELECT CAST(:id AS text), source, channel, id, CAST(:line_id AS text), CAST(:location AS text),"
    " CAST(:sku AS text), CAST(:units AS int), CAST(:units AS int), promised_at, CAST(:at AS timestamptz)"
    " FROM journey WHERE id = :journey_id ON CONFLICT (id) DO UPDATE"
    " SET quantity = hold.quantity + excluded.quantity, reserved = hold.reserved + excluded.reserved"
)


def _hold_id(row: dict[str, Any]) -> str:
    return hold_id(row["journey_id"], row["line_id"], row["location"])


def hand_over(it: "Transfer", line: dict[str, Any], units: int) -> tuple[int, str | None]:
    """Of units that come to the destination those that its order waits for: (units, the order's hold)."""
    for row in it.awaited:
        part = min(row["quantity"], units)
        if row["line_id"] == line["line_id"] and part:
            row["quantity"] -= part
            row["came"] += part
            it.brought[row["line_id"]] = it.brought.get(row["line_id"], 0) + part
            return part, _hold_id(row)
    return 0, None


async def tell(it: "Transfer", at: datetime) -> None:
    """Hold what came for the order, and work out what will not come any more; the order is told of both."""
    for row in it.awaited:
        came = it.brought.pop(row["line_id"], 0)
        if came:
            values = {name: row[name] for name in ("journey_id", "line_id", "location", "sku")}
            await it.tx.conn.execute(_HOLD, {**values, "id": _hold_id(row), "units": came, "at": at})
            it.tx.tell(row["journey_id"], Message.GOODS_CAME)
        lacking = row["quantity"] - _still_to_come(it, it.lines[row["line_id"]])
        if lacking > 0:
            row["quantity"] -= lacking
            row["failed"] += lacking
            it.tx.tell(row["journey_id"], Message.GOODS_WILL_NOT_COME)
        if it.is_final:
            row["given_up"] = 0


def _still_to_come(it: "Transfer", line: dict[str, Any]) -> int:
    """Units of a line that may still come; "complete" says that what is on its way does not."""
    on_the_way = 0 if it.row["detail"].get("complete") else int(line["in_transit"])
    return 0 if it.is_final else on_the_way + it.to_ship(line)

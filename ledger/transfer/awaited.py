"""Goods that were sent for an order: what comes is held for it at once, and it is told what will not come.

Rows of `awaited` are covered by the stock row at the destination; the order's own rows are its to change
(`ledger.bopis.coming`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text

from domain.ids import hold_id
from domain.messages import Message
from ledger.changes import Row
from ledger.transaction import Transaction

_HOLD = text(
    "INSERT INTO hold (id, source, channel, journey_id, line_id, location, sku, quantity, reserved, promised_at, at)"
    " SELECT CAST(:id AS text), source, channel, id, CAST(:line_id AS text), CAST(:location AS text),"
    " CAST(:sku AS text), CAST(:units AS int), CAST(:units AS int), promised_at, CAST(:at AS timestamptz)"
    " FROM journey WHERE id = :journey_id ON CONFLICT (id) DO UPDATE"
    " SET quantity = hold.quantity + excluded.quantity, reserved = hold.reserved + excluded.reserved"
)


@dataclass
class Awaited:
    """The rows of `awaited` of one transfer: the order that waits for its lines. None where no order does."""

    rows: list[Row] = field(default_factory=list)
    _brought: dict[str, int] = field(default_factory=dict)  # units by line that have come just now

    def hand_over(self, line: Mapping[str, Any], units: int) -> tuple[int, str | None]:
        """Of units that come to the destination those that the order waits for: (units, the order's hold)."""
        for row in self.rows:
            part = min(row["quantity"], units)
            if row["line_id"] == line["line_id"] and part:
                row["quantity"] -= part
                row["came"] += part
                self._brought[row["line_id"]] = self._brought.get(row["line_id"], 0) + part
                return part, _hold_id(row)
        return 0, None

    async def tell(self, tx: Transaction, at: datetime, still_to_come: Mapping[str, int]) -> None:
        """Hold what came for the order, and mark what will not come any more; the order is told of both.

        `still_to_come` has the units of each line that may still come.
        """
        for row in self.rows:
            came = self._brought.pop(row["line_id"], 0)
            if came:
                values = {name: row[name] for name in ("journey_id", "line_id", "location", "sku")}
                await tx.conn.execute(_HOLD, {**values, "id": _hold_id(row), "units": came, "at": at})
                tx.tell(row["journey_id"], Message.GOODS_CAME)
            lacking = row["quantity"] - still_to_come[row["line_id"]]
            if lacking > 0:
                row["quantity"] -= lacking
                row["failed"] += lacking
                tx.tell(row["journey_id"], Message.GOODS_WILL_NOT_COME)

    def forget_what_was_given_up(self) -> None:
        """The transfer is over: whatever the order had given up of it changes nothing any more."""
        for row in self.rows:
            row["given_up"] = 0


def _hold_id(row: Row) -> str:
    return hold_id(row["journey_id"], row["line_id"], row["location"])

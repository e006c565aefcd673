"""The goods of an order: what of each line is open, missing and held, and on which hold."""

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.ids import hold_id
from ledger.changes import Row
from ledger.document import Document
from ledger.tables.stock import HOLD_PARTS


@dataclass(kw_only=True)
class Goods(Document, ABC):
    """The part of an `Order` that counts units. It writes nothing.

    What only needs the goods of an order (`clocks`, `coming`, `offered`, `waiting`) asks for this, so that the order
    itself can be made of them.
    """

    lines: dict[str, Row] = field(default_factory=dict)
    holds: list[Row] = field(default_factory=list)
    fell_short: int = 0  # units that were to come by a transfer and will not

    def open_quantity(self, line: Mapping[str, Any]) -> int:
        """Units of a line that are neither collected nor cancelled."""
        return int(line["ordered"] - line["collected"] - line["cancelled"])

    def coming(self, line: Mapping[str, Any]) -> int:
        """Units of a line that a transfer brings."""
        return int(self.row["detail"].get("coming", {}).get(line["line_id"], 0))

    def expect(self, line_id: str, units: int) -> None:
        """This many more units of a line come by a transfer; fewer, where `units` is below zero."""
        coming = self.row["detail"].setdefault("coming", {})
        coming[line_id] = coming.get(line_id, 0) + units
        if not coming[line_id]:
            del coming[line_id]
        if not coming:
            del self.row["detail"]["coming"]

    def uncovered(self, line: Mapping[str, Any]) -> int:
        """Open units of a line that nothing is held for here."""
        return int(self.open_quantity(line) - line["reserved"] - line["staged"])

    def missing(self, line: Mapping[str, Any]) -> int:
        """Open units of a line that nothing is held for and that no transfer brings."""
        return self.uncovered(line) - self.coming(line)

    def shorts(self) -> list[dict[str, Any]]:
        return [line for line in self.lines.values() if self.missing(line) > 0]

    def is_away(self, row: Mapping[str, Any]) -> bool:
        """Whether a hold of a line is at another place, from which its goods come here."""
        return row["line_id"] in self.lines and row["location"] != self.location

    def holds_of(self, line_id: str, part: str) -> list[dict[str, Any]]:
        """Holds of a line that have something in a part, here first."""
        found = [row for row in self.holds if row["line_id"] == line_id and row[part] > 0]
        return sorted(found, key=lambda row: (row["location"] != self.location, row["id"]))

    def shift(self, line_id: str, source: str, target: str, quantity: int) -> list[tuple[dict[str, Any], int]]:
        """Take `quantity` units of a line's holds from one part to another; returns (hold, units) as far as they
        suffice.
        """
        taken = []
        for row in self.holds_of(line_id, source):
            part = min(quantity, row[source])
            if part <= 0:
                continue
            row[source] -= part
            row[target] += part
            if row["reserved"] == 0:
                row["doubted_at"] = row["doubted_because"] = None
            quantity -= part
            taken.append((row, part))
        return taken

    def on_hold_shelf(self, line_id: str) -> int:
        """Units of a line that stand on the hold shelf although nobody will collect them."""
        return int(self.row["detail"].get("unclaimed", {}).get(line_id, 0))

    def handed_over_before_its_pick(self, line_id: str, quantity: int) -> None:
        """Units were collected that nobody has reported as picked yet; that report may still come."""
        if quantity:
            unpicked = self.row["detail"].setdefault("unpicked", {})
            unpicked[line_id] = unpicked.get(line_id, 0) + quantity

    def already_handed_over(self, line_id: str, quantity: int) -> int:
        """How many units of a late pick report the customer has already; they are no longer expected."""
        unpicked = self.row["detail"].get("unpicked", {})
        known = min(quantity, unpicked.get(line_id, 0))
        if known:
            unpicked[line_id] -= known
        return int(known)

    def goods_have_moved(self) -> bool:
        """Whether anything of it has left its shelf here: then it cannot move to another store as a whole."""
        lines = self.lines.items()
        return any(line["staged"] or line["collected"] or self.on_hold_shelf(line_id) for line_id, line in lines)

    def leave_on_hold_shelf(self, line_id: str, quantity: int) -> None:
        unclaimed = self.row["detail"].setdefault("unclaimed", {})
        unclaimed[line_id] = unclaimed.get(line_id, 0) + quantity

    def free(self, location: str, sku: str) -> None:
        """Units are available again there: `save` gives them to whoever waits for them."""
        self.freed.add((location, sku))

    def take_unpromised(self, sku: str) -> None:
        """Units of the shelf here were moved that nobody had promised to it: `save` doubts what the book lacks then."""
        self.taken.add((self.location, sku))

    def new_hold(
        self, line: Mapping[str, Any], quantity: int, *, part: str, at: datetime, place: str | None = None
    ) -> dict[str, Any]:
        """A hold of a line, at the order's place unless another is given; saved with the order."""
        place = place or self.location
        row = {
            "id": hold_id(self.id, line["line_id"], place),
            "source": self.row["source"],
            "channel": self.row["channel"],
            "journey_id": self.id,
            "line_id": line["line_id"],
            "location": place,
            "sku": line["sku"],
            "quantity": quantity,
            **dict.fromkeys(HOLD_PARTS, 0),
            "expires_at": None,
            "promised_at": self.row["promised_at"],
            "doubted_at": None,
            "doubted_because": None,
            "at": at,
        }
        row[part] = quantity
        self.holds.append(row)
        return row

    def hold_more(self, line: Mapping[str, Any], quantity: int, *, part: str, at: datetime) -> str:
        """Hold more units of a line at the order's place; returns the hold's id."""
        for row in self.holds:
            if row["line_id"] == line["line_id"] and row["location"] == self.location:
                row["quantity"] += quantity
                row[part] += quantity
                return str(row["id"])
        return str(self.new_hold(line, quantity, part=part, at=at)["id"])

"""What channels and payment providers do: the plain model's side of checkout holds, and of money."""

from tests.ledger.models.machine import Command, Refused
from tests.ledger.models.orders import BASKET_PARTS, Basket, Rows

GONE = ("released", "expired", "lost")  # where units are counted that may leave although nothing holds them any more


class Baskets(Rows):
    """Holds of channels: promised as far as there is something, then ended in parts."""

    def _basket(self, command: Command, at: str, lines: tuple[tuple[str, int], ...], ends: bool) -> str:
        basket = Basket(at, command.at, ends, {})
        for name, (sku, quantity) in enumerate(lines, start=1):
            units = min(quantity, max(self.stock[at, sku]["available"], 0))
            if units:
                self._move((at, sku), "available", "reserved", units)
                basket.lines[str(name)] = {"sku": sku, "quantity": units, **dict.fromkeys(BASKET_PARTS, 0)}
                basket.lines[str(name)]["reserved"] = units
        if not basket.lines:
            raise Refused("refused")
        self.baskets[command.about] = basket
        return "201"

    def _extended(self, command: Command) -> str:
        if not self.baskets[command.about].is_open:
            raise Refused("refused")
        return "done"

    def _released(self, command: Command) -> str:
        if not self.baskets[command.about].is_open:
            raise Refused("refused")
        self._give_back(command.about, "released")
        return "done"

    def _expired(self, command: Command) -> str:
        """The end of a hold that has one, and the sweep that comes after it."""
        if self.baskets[command.about].ends:
            self._give_back(command.about, "expired")
        return "done"

    def _give_back(self, key: str, part: str) -> None:
        basket = self.baskets[key]
        for line in basket.lines.values():
            units = line["reserved"]
            if units:
                self._move((basket.at, line["sku"]), "reserved", "available", units)
                line["reserved"], line[part] = 0, line[part] + units
                self.freed.add((basket.at, line["sku"]))

    def _shipped(self, command: Command, lines: tuple[tuple[str, int], ...] | None) -> str:
        """Goods have left: what is reserved first, then what was given back or lost meanwhile."""
        basket = self.baskets[command.about]
        if lines is None:
            lines = tuple((name, line["reserved"]) for name, line in basket.lines.items() if line["reserved"])
        if not lines:
            raise Refused("quarantined")
        for name, wanted in lines:
            if name not in basket.lines:
                raise Refused("quarantined")
            line, left = basket.lines[name], wanted
            if wanted > line["quantity"] - line["committed"]:
                raise Refused("quarantined")
            place = (basket.at, line["sku"])
            for part in ("reserved", *GONE):
                units = min(left, line[part])
                self._move(place, "reserved" if part == "reserved" else "available", None, units)
                line[part] -= units
                line["committed"] += units
                left -= units
            self.taken.add(place)
        return "accepted"

    def _provider(self, command: Command) -> str:
        """The provider confirms whatever it was asked for."""
        order = self.orders[command.about]
        order.refunded = order.refund_requested
        order.captured, order.capturing = order.captured + order.capturing, 0
        later, order.owed_when_captured = order.owed_when_captured, 0
        self._owe(order, later)
        return "done"

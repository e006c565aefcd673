"""What each command does to the plain model, and how it must be answered."""

import copy
from collections import Counter
from typing import Any

from tests.ledger.models.baskets import Baskets
from tests.ledger.models.machine import Command, Refused
from tests.ledger.models.orders import (
    DAMAGED,
    FINAL,
    LATE_S,
    ON_THE_HOLD_SHELF,
    STILL_THERE,
    TIMERS,
    Line,
    Order,
    Place,
)


class Model(Baskets):
    """The whole retailer: one command after the other, each wholly or not at all."""

    def apply(self, command: Command) -> str:
        """Take a command; returns what it must be answered with. A refused one changes nothing."""
        before = copy.deepcopy(self.__dict__)
        self.now, self.freed, self.taken = command.at + (LATE_S if command.kind in TIMERS else 0), set(), set()
        try:
            done: str = getattr(self, f"_{command.kind}")(command, *command.args)
        except Refused as refusal:
            self.__dict__.update(before)
            return str(refusal)
        for order in self.orders.values():
            if not order.ended and order.state in FINAL:
                order.ended = order.state
        self._serve(*sorted(self.freed))
        for place in sorted(self.taken):
            self._doubt(place)
        for order in self.orders.values():
            order.verify = order.verify and any(line.doubt for line in order.lines.values())
        return done

    # ------------------------------------------------------------------ commands of systems
    def _order(self, command: Command, at: str, promised: int, lines: dict[str, Line], *money: Any) -> str:
        charge, auth, kept_back = (*money, False)[:3]
        lines = copy.deepcopy(lines)
        paid = charge + sum(line.worth(line.ordered) for line in lines.values())
        order = Order(at, promised, lines, charge, paid, auth, captured=0 if auth else paid, kept_back=kept_back)
        self.orders[command.about] = order
        for name, line in lines.items():
            grant = min(line.ordered, max(self.stock[at, line.sku]["available"], 0))
            if grant:
                self._move((at, line.sku), "available", "reserved", grant)
                line.reserved = grant
                self._hold(line, at, grant)
            if line.missing:
                self._wait_for(command.about, name, line.missing)
        return "201"

    def _picked(self, command: Command, picks: tuple[tuple[str, int, str | None], ...]) -> str:
        order = self._begin(command)
        for name, reported, reason in picks:
            line = order.lines[name]
            place = (order.at, line.sku)
            late = min(reported, line.unpicked)
            line.unpicked -= late
            quantity = reported - late
            if order.is_final:
                self._move(place, "available", "staged", quantity)
                self.taken.add(place)
                line.unclaimed += quantity
                continue
            if quantity > line.open - line.staged:
                raise Refused("quarantined")
            self._stage(order, line, quantity)
            if reason:
                self._short(command.about, name, reason)
        order.verify = False
        if not order.is_final:
            self._trim(command.about)
            self._answer_itself(order)
            self._capture(order)
        return "accepted"

    def _stage(self, order: Order, line: Line, quantity: int) -> None:
        """Promised units first, then whatever stands on the shelf."""
        place, promised = (order.at, line.sku), min(quantity, line.reserved)
        self._move(place, "reserved", "staged", promised)
        self._move(place, "available", "staged", quantity - promised)
        if quantity > promised:
            self.taken.add(place)
            self._hold(line, order.at, quantity - promised)
        line.reserved -= promised
        line.staged += quantity
        line.doubted = line.doubted and line.reserved > 0

    def _short(self, key: str, name: str, reason: str) -> None:
        order = self.orders[key]
        line = order.lines[name]
        place, short = (order.at, line.sku), line.reserved
        below = max(-self.stock[place]["available"], 0)
        sold = min(short, below) if line.doubted and reason not in STILL_THERE else 0
        target = "available" if reason in STILL_THERE else "damaged" if reason in DAMAGED else "count_pending"
        freed = set(self.freed)
        self._unreserve(order, line, sold)
        self._unreserve(order, line, short - sold, target)
        self.freed = freed  # they are there for somebody else, or gone: not for those who wait
        left = self.stock[place]["available"]
        if reason == "not_in_stock" and left > 0:
            self._move(place, "available", "count_pending", left)
        if reason == "not_in_stock":
            self._doubt_others(key, place)
        if short:
            self._wait_for(key, name, short)

    def _doubt_others(self, key: str, place: Place) -> None:
        for other, order in self.orders.items():
            for line in order.lines.values():
                held = line.reserved + line.found
                if other != key and (order.at, line.sku) == place and held and not line.doubted:
                    line.doubted = line.shelf_was_empty = True

    def _handed_over(self, command: Command, handed: tuple[tuple[str, int, int], ...] | None) -> str:
        order = self._begin(command)
        if handed is None and order.is_final:
            handed = tuple((name, line.unclaimed, 0) for name, line in order.lines.items())
        if handed is None:
            staged = tuple((name, line.staged, 0) for name, line in order.lines.items() if line.staged)
            handed = staged or tuple((name, line.open, 0) for name, line in order.lines.items())
        for name, given, refused in handed:
            line = order.lines[name]
            limit = line.ordered - line.collected if order.is_final else line.open
            if given + refused > limit:
                raise Refused("quarantined")
            place = (order.at, line.sku)
            if order.is_final:
                on_shelf = min(given, line.unclaimed)
                line.unclaimed -= on_shelf
                self._move(place, "staged", None, on_shelf)
                self._move(place, "available", None, given - on_shelf)
                self.taken.add(place)
        if order.is_final:
            return "accepted"
        for name, given, _ in handed:
            self._give(order, order.lines[name], given)
        for name, _, refused in handed:
            self._refuse_at_counter(order, order.lines[name], refused)
        if all(not line.open and not line.collected for line in order.lines.values()):
            self._refund_charge(order)
        self._trim(command.about)
        if order.state in FINAL:
            self._end_waiting(command.about)
        self._answer_itself(order)
        self._capture(order)
        return "accepted"

    def _give(self, order: Order, line: Line, given: int) -> None:
        if not given:
            return
        place = (order.at, line.sku)
        from_staged = min(given, line.staged)
        from_reserved = min(given - from_staged, line.reserved)
        self._move(place, "staged", None, from_staged)
        self._move(place, "reserved", None, from_reserved)
        self._move(place, "available", None, given - from_staged - from_reserved)
        self.taken.add(place)
        line.staged -= from_staged
        line.reserved -= from_reserved
        line.doubted = line.doubted and line.reserved > 0
        line.collected += given
        line.unpicked += given - from_staged
        order.earned += line.settle(given)
        if not order.charge_settled:
            order.charge_settled = True
            order.earned += order.charge

    def _refuse_at_counter(self, order: Order, line: Line, refused: int) -> None:
        """They were brought to the customer, so they stand on the hold shelf, whatever was reported before."""
        if not refused:
            return
        self._stage(order, line, max(refused - line.staged, 0))
        line.staged -= refused
        line.unclaimed += refused
        line.cancelled += refused
        self._owe(order, line.settle(refused))

    def _put_away(self, command: Command, lines: tuple[tuple[str, int], ...] | None, condition: str) -> str:
        order = self._begin(command)
        wanted = lines if lines is not None else tuple((name, x.unclaimed) for name, x in order.lines.items())
        for name, quantity in wanted:
            line = order.lines[name]
            if quantity > line.unclaimed:
                raise Refused("quarantined")
            line.unclaimed -= quantity
            self._move((order.at, line.sku), "staged", "available" if condition == "good" else "damaged", quantity)
            if condition == "good" and quantity:
                self.freed.add((order.at, line.sku))
        return "accepted"

    def _cancelled(self, command: Command, names: tuple[str, ...] | None) -> str:
        order = self._begin(command)
        wanted = list(order.lines) if names is None else list(dict.fromkeys(names))
        if order.is_final or (names is not None and any(not order.lines[name].open for name in wanted)):
            raise Refused("refused")
        order.option = None
        if all(not line.open for name, line in order.lines.items() if name not in wanted):
            self._end(command.about, "cancelled")
            return "accepted"
        self._let_go(order, wanted)
        owed = 0
        for name in wanted:
            line = order.lines[name]
            owed += line.settle(line.open)
            line.cancelled += line.open
        self._owe(order, owed)
        self._trim(command.about)
        return "accepted"

    def _let_go_on(self, command: Command) -> str:
        """The source keeps the order back no longer."""
        order = self._begin(command)
        if order.state != "placed":
            raise Refused("refused")
        order.kept_back = False
        self._capture(order)
        return "accepted"

    def _let_go(self, order: Order, names: list[str]) -> None:
        for line in (order.lines[name] for name in names):
            if line.reserved:
                self._unreserve(order, line, line.reserved)
            line.unclaimed += line.staged
            line.staged = 0

    def _end(self, key: str, how: str) -> None:
        """Everything open is let go and paid back."""
        order = self.orders[key]
        self._let_go(order, list(order.lines))
        owed = 0
        for line in order.lines.values():
            owed += line.settle(line.open)
            line.cancelled += line.open
        self._owe(order, owed)
        if any(line.collected for line in order.lines.values()):
            how = "collected"
        else:
            self._refund_charge(order)
        order.ended = how
        self._end_waiting(key)

    # ------------------------------------------------------------------ steps of the journey
    def _attend(self, command: Command) -> str:
        order = self._begin(command)
        self._trim(command.about)
        self._answer_itself(order)
        if any(line.doubted and line.reserved for line in order.lines.values()) and not order.is_final:
            order.verify = True
        return "done"

    def _window(self, command: Command) -> str:
        """The end of the pickup window."""
        if self.orders[command.about].state in ON_THE_HOLD_SHELF:
            self._begin(command)
            self._end(command.about, "expired")
            self.orders[command.about].option = None
        return "done"

    def _verify(self, command: Command) -> str:
        """Nobody could find the doubted units."""
        order = self.orders[command.about]
        if not order.verify:
            return "done"
        self._begin(command)
        order.verify = False
        for name, line in order.lines.items():
            sold = min(line.reserved, max(-self.stock[order.at, line.sku]["available"], 0))
            gone = (line.reserved if line.shelf_was_empty else sold) if line.doubted else 0
            line.doubted = False
            if gone:
                freed = set(self.freed)
                self._unreserve(order, line, sold)
                self._unreserve(order, line, gone - sold, "count_pending")
                self.freed = freed
                self._wait_for(command.about, name, gone)
        return "done"

    # ------------------------------------------------------------------ decisions
    def _answer_itself(self, order: Order) -> None:
        """Nothing is missing any more: what was asked about it has answered itself."""
        if order.state != "reservation_failed":
            order.option = None

    def _decide(self, command: Command, option: str) -> str:
        order = self.orders[command.about]
        if order.state != "reservation_failed" or order.option is not None:
            raise Refused("refused")
        if any(line.found for line in order.lines.values()):
            raise Refused("refused")
        self._end_waiting(command.about)
        order.option = option
        return "done"

    def _carry_out(self, command: Command, approved: bool, swaps: tuple[tuple[str, str, int], ...]) -> str:
        """A decision is applied if it was approved and is still possible; else the order waits on as it did before."""
        order = self.orders[command.about]
        if order.option is None:
            return "done"
        self._begin(command)
        option, _, target = order.option.partition(":")
        order.option = None
        if approved and self._able(order, option, target, swaps):
            getattr(self, f"_apply_{option}")(command.about, target, swaps)
            if option != "wait":
                self._end_waiting(command.about)
            self._capture(order)
        else:
            self._wait_again(command.about)
        return "done"

    def _able(self, order: Order, option: str, target: str, swaps: tuple[tuple[str, str, int], ...]) -> bool:
        if option == "other_store":
            if any(line.staged or line.collected or line.unclaimed for line in order.lines.values()):
                return False
            wanted: Counter[Place] = Counter()
            for line in order.lines.values():
                wanted[target, line.sku] += line.open
            return all(max(self.stock[place]["available"], 0) >= units for place, units in wanted.items())
        if option == "substitute":
            chosen = {name: sku for name, sku, _ in swaps}
            short = {name: line.missing for name, line in order.lines.items() if line.missing > 0}
            if not short.keys() <= chosen.keys():
                return False
            total: Counter[str] = Counter()
            for name, units in short.items():
                total[chosen[name]] += units
            return all(max(self.stock[order.at, sku]["available"], 0) >= units for sku, units in total.items())
        return True

    def _apply_other_store(self, key: str, target: str, _: Any) -> None:
        order = self.orders[key]
        self._let_go(order, list(order.lines))
        order.at = target
        for line in order.lines.values():
            self._promise(order, line)

    def _promise(self, order: Order, line: Line) -> None:
        if line.open:
            self._move((order.at, line.sku), "available", "reserved", line.open)
            self._hold(line, order.at, line.open)
            line.reserved = line.open

    def _apply_substitute(self, key: str, _: str, swaps: tuple[tuple[str, str, int], ...]) -> None:
        order = self.orders[key]
        owed = 0
        for name, sku, price in swaps:
            line = order.lines[name]
            units = line.missing
            if units <= 0:
                continue
            tax = line.tax * (line.settled + units) // line.ordered - line.tax * line.settled // line.ordered
            paid = line.settle(units)
            line.cancelled += units
            gross, net = units * price, paid - tax
            owed += max(net - gross, 0)
            new = Line(sku, units, gross, max(gross - net, 0), tax)
            fresh = f"{name}~{sku}"
            while fresh in order.lines:
                fresh += "~"
            order.lines[fresh] = new
            self._promise(order, new)
        self._owe(order, owed)

    def _apply_part(self, key: str, *_: Any) -> None:
        order = self.orders[key]
        owed = 0
        for line in order.lines.values():
            units = max(line.missing, 0)
            owed += line.settle(units)
            line.cancelled += units
        self._owe(order, owed)
        if order.state == "cancelled":
            self._refund_charge(order)

    def _apply_wait(self, key: str, *_: Any) -> None:
        self._wait_again(key)
        self.orders[key].promised = 10**12  # nobody has promised it any more

    def _wait_again(self, key: str) -> None:
        """Wait for what is missing now, and take what is there already."""
        self._end_waiting(key)
        for name, line in self.orders[key].lines.items():
            if line.missing > 0:
                self._wait_for(key, name, line.missing)
                self.freed.add((self.orders[key].at, line.sku))

    def _apply_cancel_refund(self, key: str, *_: Any) -> None:
        self._end(key, "cancelled")

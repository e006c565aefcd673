"""What each command does to goods that move between places, said as plainly as it can be."""

from dataclasses import dataclass

from tests.ledger.models.machine import Command, Refused
from tests.ledger.models.moving import (
    ASKED,
    ENTITY,
    ON_THE_WAY,
    TO_BE_SHIPPED,
    TOLERATED,
    WAITS,
    Extra,
    Goods,
    Line,
    Moving,
)


@dataclass
class Model(Goods):
    """Takes one command after the other."""

    def apply(self, command: Command) -> str:
        """Take a command; returns the answer. One that is refused changes nothing."""
        try:
            answer: str = getattr(self, f"_{command.kind}")(command.about, *command.args)
        except Refused as refusal:
            return str(refusal)
        return answer

    # ------------------------------------------------------------------ at one place
    def _supply(self, _: str, place: str, sku: str, quantity: int) -> str:
        self._put(place, sku, "available", quantity)
        return "accepted"

    def _sale(self, _: str, place: str, sku: str, quantity: int) -> str:
        self._put(place, sku, "available", -quantity)
        return "accepted"

    def _count(self, _: str, place: str, sku: str, quantity: int) -> str:
        """What a count finds on the shelf, promised or not, is what is there."""
        shelf = self.stock[place, sku]
        self._put(place, sku, "available", quantity - shelf["available"] - shelf["reserved"])
        return "done"

    def _claim(self, _: str, _number: int, _share: int) -> str:
        """A carrier's answer is about money."""
        return "done"

    # ------------------------------------------------------------------ asked for, agreed, called off
    def _open(self, key: str, source: str, target: str, lines: tuple[tuple[str, int], ...]) -> str:
        some = {str(number): Line(sku, quantity) for number, (sku, quantity) in enumerate(lines, start=1)}
        self.moving[key] = Moving(source, target, some, "pending_approval")
        if ENTITY[source] == ENTITY[target]:
            self._reserve(self.moving[key])
        return "201"

    def _agree(self, key: str, approves: bool) -> str:
        one = self.moving[key]
        if one.state == "pending_approval":
            if approves:
                self._reserve(one)
            else:
                one.state = "rejected"
        return "done"

    def _cancelled(self, key: str) -> str:
        one = self.moving[key]
        if one.state in ON_THE_WAY and one.asks != "cancel":
            one.asks = "cancel"
            return "accepted"
        return self._declined(key)

    def _declined(self, key: str) -> str:
        one = self.moving[key]
        if one.state not in ("pending_approval", *TO_BE_SHIPPED):
            raise Refused("refused")
        one.asks = None
        self._cut(one)
        one.state = "cancelled"
        return "accepted"

    # ------------------------------------------------------------------ shipped and received
    def _shipped(self, key: str, told: tuple[tuple[str, int], ...] | None, complete: bool) -> str:
        one, sent = self.moving[key], 0
        if told is None:
            told = tuple((name, line.to_ship) for name, line in one.lines.items())
        for name, quantity in told:
            line = one.lines[name]
            known = min(quantity, line.assumed)
            line.assumed -= known
            left = quantity - known
            beyond = left - line.to_ship
            for extra in one.extras:  # what came too many has left too many
                explained = min(beyond, extra.open)
                if explained > 0 and (extra.kind, extra.line, extra.place) == ("over", name, one.target):
                    extra.open -= explained
                    self._put(one.source, extra.sku, "available", -explained)
                    beyond -= explained
                    left -= explained
            self._leave(one, line, left)
            sent += left
            if left:
                one.counted.discard(name)  # a number of other goods
        if complete:
            self._cut(one)
        if sent:
            one.complete = False
        if sent or complete:
            self._settle(one)
        return "accepted"

    def _received(
        self,
        key: str,
        place: str,
        told: tuple[tuple[str, int, str, str | None], ...] | None,
        complete: bool,
    ) -> str:
        one = self.moving[key]
        if told is None:
            told = tuple((name, line.in_transit, "good", None) for name, line in one.lines.items() if line.in_transit)
            if not told:
                raise Refused("quarantined")
        for name, quantity, condition, sku in told:
            self._came(one, name, quantity, condition, sku, place)
        one.counted |= {name for name, *_ in told}
        if complete and not any(line.in_transit and name not in one.counted for name, line in one.lines.items()):
            one.complete = True
        self._settle(one)
        return "accepted"

    def _came(self, one: Moving, name: str, quantity: int, condition: str, sku: str | None, place: str) -> None:
        line, bucket = one.lines[name], "available" if condition == "good" else "damaged"
        if sku not in (None, line.sku):
            self._unexpected(one, "misship", name, str(sku), quantity, bucket, place)
            return
        unreported = min(quantity - line.in_transit, line.to_ship)
        if unreported > 0:
            self._leave(one, line, unreported)
            line.assumed += unreported
        known = min(quantity, line.in_transit)
        self._arrive(one, line, known)
        self._put(place, line.sku, bucket, known)
        if bucket == "damaged":
            line.damaged += known
            line.damage_open += known
        else:
            line.received += known
            if place != one.target and known:
                one.extras.append(Extra("wrong_store", name, place, line.sku, known, known))
        self._unexpected(one, "over", name, line.sku, quantity - known, bucket, place)

    def _unexpected(self, one: Moving, kind: str, name: str, sku: str, quantity: int, bucket: str, place: str) -> None:
        if quantity:
            self._put(place, sku, bucket, quantity)
            one.extras.append(Extra(kind, name, place, sku, quantity, quantity))

    # ------------------------------------------------------------------ what happens by itself
    def _attend(self, key: str, doubted: tuple[str, ...]) -> str:
        """Customers go first: what the till has sold of the units that are held is not sent."""
        one, given = self.moving[key], 0
        for name in doubted:
            line = one.lines[name]
            lacking = min(line.reserved, max(-self.stock[one.source, line.sku]["available"], 0))
            line.reserved -= lacking
            line.cancelled += lacking
            self._put(one.source, line.sku, "reserved", -lacking)
            self._put(one.source, line.sku, "available", lacking)
            given += lacking
        if given and one.state in TO_BE_SHIPPED and not one.to_ship:
            one.asks, one.state = None, "cancelled"
        elif given and (one.on_its_way or one.has_come):
            self._settle(one)
        return "done"

    def _compare(self, key: str) -> str:
        one = self.moving[key]
        if one.state == "received" and one.asks is None:
            self._look_at_differences(one)
        return "done"

    def _look_at_differences(self, one: Moving) -> None:
        for kind, name, units, extra in one.differences():
            if units <= TOLERATED and kind not in ("wrong_store", "misship"):
                self._explain(one, kind, name, units, extra)
                line = one.lines[name]
                if extra is not None and extra.place == one.target and units <= line.settled and not line.claimed:
                    self._take_back(line, units)
        one.state = "discrepancy_review" if one.differences() else "closed"
        one.asks = "difference" if one.differences() else None

    def _due(self, key: str, name: str) -> str:
        """It has come, and nobody is asked anything."""
        one = self.moving[key]
        if name == "ship" and one.to_ship and one.state in TO_BE_SHIPPED + ON_THE_WAY:
            one.asks = "shipment"
        elif name == "receipt" and one.on_its_way and one.state in ON_THE_WAY:
            one.asks = "receipt"
        elif name in ("await", "recount") and one.state == "discrepancy_review":
            self._look_at_differences(one)
        return "done"

    # ------------------------------------------------------------------ what somebody decides
    def _explain(self, one: Moving, kind: str, name: str, units: int, extra: Extra | None) -> None:
        """A difference has its cause: what is missing is gone, what is too much stays."""
        line = one.lines[name]
        if kind == "short":
            self._arrive(one, line, units)
            line.settled += units
        elif kind == "damage":
            line.damage_open = 0
        elif extra is not None:
            extra.open = 0

    @staticmethod
    def _take_back(line: Line, units: int) -> None:
        """What was given up for lost has come after all."""
        line.settled -= units
        line.received += units

    def _decide(self, key: str, option: str) -> str:
        one = self.moving[key]
        one.asks = None
        if one.state == "discrepancy_review":
            self._explain_by(key, one, option)
        elif option == "cancel_rest":
            self._cut(one)
            if one.on_its_way or one.has_come:
                self._stand(one)
            else:
                one.state = "cancelled"
        elif option == "bring_back":
            self._bring_back(key, one)
        elif option == "accept":
            for line in one.lines.values():
                line.settled += line.in_transit
                self._arrive(one, line, line.in_transit)
            self._end_on_its_way(one, "closed")
        return "done"

    def _end_on_its_way(self, one: Moving, state: str) -> None:
        self._cut(one)
        one.complete = True
        one.state = state
        if one.has_come:
            self._stand(one)

    def _bring_back(self, key: str, one: Moving) -> None:
        self.decisions += 1
        back = {name: Line(line.sku, line.in_transit) for name, line in one.lines.items() if line.in_transit}
        for name, line in back.items():
            before = one.lines[name]
            line.shipped = line.in_transit = line.ordered
            before.shipped -= line.ordered
            before.cancelled += line.ordered
            self._arrive(one, before, line.ordered)
            self._put(one.source, line.sku, "in_transit", line.ordered)
        self.moving[f"{key}-back-{self.decisions}"] = Moving(one.target, one.source, back, "in_transit")
        self._end_on_its_way(one, "cancelled")

    def _explain_by(self, key: str, one: Moving, option: str) -> None:
        if option in WAITS:
            return
        asked = min((kind for kind, *_ in one.differences()), key=ASKED.index)
        about = [found for found in one.differences() if found[0] == asked]
        follows: dict[str, list[tuple[str, int]]] = {}
        for kind, name, units, extra in about:
            line = one.lines[name]
            if option == "never_left":
                self._arrive(one, line, units)
                self._put(one.source, line.sku, "available", units)
                line.shipped -= units
                line.assumed = min(line.assumed, line.shipped)
                line.cancelled += units
                continue
            if option in ("sent_unbooked", "send_back") and extra is not None:
                self._put(one.source, extra.sku, "available", -units)
            if option in ("send_on", "send_back") and extra is not None:
                follows.setdefault(extra.place, []).append((extra.sku, units))
            self._explain(one, kind, name, units, extra)
            if option == "was_written_off":
                self._take_back(line, units)
            line.claimed |= option == "carrier_claim"
        self._follow(key, one, option, follows)
        self._look_at_differences(one)

    def _follow(self, key: str, one: Moving, option: str, follows: dict[str, list[tuple[str, int]]]) -> None:
        """Goods go on, or back, from where they are."""
        self.decisions += bool(follows)
        for place, lines in sorted(follows.items()):
            some = {str(number): Line(sku, units) for number, (sku, units) in enumerate(lines, start=1)}
            target = one.target if option == "send_on" else one.source
            name = f"{key}-{option}-{self.decisions}-{place}"
            self.moving[name] = Moving(place, target, some, "ready_to_ship")
            self._reserve(self.moving[name])

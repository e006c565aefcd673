"""What returns of one order must come to, said plainly: a handful of counters, one command after the other, no locks
and no database. Money in minor units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.ledger.models.returns_seen import (
    ASKS,
    CARD_MINOR,
    GIFT_MINOR,
    OVER,
    PAID_MINOR,
    STOCK,
    TILL_MINOR,
    TURN,
    UNITS,
    Command,
    Return,
    Swap,
)


@dataclass
class Model:
    returns: dict[str, Return] = field(default_factory=dict)
    returned: int = 0
    refunded: int = 0
    refunded_minor: int = 0
    gone: dict[str, int] = field(default_factory=lambda: {"gift_card": 0, "card": 0})  # of the order's own payments
    stock: dict[str, int] = field(
        default_factory=lambda: {"available": STOCK - UNITS, "reserved": 0, "customer_returned": 0, "damaged": 0}
    )

    def apply(self, command: Command) -> str:
        answer: str = getattr(self, f"_{command.kind}")(command.key, *command.args)
        for one in self.returns.values():
            if one.is_closed:
                one.awaits_goods = False
        return answer

    def seen(self) -> dict[str, Any]:
        """What can be looked at from outside."""
        return {
            "stock": {name: units for name, units in self.stock.items() if units},
            "sale": (self.returned, self.refunded, self.refunded_minor),
            "returns": {
                key: (
                    one.state, one.received, one.booked, one.accepted, one.declined, one.refunded, one.refunded_minor,
                )
                for key, one in self.returns.items()
            },
            "money": {
                key: {tender: tuple(sums) for tender, sums in one.money.items() if sums[0]}
                for key, one in self.returns.items()
            },
            "exchanges": {
                key: (
                    one.swap.state, one.swap.order, one.swap.captured, one.swap.voided, one.swap.back,
                    one.swap.more_captured, one.swap.more_voided, one.swap.more_back,
                )
                for key, one in self.returns.items()
                if one.swap
            },
        }  # fmt: skip

    # ------------------------------------------------------------------ money
    def _share(self, units: int) -> int:
        """What was paid for the next units that are paid back; the last ones take the rounding rest."""
        if units == UNITS - self.refunded:
            return PAID_MINOR - self.refunded_minor
        done = self.refunded + units
        return PAID_MINOR * done // UNITS - PAID_MINOR * self.refunded // UNITS

    def _count(self, one: Return, units: int, worth: int) -> None:
        one.refunded += units
        one.refunded_minor += worth
        if one.has_sale:
            self.refunded += units
            self.refunded_minor += worth

    def _ask(self, one: Return, tender: str, amount: int, *, paid: bool = False) -> None:
        if not amount:
            return
        sums = one.money.setdefault(tender, [0, 0])
        sums[0] += amount
        if paid:
            sums[1] += amount
        else:
            one.asked.append((tender, amount))

    def _pay(self, one: Return, amount: int) -> None:
        """To the gift card first, then to the card; what neither can take becomes a credit."""
        for tender, most in (("gift_card", GIFT_MINOR), ("card", CARD_MINOR)):
            part = min(amount, most - self.gone[tender])
            self.gone[tender] += part
            self._ask(one, tender, part)
            amount -= part
        self._ask(one, "store_credit", amount)

    def _settle(self, one: Return) -> None:
        units = min(one.due(), UNITS - self.refunded)
        worth = self._share(units) if units else 0
        credit = 0
        if one.keeps_refund:
            assert one.swap is not None
            if worth >= one.swap.credit and one.swap.is_asked:
                return
            if worth >= one.swap.credit:
                credit, one.swap.state = one.swap.credit, "applied"
            elif one.received and not one.awaits_goods and not one.waiting:
                self._take_off(one)
                units = min(one.due(), UNITS - self.refunded)
                worth = self._share(units) if units else 0
            else:
                return
        if units:
            self._count(one, units, worth)
            self._ask(one, "exchange", credit)
            self._pay(one, worth - credit)

    # ------------------------------------------------------------------ goods and requests
    def _asked(self, key: str, units: int, by_mail: bool) -> str:
        announced = sum(
            max(one.claimed - one.booked, 0) for one in self.returns.values() if one.has_sale and not one.is_closed
        )
        if units > UNITS - self.returned - announced:
            return "refused"
        self.returns[key] = Return(units, by_mail)
        return "authorized"

    def _take_in(self, one: Return, units: int) -> None:
        booked = min(units, UNITS - self.returned) if one.has_sale else 0
        one.received += units
        one.booked += booked
        self.returned += booked
        self.stock["customer_returned"] += units

    def _received(self, key: str, units: int, complete: bool) -> str:
        one = self.returns[key]
        self._take_in(one, units)
        one.awaits_goods = one.awaits_goods and not complete
        self._settle(one)
        return "accepted"

    def _inspected(self, key: str, units: int, disposition: str) -> str:
        one = self.returns[key]
        self._take_in(one, max(units - one.waiting, 0))
        if disposition == "repackage":
            one.in_work = True
        else:
            self.stock["customer_returned"] -= units
            one.in_work = one.in_work and one.waiting > units
            if disposition in ("send_back", "missing"):
                one.declined += units
            else:
                one.accepted += units
                self.stock["available" if disposition == "restock" else "damaged"] += units
            if disposition == "send_back":
                again = min(units, one.booked)
                one.booked -= again
                self.returned -= again
        self._settle(one)
        return "accepted"

    def _rung_up(self, key: str, receipt: str, paid: int) -> str:
        """A till takes one unit back; it may have paid something for it."""
        one = self.returns[key]
        if receipt in one.receipts:
            return "duplicate"
        one.receipts.add(receipt)
        self._at_the_till(one, paid)
        return "accepted"

    def _rung_up_alone(self, key: str, paid: int) -> str:
        """The same without a return: one begins with it. A unit that the order has not left belongs to no sale."""
        if key in self.returns:
            return "duplicate"
        announced = sum(
            max(one.claimed - one.booked, 0) for one in self.returns.values() if one.has_sale and not one.is_closed
        )
        one = self.returns[key] = Return(1, by_mail=False, has_sale=self.returned + announced < UNITS)
        one.awaits_goods = False
        self._at_the_till(one, paid)
        return "accepted"

    def _at_the_till(self, one: Return, paid: int) -> None:
        self._take_in(one, 1)
        if paid and not one.has_sale:
            self._count(one, 1, min(paid, TILL_MINOR))
        elif paid and self.refunded < UNITS:
            self._count(one, 1, self._share(1))  # what it has kept of that was a fee
        self._ask(one, "till", paid, paid=True)
        one.awaits_goods = False
        self._settle(one)

    def _called_off(self, key: str) -> str:
        one = self.returns[key]
        if one.state != "authorized" or one.refunded:
            return "refused"
        one.called_off = True
        self._take_off(one)
        return "cancelled"

    # ------------------------------------------------------------------ exchanges
    def _exchanged(self, key: str, price: int) -> str:
        one = self.returns[key]
        if (one.swap and one.swap.state != "off") or one.state in OVER or one.refunded or not one.has_sale:
            return "refused"
        units = min(one.claimed, UNITS - self.refunded)
        if not units:
            return "refused"
        credit = min(price, self._share(units))
        one.swap = Swap(credit, price - credit, "asking" if price > credit else "waiting", credit=credit)
        self.stock["available"] -= 1
        self.stock["reserved"] += 1
        self._settle(one)
        return one.swap.state

    def _take_off(self, one: Return) -> None:
        if one.keeps_refund:
            assert one.swap is not None
            one.swap.state = "off"
            if not one.swap.is_over:
                one.swap.asked.append("call_off")

    def _let_go(self, swap: Swap) -> None:
        """The replacement is cancelled: what was not taken is let go, what was taken goes back."""
        swap.order = "cancelled"
        self.stock["reserved"] -= 1
        self.stock["available"] += 1
        if "charge" not in swap.asked and (loose := swap.more - swap.more_captured - swap.more_voided):
            swap.more_voided += loose
            swap.asked.append("void_more")
        if swap.more_captured:
            swap.more_back = swap.more_captured
            swap.asked.append("refund_more")
        if swap.loose:
            swap.voided += swap.loose
            swap.asked.append("void")
        if swap.captured:
            swap.asked.append("refund")

    def _order_cancelled(self, key: str) -> str:
        swap = self.returns[key].swap
        assert swap is not None
        if swap.is_over:
            return "refused"
        self._let_go(swap)
        return "accepted"

    def _answered(self, key: str, words: str) -> str:
        """What the customer says by their link about a replacement that costs more."""
        one = self.returns[key]
        swap = one.swap
        if swap is None or swap.state != "asking":
            return "refused"
        if swap.order == "cancelled" or words == "decline":
            self._take_off(one)
            self._settle(one)
            return "withdrawn" if swap.order == "cancelled" else "declined"
        swap.state = "collecting"
        swap.asked.append("charge")
        return "accepted"

    def _silent(self, key: str) -> str:
        """The time to answer is over."""
        one = self.returns[key]
        if one.swap is not None and one.swap.state == "asking":
            self._take_off(one)
            self._settle(one)
        return "done"

    def _charge(self, one: Return, swap: Swap, says: str) -> None:
        """The provider is asked for the difference; not at all where the exchange has ended."""
        if swap.state != "collecting" or swap.order == "cancelled":
            if swap.order == "cancelled":
                swap.more_voided += swap.more
            return
        if says == "succeeded":
            swap.more_captured, swap.state = swap.more, "waiting"
        elif swap.times_asked < ASKS:
            swap.times_asked, swap.state = swap.times_asked + 1, "asking"
            return
        else:
            self._take_off(one)
        self._settle(one)

    def _order_asks(self, key: str, says: str) -> str:
        """What the replacement has asked for is carried out; `says` is what the provider answers to a charge."""
        one = self.returns[key]
        assert one.swap is not None
        swap, asked = one.swap, sorted(one.swap.asked, key=lambda what: TURN[what])
        for what in asked:
            swap.asked.remove(what)
            if what == "charge":
                self._charge(one, swap, says)
            elif what == "call_off" and not swap.is_over:
                self._let_go(swap)
            elif what == "void_more" and swap.state == "asking" and swap.order == "cancelled":
                self._take_off(one)
                self._settle(one)
            elif what == "void" and one.keeps_refund:
                swap.credit = 0
                self._take_off(one)
                self._settle(one)
            elif what == "refund":
                swap.back += swap.captured
                self._pay(one, swap.captured)
        return "done"

    def _collected(self, key: str) -> str:
        swap = self.returns[key].swap
        assert swap is not None
        self.stock["reserved"] -= 1
        swap.order = "collected"
        return "accepted"

    # ------------------------------------------------------------------ what is paid
    def _paid(self, key: str) -> str:
        """Whatever is asked for is paid, by a provider or for a replacement."""
        one = self.returns[key]
        for tender, amount in list(one.asked):
            one.asked.remove((tender, amount))
            if tender != "exchange":
                one.money[tender][1] += amount
                continue
            assert one.swap is not None
            part = min(one.swap.loose, amount)
            one.swap.captured += part
            one.money[tender][0] -= amount - part
            one.money[tender][1] += part
            if part and one.swap.order == "placed":
                one.swap.order = "reserved"
            self._pay(one, amount - part)
        return "done"

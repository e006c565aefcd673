"""Exchanges: a return that is paid back with another order instead of money. The replacement is a waiting order, paid
by what its return owes; a tender of its own, `exchange`, stands for that until the goods have come.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, computed_field, model_validator

from domain.errors import Malformed
from domain.ids import api_link
from domain.orders import (
    Body,
    BopisOrder,
    Charge,
    Code,
    Customer,
    Instant,
    OrderHold,
    OrderLine,
    PaymentIn,
    check_told_apart,
)

TENDER = "exchange"

# `asking`: its customer is asked whether they pay what it costs more; `collecting`: they have agreed, and the provider
# is asked for it.
State = Literal["placing", "asking", "collecting", "waiting", "applied", "off"]
# Nothing was paid back for these lines yet: their refund is kept for the replacement.
OPEN: frozenset[str] = frozenset({"placing", "asking", "collecting", "waiting"})
ASKED: frozenset[str] = frozenset({"asking", "collecting"})

WAY = "exchange"  # what an offer to a customer is called that asks about a difference
ANSWERS = ("accept", "decline")
CHARGEABLE = ("card", "wallet")  # tenders of which more can be taken with their owner's word
_DIFFERENCE = "difference:"


def credit_of(return_journey: str) -> str:
    """What the payment of a return for its replacement is called on the replacement."""
    return f"{TENDER}:{return_journey}"


def debit_for(order_journey: str) -> str:
    """What the same payment is called on the return."""
    return f"{TENDER}:{order_journey}"


def difference_by(means: str) -> str:
    """What the payment of a difference is called on the replacement. `means` is what its provider charges."""
    return f"{_DIFFERENCE}{means}"


def is_difference(reference: str) -> bool:
    """Whether a payment of a replacement may be that of a difference; on any other order it is a name like others."""
    return reference.startswith(_DIFFERENCE)


def means_of(reference: str) -> str:
    """What a provider charges for a payment: of a difference the means that stand in its name."""
    return reference.removeprefix(_DIFFERENCE)


class Means(Body):
    """By what a difference is paid once its customer has agreed: a card or a wallet that the provider knows."""

    reference: Code
    tender: Literal["card", "wallet"]


class ReplacementIn(Body):
    """The replacement as its customer wants it. `payments` pay for what it costs more than what comes back is worth;
    what they leave open is asked of the customer, and charged to `difference_from` with their word (when left out: what
    the order that comes back was paid by).

    With `ship_to_home` it is sent to its customer's address, from `ship_from` or the first warehouse that has all of
    it. A customer who is left out is that of the return.
    """

    order_id: Code
    channel: Code | None = None
    pickup_location: Code | None = None
    promised_at: Instant | None = None
    prices_include_tax: bool = False
    customer: Customer = Customer()
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=500)]
    charges: Annotated[tuple[Charge, ...], Field(max_length=20)] = ()
    payments: Annotated[tuple[PaymentIn, ...], Field(max_length=18)] = ()
    difference_from: Means | None = None
    ship_to_home: bool = False
    ship_from: Code | None = None

    @model_validator(mode="after")
    def _told_apart(self) -> "ReplacementIn":
        check_told_apart(self.lines, self.payments)
        if self.ship_to_home and self.pickup_location is not None:
            raise ValueError("it is collected or sent: with ship_to_home leave pickup_location out, and name ship_from")
        if self.ship_from is not None and not self.ship_to_home:
            raise ValueError("ship_from says from where it is sent; say ship_to_home as well")
        if any(is_difference(payment.reference) for payment in self.payments):
            raise ValueError(f"a payment's reference may not begin with {_DIFFERENCE}: so are differences called")
        return self

    @property
    def tax_minor(self) -> int:
        return sum(line.tax_minor for line in self.lines) + sum(charge.tax_minor for charge in self.charges)

    @property
    def total_minor(self) -> int:
        taxes = 0 if self.prices_include_tax else sum(charge.tax_minor for charge in self.charges)
        lines = sum(line.total_minor(prices_include_tax=self.prices_include_tax) for line in self.lines)
        return lines + sum(charge.amount_minor for charge in self.charges) + taxes


class NewExchange(Body):
    """`lines: null` exchanges every line of the return that may come back."""

    lines: Annotated[tuple[Code, ...], Field(min_length=1, max_length=200)] | None = None
    order: ReplacementIn

    @model_validator(mode="after")
    def _each_line_once(self) -> "NewExchange":
        if self.lines is not None and len(set(self.lines)) < len(self.lines):
            raise ValueError("a line of the return is named twice")
        return self


class Credit(PaymentIn):
    """What a return pays of its replacement: nothing is taken before the goods that pay for it are accepted."""

    reference: Annotated[str, Field(min_length=1, max_length=300)]  # names the return, whose id has a source in it
    tender: Literal["exchange"] = TENDER  # type: ignore[assignment]  # no system may pay by it: only a return does
    state: Literal["captured", "authorized"] = "authorized"


class Difference(PaymentIn):
    """What a replacement costs more than what comes back is worth: nothing is taken before its customer has agreed."""

    reference: Annotated[str, Field(min_length=1, max_length=120)]
    tender: Literal["card", "wallet"]
    state: Literal["captured", "authorized"] = "authorized"


class KeptForGoods(OrderHold):
    """The replacement waits for what pays for it."""

    reason: Literal["exchange"] = TENDER  # type: ignore[assignment]  # no source may keep an order back for it


class Replacement(BopisOrder):
    """A replacement on its way into the ledger."""

    hold: KeptForGoods = KeptForGoods()
    payments: tuple[Credit | Difference | PaymentIn, ...] = ()
    ship_to_home: bool = False

    @property
    def is_sent(self) -> bool:
        return self.ship_to_home


class Division(Body):
    """How a replacement is paid: by the return (`credit_minor`), by the customer (`paid_minor`); and what of the
    return's worth is left (`back_minor`), or missing (`open_minor`).
    """

    credit_minor: int
    paid_minor: int
    back_minor: int
    open_minor: int


def divide(worth_minor: int, total_minor: int, paid_minor: int) -> Division:
    """Raises `Malformed` where the payments leave nothing for the return to pay."""
    wanted = total_minor - paid_minor
    if wanted <= 0:
        raise Malformed(
            f"The replacement costs {total_minor} and {paid_minor} are paid for it: the return has nothing to pay. "
            "Order it without an exchange.",
            pointer="/order/payments",
        )
    credit = min(wanted, worth_minor)
    return Division(
        credit_minor=credit, paid_minor=paid_minor, back_minor=worth_minor - credit, open_minor=wanted - credit
    )


class ExchangeAnswer(BaseModel):
    """The replacement. It is let go on when what pays for it was accepted; `back_minor` goes back as money.

    While `state` is `asking`, its customer is asked by mail until `answer_until` whether they pay `difference_minor`.
    """

    journey_id: str
    order_journey_id: str
    state: str
    credit_minor: int
    back_minor: int
    difference_minor: int = 0
    answer_until: datetime | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def links(self) -> dict[str, str]:
        return {"self": api_link("returns", self.journey_id), "order": api_link("journeys", self.order_journey_id)}


class ExchangeView(BaseModel):
    """How far the exchange of a return is. `because` says why there is none any more; `difference_minor` is what its
    customer pays beside what comes back, once they have agreed.
    """

    order: str
    lines: list[str]
    state: str
    credit_minor: int
    difference_minor: int = 0
    is_sent: bool = False
    because: str

"""Exchanges: a return that is paid back with another order instead of money. The replacement is a waiting order, paid
by what its return owes; a tender of its own, `exchange`, stands for that until the goods have come.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, computed_field, model_validator

from domain.errors import Malformed
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

State = Literal["placing", "waiting", "applied", "off"]
# Nothing was paid back for these lines yet: their refund is kept for the replacement.
OPEN: frozenset[str] = frozenset({"placing", "waiting"})


def credit_of(return_journey: str) -> str:
    """What the payment of a return for its replacement is called on the replacement."""
    return f"{TENDER}:{return_journey}"


def debit_for(order_journey: str) -> str:
    """What the same payment is called on the return."""
    return f"{TENDER}:{order_journey}"


class ReplacementIn(Body):
    """The replacement as its customer wants it. `payments` pay for what it costs more than what comes back is worth."""

    order_id: Code
    channel: Code | None = None
    pickup_location: Code | None = None
    promised_at: Instant | None = None
    prices_include_tax: bool = False
    customer: Customer = Customer()
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=500)]
    charges: Annotated[tuple[Charge, ...], Field(max_length=20)] = ()
    payments: Annotated[tuple[PaymentIn, ...], Field(max_length=19)] = ()

    @model_validator(mode="after")
    def _told_apart(self) -> "ReplacementIn":
        check_told_apart(self.lines, self.payments)
        return self

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


class KeptForGoods(OrderHold):
    """The replacement waits for what pays for it."""

    reason: Literal["exchange"] = TENDER  # type: ignore[assignment]  # no source may keep an order back for it


class Replacement(BopisOrder):
    """A replacement on its way into the ledger."""

    hold: KeptForGoods = KeptForGoods()
    payments: tuple[Credit | PaymentIn, ...] = ()


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
    """The replacement. It is let go on when what pays for it was accepted; `back_minor` goes back as money."""

    journey_id: str
    order_journey_id: str
    state: str
    credit_minor: int
    back_minor: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def links(self) -> dict[str, str]:
        return {"self": f"/api/v1/returns/{self.journey_id}", "order": f"/api/v1/journeys/{self.order_journey_id}"}


class ExchangeView(BaseModel):
    """How far the exchange of a return is. `because` says why there is none any more."""

    order: str
    lines: list[str]
    state: str
    credit_minor: int
    because: str

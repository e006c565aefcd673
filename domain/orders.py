"""A BOPIS order as systems send it, with the checks that need no database: sums agree, lines are told apart, numbers
are numbers.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from domain.texts import UNSEEN

MAX_QUANTITY = 1_000_000
MAX_MINOR = 10**12


def _within_reach(instant: datetime) -> datetime:
    """Calendars are reckoned with around an instant; beyond these years that ends outside of what a date can be."""
    if not 2000 <= instant.year <= 2100:
        raise ValueError("the year must lie between 2000 and 2100")
    return instant


Instant = Annotated[AwareDatetime, AfterValidator(_within_reach)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=rf"^[^\s\x00-\x1f\x7f|/{UNSEEN}]+$")]
PLAIN = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"  # no sign that is no text
Name = Annotated[str, StringConstraints(max_length=200, pattern=PLAIN)]
Quantity = Annotated[int, Field(strict=True, gt=0, le=MAX_QUANTITY)]
Minor = Annotated[int, Field(strict=True, ge=0, le=MAX_MINOR)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Body(BaseModel):
    """A request body: unknown fields are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Customer(Body):
    name: Name | None = None
    email: Name | None = None
    phone: Name | None = None
    address: dict[str, Any] | None = None
    pickup_person: Name | None = None


class TaxPart(Body):
    code: Code
    jurisdiction: Name = ""
    rate_ppm: Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
    amount_minor: Minor


class OrderLine(Body):
    line_id: Code
    sku: Code
    quantity: Quantity
    unit_price_minor: Minor
    discount_minor: Minor = 0
    tax_minor: Minor = 0
    tax: tuple[TaxPart, ...] | None = None
    promotion_id: Code | None = None
    regular_price_minor: Minor | None = None  # of a unit, without the promotion
    substitution: Literal["ask", "never", "auto"] = "never"
    fallback: Literal["refund_line", "cancel_order"] = "refund_line"

    @property
    def gross_minor(self) -> int:
        return self.quantity * self.unit_price_minor

    def total_minor(self, *, prices_include_tax: bool) -> int:
        """What the customer pays for the line."""
        return self.gross_minor - self.discount_minor + (0 if prices_include_tax else self.tax_minor)


class Charge(Body):
    kind: Code
    amount_minor: Minor
    tax_minor: Minor = 0


class PaymentIn(Body):
    reference: Code
    tender: Literal["card", "wallet", "gift_card", "store_credit", "loyalty", "cash"]
    amount_minor: Minor
    state: Literal["captured", "authorized"]
    authorized_until: Instant | None = None


class OrderHold(Body):
    """The source keeps the order back: nothing is picked until it says so."""

    reason: Literal["payment", "fraud", "service"]
    until: Instant | None = None


def check_told_apart(lines: Sequence[OrderLine], payments: Sequence[PaymentIn]) -> None:
    """Raise `ValueError` for lines or payments that cannot be told apart, or whose own sums disagree."""
    ids = [line.line_id for line in lines]
    if len(set(ids)) != len(ids):
        raise ValueError("two lines have the same line_id; give each line its own")
    references = [payment.reference for payment in payments]
    if len(set(references)) != len(references):
        raise ValueError("two payments have the same reference; give each payment its own")
    for line in lines:
        if line.discount_minor > line.gross_minor:
            raise ValueError(f"line {line.line_id}: the discount is larger than quantity × unit price")
        if line.tax is not None and sum(part.amount_minor for part in line.tax) != line.tax_minor:
            raise ValueError(f"line {line.line_id}: tax[] does not sum to tax_minor")


class BopisOrder(Body):
    order_id: Code
    channel: Code
    pickup_location: Code
    currency: Currency
    placed_at: Instant | None = None
    promised_at: Instant | None = None
    prices_include_tax: bool = False
    customer: Customer = Customer()
    hold_id: Code | None = None
    hold: OrderHold | None = None
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=500)]
    charges: Annotated[tuple[Charge, ...], Field(max_length=20)] = ()
    payments: Annotated[tuple[PaymentIn, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _lines_and_sums(self) -> "BopisOrder":
        check_told_apart(self.lines, self.payments)
        paid = sum(payment.amount_minor for payment in self.payments)
        if paid != self.total_minor:
            raise ValueError(
                f"payments sum to {paid}, lines and charges to {self.total_minor} minor units; they must agree"
            )
        return self

    @property
    def is_sent(self) -> bool:
        """Whether it goes to its customer's address from the beginning; an order for pickup does not."""
        return False

    @property
    def total_minor(self) -> int:
        total = 0
        for line in self.lines:
            total += line.total_minor(prices_include_tax=self.prices_include_tax)
        for charge in self.charges:
            total += charge.amount_minor + (0 if self.prices_include_tax else charge.tax_minor)
        return total


class PlacedLine(BaseModel):
    line_id: str
    sku: str
    quantity: int
    reserved: int
    short: int


class PlacedOrder(BaseModel):
    """The answer to an order: what is promised now."""

    journey_id: str
    state: str
    promised_at: datetime | None
    lines: tuple[PlacedLine, ...]
    links: dict[str, str]

"""Returns as systems ask for them and are answered, and the facts that they report about them."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from domain.exchanges import ExchangeView
from domain.orders import Body, Code, Currency, Customer, Minor, Name, Quantity
from domain.overrides import OverrideView
from domain.returns import CONDITIONS, DISPOSITIONS, REASONS

Units = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
Tender = Literal["card", "wallet", "gift_card", "store_credit", "loyalty", "cash"]
ReturnId = Annotated[str, Field(min_length=1, max_length=200)]


class Receipt(Body):
    """Proof of a sale at a till. `location` is where it was bought; the place of the return when left out."""

    number: Code
    date: dt.date | None = None
    tender: Tender | None = None
    location: Code | None = None


class History(Body):
    """What the customer bought and brought back in the last ninety days, in units, where the source knows it."""

    bought: Units
    returned: Units


class ReturnLineIn(Body):
    """`order_line_id` names the line of the order or receipt; without it, one with the SKU is looked for."""

    line_id: Code
    sku: Code
    quantity: Quantity
    reason: Literal[REASONS]  # type: ignore[valid-type]  # a tuple of literals, spelt once
    unit_price_minor: Minor | None = None
    serial: Code | None = None
    order_line_id: Code | None = None


class NewReturn(Body):
    """`order_reference` is an order's id or its journey's; with neither it nor a known receipt, the no-receipt rule of
    policy holds. `returned_to: null` is the place of the order.
    """

    return_id: Code
    order_reference: ReturnId | None = None
    order_source: Code | None = None
    bought_at: Literal["web", "store", "marketplace"] = "web"
    returned_to: Code | None = None
    method: Literal["store", "mail"] = "store"
    currency: Currency
    customer: Customer = Customer()
    customer_history: History | None = None
    receipt: Receipt | None = None
    lines: Annotated[tuple[ReturnLineIn, ...], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _told_apart(self) -> "NewReturn":
        ids = [line.line_id for line in self.lines]
        if len(set(ids)) != len(ids):
            raise ValueError("two lines have the same line_id; give each line its own")
        if self.order_reference is not None and self.receipt is not None:
            raise ValueError("name the order or the receipt, not both")
        return self


class ReturnCancel(Body):
    reason: Name = "customer_request"


class ReturnLineAnswer(BaseModel):
    """A line with what policy says of it. `refused` is empty where it may come back."""

    line_id: str
    sku: str
    quantity: int
    refused: str
    because: str
    returnable_until: dt.date | None
    keep: bool
    refund_minor: int
    fee_minor: int


class ReturnAnswer(BaseModel):
    """The answer to a return. `label` goes on the parcel, or is shown at the counter."""

    journey_id: str
    state: str
    label: str | None
    lines: tuple[ReturnLineAnswer, ...]
    links: dict[str, str]


class ReturnedLine(BaseModel):
    """A line as it is recorded. Units: received, with a disposition (accepted, declined), refunded."""

    line_id: str
    sku: str
    reason: str
    claimed: int
    received: int
    accepted: int
    declined: int
    waiting: int
    refunded: int
    refunded_minor: int
    fee_minor: int
    refused: str
    because: str
    may_override: bool  # somebody may ask to have it allowed after all


class DispositionView(BaseModel):
    line_id: str
    quantity: int
    condition: str
    proposed: str
    disposition: str
    state: str
    at: dt.datetime


class ReturnView(BaseModel):
    """A return as it is recorded."""

    journey_id: str
    return_id: str
    source: str
    state: str
    location: str
    method: str
    label: str | None
    currency: str
    order: str | None
    opened_at: dt.datetime
    closed_at: dt.datetime | None
    fraud: dict[str, Any]
    exchange: ExchangeView | None
    lines: list[ReturnedLine]
    dispositions: list[DispositionView]
    overrides: list[OverrideView]


# ---------------------------------------------------------------------- facts
class ReturnReference(Body):
    """A return is named by its id (in the key's own source when `return_source` is left out) or by its journey's."""

    return_id: ReturnId
    return_source: Code | None = None


class ReceivedReturnLine(Body):
    """Units of a line that came back; `line_id: null` is something that nobody had announced."""

    line_id: Code | None = None
    sku: Code | None = None
    quantity: Units

    @model_validator(mode="after")
    def _is_named(self) -> "ReceivedReturnLine":
        if self.line_id is None and self.sku is None:
            raise ValueError("name the line, or the SKU of what came without one")
        return self


class ReturnReceived(ReturnReference):
    """Goods came back. `complete: false` tells that another parcel is on its way."""

    location: Code | None = None
    lines: Annotated[tuple[ReceivedReturnLine, ...], Field(min_length=1, max_length=200)]
    complete: bool = True
    actor: Code | None = None


class InspectedLine(Body):
    """Units of a line with their condition; `disposition: null` is what the rule proposes for it."""

    line_id: Code
    quantity: Quantity
    condition: Literal[CONDITIONS] = "new"  # type: ignore[valid-type]  # a tuple of literals, spelt once
    disposition: Literal[DISPOSITIONS] | None = None  # type: ignore[valid-type]
    reason: Name = ""


class ReturnInspected(ReturnReference):
    lines: Annotated[tuple[InspectedLine, ...], Field(min_length=1, max_length=200)]
    actor: Code | None = None


class ReturnShipped(ReturnReference):
    """The carrier has scanned the parcel."""

    carrier: Name | None = None
    tracking: Name | None = None


class PosReturnLine(Body):
    line: Code
    sku: Code
    quantity: Quantity
    unit_price_minor: Minor
    discount_minor: Minor = 0
    tax_minor: Minor = 0
    original_line: Code | None = None
    reason: Literal[REASONS] = "changed_mind"  # type: ignore[valid-type]


class PosRefund(Body):
    tender: Tender
    amount_minor: Minor
    reference: Name | None = None


class PosReturn(Body):
    """A return that a till rang up. With `return_id` it is that return's receipt; without, it begins one that is
    received. What the till paid out counts as paid.
    """

    location: Code
    receipt: Code
    return_id: ReturnId | None = None
    return_source: Code | None = None
    original_receipt: Code | None = None
    original_location: Code | None = None
    order_id: Code | None = None
    order_source: Code | None = None
    lines: Annotated[tuple[PosReturnLine, ...], Field(min_length=1, max_length=200)]
    refunds: Annotated[tuple[PosRefund, ...], Field(max_length=20)] = ()
    actor: Code | None = None

    @field_validator("lines")
    @classmethod
    def _each_line_once(cls, lines: tuple[PosReturnLine, ...]) -> tuple[PosReturnLine, ...]:
        if len({line.line for line in lines}) < len(lines):
            raise ValueError("a line number appears twice on the receipt")
        return lines


FACTS: dict[str, type[Body]] = {
    "return.shipped": ReturnShipped,
    "return.received": ReturnReceived,
    "return.inspected": ReturnInspected,
    "pos.return": PosReturn,
}

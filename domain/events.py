"""Facts and requests that systems report, each with the shape of its data; the canonical envelope around them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from domain import claims, return_requests
from domain.count import NAMED_BUCKETS
from domain.orders import Body, Code, Currency, Instant, Minor, Name, Quantity
from domain.tracking import TransferTracked
from domain.transfers import TransferAnnounced, TransferCancelled, TransferDeclined, TransferReceived, TransferShipped

PICK_REASONS = (
    "not_in_stock",
    "mismatch",
    "damaged",
    "worn_display",
    "wrong_item_on_shelf",
    "reserved_for_other",
    "no_variance",
)
SignedQuantity = Annotated[int, Field(strict=True, ge=-1_000_000, le=1_000_000)]
NotNegative = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]


class Override(Body):
    reason: Name
    actor: Code


class SaleLineIn(Body):
    line: Code
    sku: Code
    quantity: Quantity
    unit_price_minor: Minor
    regular_price_minor: Minor | None = None
    discount_minor: Minor = 0
    vendor_funded_minor: Minor = 0
    coupon_minor: Minor = 0
    tax_minor: Minor = 0
    promotion_id: Code | None = None
    override: Override | None = None
    order_id: Code | None = None
    order_source: Code | None = None
    line_id: Code | None = None


class TenderIn(Body):
    tender: Code
    amount_minor: Minor


class PosSale(Body):
    location: Code
    receipt: Code
    lines: Annotated[tuple[SaleLineIn, ...], Field(min_length=1, max_length=1000)]
    tenders: tuple[TenderIn, ...] = ()

    @field_validator("lines")
    @classmethod
    def _each_line_once(cls, lines: tuple[SaleLineIn, ...]) -> tuple[SaleLineIn, ...]:
        if len({line.line for line in lines}) < len(lines):
            raise ValueError("a line number appears twice on the receipt")
        return lines


class ReceivedLine(Body):
    """Goods that came; with an order, those that a warehouse has sent for it, whatever supplier they are from."""

    sku: Code
    quantity: Quantity
    unit_cost_minor: Minor | None = None
    order_id: Code | None = None
    order_source: Code | None = None
    line_id: Code | None = None


class StockReceived(Body):
    location: Code
    document: Code
    lines: Annotated[tuple[ReceivedLine, ...], Field(min_length=1, max_length=1000)]


class StockAdjusted(Body):
    location: Code
    sku: Code
    quantity: SignedQuantity
    reason: Code
    actor: Code


class OrderReference(Body):
    """An order is named by its journey, or by its id in a source (the key's own when left out)."""

    journey_id: Annotated[str, Field(max_length=200)] | None = None
    order_source: Code | None = None
    order_id: Code | None = None


class PickedLine(Body):
    line_id: Code
    quantity: NotNegative
    reason: Literal[PICK_REASONS] | None = None  # type: ignore[valid-type]  # a tuple of literals, spelt once


class BopisPicked(OrderReference):
    picker: Code
    lines: Annotated[tuple[PickedLine, ...], Field(min_length=1, max_length=500)]


class Proof(Body):
    kind: Literal["code", "id", "pin"]
    code: Name | None = None
    name: Name | None = None
    relation: Name | None = None
    id_checked: bool = False  # somebody looked at the customer's age


class HandedLine(Body):
    line_id: Code
    quantity: NotNegative
    refused_quantity: NotNegative = 0
    reason: Name | None = None


class BopisHandedOver(OrderReference):
    lines: Annotated[tuple[HandedLine, ...], Field(min_length=1, max_length=500)] | None = None
    proof: Proof | None = None
    actor: Code


class PutAwayLine(Body):
    line_id: Code
    quantity: Quantity


class BopisPutAway(OrderReference):
    lines: Annotated[tuple[PutAwayLine, ...], Field(min_length=1, max_length=500)] | None = None
    condition: Literal["good", "damaged"] = "good"
    actor: Code | None = None


class VerifiedLine(Body):
    line_id: Code
    quantity: NotNegative  # of those that are promised and not picked, this many are there


class BopisVerified(OrderReference):
    """The store has looked for promised units. `lines: null` says that all of them are there."""

    lines: Annotated[tuple[VerifiedLine, ...], Field(min_length=1, max_length=500)] | None = None
    actor: Code


class BopisArrived(OrderReference):
    """The customer is outside. What they drive is kept as personal data."""

    bay: Name | None = None
    vehicle: Name | None = None


class BopisCancelled(OrderReference):
    lines: Annotated[tuple[Code, ...], Field(min_length=1, max_length=500)] | None = None
    reason: Name = "customer_request"
    actor: Code | None = None


class BopisExtended(OrderReference):
    until: Instant
    actor: Code | None = None


class BopisHoldReleased(OrderReference):
    actor: Code | None = None


class ShippedLine(Body):
    line_id: Code
    quantity: Quantity


class CountEntry(Body):
    """One line as it was counted: `bucket: null` is the shelf, with what stands in it for orders to be picked."""

    sku: Code
    quantity: NotNegative
    counted_at: Instant
    bucket: Literal[NAMED_BUCKETS] | None = None  # type: ignore[valid-type]  # a tuple of literals, spelt once


class Figures(Body):
    """What was counted on one device. `session` is the device's own word for itself; another one is refused until it
    takes the count over. `submit` ends the session.
    """

    session: Code
    counter: Code
    lines: Annotated[tuple[CountEntry, ...], Field(max_length=1000)] = ()
    submit: bool = False
    take_over: bool = False

    @field_validator("lines")
    @classmethod
    def _each_line_once(cls, lines: tuple[CountEntry, ...]) -> tuple[CountEntry, ...]:
        if len({(line.sku, line.bucket) for line in lines}) < len(lines):
            raise ValueError("a SKU appears twice; send one figure for it")
        return lines


class CountEntered(Figures):
    """Figures, and the count that they are of."""

    count_id: Annotated[str, Field(min_length=1, max_length=200)]


class BopisShipped(OrderReference):
    """An order that goes to the customer's address has left. `lines: null` is all that is held for it."""

    lines: Annotated[tuple[ShippedLine, ...], Field(min_length=1, max_length=500)] | None = None
    carrier: Name | None = None
    tracking: Name | None = None


class OrderShipped(Body):
    """Held goods have left for the customer. `lines: null` is all that is still held."""

    hold_id: Code
    lines: Annotated[tuple[ShippedLine, ...], Field(min_length=1, max_length=500)] | None = None


class LocationStatus(Body):
    """A place is closed, hands out no pickups, or is open, from an instant (that of the event) until another (told)."""

    location: Code
    status: Literal["open", "no_pickup", "closed"]
    from_: Annotated[Instant | None, Field(alias="from")] = None
    until: Instant | None = None
    reason: Name = ""


Locations = Literal["all"] | Annotated[tuple[Code, ...], Field(min_length=1, max_length=1000)]


class ItemStopSale(Body):
    """An item must not be sold, at some places or everywhere."""

    sku: Code
    locations: Locations
    reason: Name = ""


class ItemSaleResumed(Body):
    """It may be sold again."""

    sku: Code
    locations: Locations
    reason: Name = ""


class RefundConfirmed(OrderReference):
    """The source has paid back what the webhook `refund.requested` asked for. `reference` is its own."""

    operation_id: Annotated[str, Field(min_length=1, max_length=400)]
    amount_minor: Minor
    currency: Currency
    reference: Name | None = None


FACTS: dict[str, type[Body]] = {
    "item.stop_sale": ItemStopSale,
    "item.sale_resumed": ItemSaleResumed,
    "location.status": LocationStatus,
    "order.shipped": OrderShipped,
    "pos.sale": PosSale,
    "stock.received": StockReceived,
    "stock.adjusted": StockAdjusted,
    "refund.confirmed": RefundConfirmed,
    "bopis.picked": BopisPicked,
    "bopis.handed_over": BopisHandedOver,
    "bopis.put_away": BopisPutAway,
    "bopis.verified": BopisVerified,
    "bopis.shipped": BopisShipped,
    "bopis.arrived": BopisArrived,
    **return_requests.FACTS,
    "transfer.announced": TransferAnnounced,
    "transfer.shipped": TransferShipped,
    "transfer.received": TransferReceived,
    **claims.FACTS,
}
REQUESTS: dict[str, type[Body]] = {
    # Never refused for the state of its count: only for another device's session, or for who counts.
    "count.entered": CountEntered,
    "bopis.cancelled": BopisCancelled,
    "bopis.extended": BopisExtended,
    "bopis.hold_released": BopisHoldReleased,
    "transfer.cancelled": TransferCancelled,
    "transfer.declined": TransferDeclined,
    "transfer.tracked": TransferTracked,
    **claims.REQUESTS,
}
EVENT_TYPES: dict[str, type[Body]] = FACTS | REQUESTS


class Event(Body):
    """The canonical envelope. `id` is unique per source; the same id again is a duplicate and does nothing."""

    id: Code
    type: Code
    occurred_at: Instant
    sequence: Annotated[int, Field(strict=True, ge=0, le=2**62)] | None = None
    data: dict[str, Any]


class EventOutcome(BaseModel):
    id: str
    outcome: Literal["accepted", "duplicate", "parked", "quarantined", "refused"]
    problem: dict[str, Any] | None = None
    case_id: int | None = None

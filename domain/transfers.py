"""Transfers as systems and people ask for them, report them and are answered."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from domain.orders import Body, Code, Instant, Minor, Name, Quantity
from domain.tracking import TrackingView

NotNegative = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]


class WantedLine(Body):
    line_id: Code
    sku: Code
    quantity: Quantity


def _told_apart(lines: tuple[Any, ...] | None) -> None:
    ids = [line.line_id for line in lines or ()]
    if len(set(ids)) != len(ids):
        raise ValueError("two lines have the same line_id; give each line its own")


class NewTransfer(Body):
    """`requested_by` is a person's id or alias; without one it is the system's own proposal."""

    transfer_id: Code
    from_: Annotated[Code, Field(alias="from")]
    to: Code
    reason: Literal["rebalance", "ship_to_store", "replenish", "recall"]
    needed_by: Instant | None = None
    requested_by: Code | None = None
    lines: Annotated[tuple[WantedLine, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _places_and_lines(self) -> "NewTransfer":
        if self.from_ == self.to:
            raise ValueError("goods go from one place to another; name two")
        _told_apart(self.lines)
        return self


class Amendment(Body):
    """Other lines for a transfer that nobody has agreed to yet."""

    lines: Annotated[tuple[WantedLine, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _lines(self) -> "Amendment":
        _told_apart(self.lines)
        return self


class TransferLineAnswer(BaseModel):
    line_id: str
    sku: str
    quantity: int
    reserved: int
    short: int


class TransferAnswer(BaseModel):
    """A transfer as it was recorded. `approval_id`: who must agree has been asked."""

    journey_id: str
    state: str
    value_minor: int
    currency: str
    approval_id: int | None
    lines: tuple[TransferLineAnswer, ...]
    links: dict[str, str]


# ---------------------------------------------------------------------- what is reported
class TransferReference(Body):
    """A transfer is named by its id in a source (the key's own when left out), or by its journey."""

    transfer_id: Annotated[str, Field(min_length=1, max_length=200)]
    transfer_source: Code | None = None


class ShippedLine(Body):
    line_id: Code
    sku: Code | None = None
    quantity: NotNegative


class TransferShipped(TransferReference):
    """Goods have left. `lines: null` is all that is reserved; `complete`: the rest does not come."""

    shipment_id: Code | None = None
    lines: Annotated[tuple[ShippedLine, ...], Field(min_length=1, max_length=500)] | None = None
    carrier: Name | None = None
    tracking: Name | None = None
    expected_at: Instant | None = None
    complete: bool = False
    actor: Code | None = None


class TransferAnnounced(TransferReference):
    """The advance ship notice: what is to come, and when. It moves no goods."""

    shipment_id: Code
    lines: Annotated[tuple[ShippedLine, ...], Field(min_length=1, max_length=500)] | None = None
    carrier: Name | None = None
    tracking: Name | None = None
    expected_at: Instant | None = None


class ReceivedTransferLine(Body):
    """`sku` is what really came; another than the line's own is a wrong item."""

    line_id: Code
    sku: Code | None = None
    quantity: NotNegative
    condition: Literal["good", "damaged"] = "good"


class TransferReceived(TransferReference):
    """Goods have come, perhaps not all. `lines: null` is everything that is on its way, good. `location` is where they
    came, the destination when left out. `complete` counts when every open line has a number.
    """

    shipment_id: Code | None = None
    location: Code | None = None
    lines: Annotated[tuple[ReceivedTransferLine, ...], Field(min_length=1, max_length=1000)] | None = None
    carrier: Name | None = None
    tracking: Name | None = None
    complete: bool = False
    actor: Code | None = None


class TransferCancelled(TransferReference):
    reason: Name = "called_off"
    actor: Code | None = None


class TransferDeclined(TransferReference):
    """The source will not send it."""

    reason: Name = "declined"
    actor: Code | None = None


class CancelTransfer(Body):
    reason: Name = "called_off"


# ---------------------------------------------------------------------- carrier claims
class ClaimAnswer(Body):
    """What the carrier accepts of a claim; 0 declines it."""

    accepted_minor: Minor
    reference: Name | None = None


class ClaimView(BaseModel):
    """A claim against a carrier, as it is recorded."""

    claim_id: int
    journey_id: str
    state: str
    sku: str
    quantity: int
    carrier: str
    tracking: str
    amount_minor: int
    accepted_minor: int | None
    currency: str
    opened_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    paid_at: datetime | None


class TransferLineView(BaseModel):
    line_id: str
    sku: str
    ordered: int
    reserved: int
    shipped: int
    in_transit: int
    received: int
    damaged: int
    settled: int
    cancelled: int
    root_cause: str | None


class ExtraView(BaseModel):
    """Units that came and were not expected: too many, another item, or at another store."""

    kind: str
    line_id: str
    location: str
    sku: str
    quantity: int
    settled: int
    root_cause: str | None


class ParcelView(BaseModel):
    """A shipment, its announcement, or a receipt."""

    kind: str
    shipment_id: str | None
    location: str
    carrier: str | None
    tracking: str | None
    expected_at: datetime | None
    complete: bool
    at: datetime
    lines: list[dict[str, Any]]


class TransferView(BaseModel):
    """A transfer as it is recorded. `value_minor` is at cost; `counts` are those that were opened because of it."""

    journey_id: str
    transfer_id: str
    source: str
    state: str
    reason: str
    from_: Annotated[str, Field(serialization_alias="from")]
    to: str
    needed_by: datetime | None
    value_minor: int
    currency: str
    opened_at: datetime
    approved_at: datetime | None
    completed_at: datetime | None
    closed_at: datetime | None
    dues: dict[str, datetime]
    case_id: int | None
    approval_id: int | None
    lines: list[TransferLineView]
    extras: list[ExtraView]
    parcels: list[ParcelView]
    claims: list[ClaimView]
    tracking: list[TrackingView]
    counts: list[str]

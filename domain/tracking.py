"""What carriers say of parcels under way: where one is, and when it comes. News never says what was in it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field

from domain.orders import Body, Code, Instant, Name

PARCEL_STATES = (
    "announced",
    "picked_up",
    "in_transit",
    "delayed",
    "out_for_delivery",
    "delivered",
    "returned",
    "lost",
)
# Of these the carrier has no further news.
OVER = frozenset({"delivered", "returned", "lost"})
ParcelState = Literal[
    "announced", "picked_up", "in_transit", "delayed", "out_for_delivery", "delivered", "returned", "lost"
]


class TransferTracked(Body):
    """News of a carrier about a parcel, named by its tracking number as the shipment or its announcement gave it.

    `transfer_id` tells transfers apart that travel under one number. It moves no goods: what came is what the
    destination reports.
    """

    tracking: Name
    status: ParcelState
    expected_at: Instant | None = None
    carrier: Name | None = None
    transfer_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    transfer_source: Code | None = None


class TrackingView(BaseModel):
    """The latest news of a parcel. `told_at`: as of when the carrier said so."""

    tracking: str
    carrier: str | None
    status: str
    expected_at: datetime | None
    told_at: datetime


class Parcel(NamedTuple):
    """What is known of one parcel of a transfer."""

    status: str
    expected_at: datetime | None
    told_at: datetime


def comes_at(parcels: Iterable[Parcel]) -> datetime | None:
    """When the last of some parcels comes, as far as carriers have said; a delivered one came when they said so."""
    known = [one.told_at if one.status == "delivered" else one.expected_at for one in parcels]
    return max((at for at in known if at is not None), default=None)

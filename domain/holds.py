"""Holds: units that a channel has promised to somebody before there is an order, or for an order of another system."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from domain.orders import Body, Code, Quantity

MAX_EXPIRY_S = 90 * 86_400
Expiry = Annotated[int, Field(strict=True, gt=0, le=MAX_EXPIRY_S)]


class HoldLineIn(Body):
    line_id: Code
    sku: Code
    quantity: Quantity
    location: Code


class HoldIn(Body):
    """`expires_in_s: null` holds until it is released or shipped."""

    hold_id: Code
    channel: Code
    order_reference: Code | None = None
    lines: Annotated[tuple[HoldLineIn, ...], Field(min_length=1, max_length=500)]
    expires_in_s: Expiry | None = 600

    @model_validator(mode="after")
    def _lines_are_told_apart(self) -> "HoldIn":
        ids = [line.line_id for line in self.lines]
        if len(set(ids)) != len(ids):
            raise ValueError("two lines have the same line_id; give each line its own")
        return self


class HoldExtension(Body):
    """Counted from now; null holds until it is released or shipped."""

    expires_in_s: Expiry | None


class HeldLine(BaseModel):
    """Units of one line by what became of them. `reserved` are held; `short` could not be."""

    line_id: str
    sku: str
    location: str
    quantity: int
    reserved: int
    short: int = 0
    committed: int = 0
    released: int = 0
    expired: int = 0
    lost: int = 0


class Held(BaseModel):
    """`ended`: nothing of it is held any more."""

    hold_id: str
    state: Literal["held", "ended"]
    channel: str
    order_reference: str | None
    expires_at: datetime | None
    lines: tuple[HeldLine, ...]

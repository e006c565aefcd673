"""Adjustments: corrections of the book that a person asks for, with a reason for each line."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from domain.events import SignedQuantity
from domain.orders import Body, Code

AdjustmentState = Literal["awaiting_approval", "in_review", "posted", "rejected", "expired", "undone"]
ADJUSTMENT_STATES: tuple[AdjustmentState, ...] = (
    "awaiting_approval",
    "in_review",
    "posted",
    "rejected",
    "expired",
    "undone",
)

# What a person may give as the reason, and whether units are lost (-1), found (1), or either (0).
REASONS: dict[str, int] = {
    "missing": -1,
    "stolen": -1,
    "damaged": -1,
    "expired": -1,
    "scrapped": -1,
    "internal_use": -1,
    "found": 1,
    "receipt_not_booked": 1,
    "booking_error": 0,
}

# Who may ask for one; who may approve is the ladder of the policy.
ASKING_ROLES = frozenset({"store_associate", "store_manager", "regional_ops", "planner", "warehouse_lead", "admin"})


def reasons_for(quantity: int) -> list[str]:
    """The reasons that fit units lost (below zero) or found."""
    return [reason for reason, sign in REASONS.items() if sign in (0, 1 if quantity > 0 else -1)]


class AdjustmentLineIn(Body):
    """Units found (above zero) or lost (below zero), in the item's base unit."""

    sku: Code
    quantity: SignedQuantity
    reason: Code

    @field_validator("quantity")
    @classmethod
    def _something(cls, quantity: int) -> int:
        if quantity == 0:
            raise ValueError("a quantity of 0 adjusts nothing")
        return quantity

    @model_validator(mode="after")
    def _reason_fits(self) -> "AdjustmentLineIn":
        fitting = reasons_for(self.quantity)
        if self.reason not in fitting:
            what = "found" if self.quantity > 0 else "lost"
            raise ValueError(f"the reason for units {what} is one of {', '.join(fitting)}")
        return self


class AdjustmentIn(Body):
    adjustment_id: Code
    location: Code
    lines: Annotated[tuple[AdjustmentLineIn, ...], Field(min_length=1, max_length=200)]


class AdjustedLine(BaseModel):
    """`parked`: units taken out of what may be promised while somebody decides; `posted`: what the book was changed by,
    signed. Cost in minor units, absolute.
    """

    line: int
    sku: str
    quantity: int
    reason: str
    parked: int
    posted: int
    cost_minor: int


class Adjustment(BaseModel):
    """`gross_minor` is the absolute value of all lines at cost, in the entity's currency."""

    adjustment_id: str
    source: str
    state: AdjustmentState
    location: str
    requested_by: str
    gross_minor: int
    currency: str
    needs: Literal["nobody", "manager", "finance"]
    approval_id: int | None
    case_id: int | None
    lines: tuple[AdjustedLine, ...]

"""Vendor returns: a document by which goods of one place go back to their vendor, from the wish to the vendor's credit.

Goods are never refused for a state: they may leave before the vendor has authorised it. Money is in minor units, at the
cost at which the goods stood in the books.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field, computed_field, model_validator

from domain.errors import StateConflict
from domain.orders import Body, Code, Minor, Name, Quantity


class VendorReturnState(StrEnum):
    OPEN = "open"
    AUTHORIZED = "authorized"  # the vendor has given its number
    SHIPPED = "shipped"
    SHORT_CREDITED = "short_credited"  # less came than the goods had cost
    CREDITED = "credited"
    WRITTEN_OFF = "written_off"  # what was not credited is given up
    CANCELLED = "cancelled"


S = VendorReturnState
STATES = tuple(state.value for state in S)
TRANSITIONS: dict[VendorReturnState, frozenset[VendorReturnState]] = {
    S.OPEN: frozenset({S.AUTHORIZED, S.SHIPPED, S.CANCELLED}),
    S.AUTHORIZED: frozenset({S.AUTHORIZED, S.SHIPPED, S.CANCELLED}),
    S.SHIPPED: frozenset({S.SHORT_CREDITED, S.CREDITED, S.WRITTEN_OFF}),
    S.SHORT_CREDITED: frozenset({S.SHORT_CREDITED, S.CREDITED, S.WRITTEN_OFF}),
    # A credit that comes late is money all the same.
    S.CREDITED: frozenset({S.CREDITED}),
    S.WRITTEN_OFF: frozenset({S.WRITTEN_OFF}),
    S.CANCELLED: frozenset(),
}
WITH_US = frozenset({S.OPEN, S.AUTHORIZED})  # its units are still here


def check_transition(current: str, wanted: VendorReturnState) -> None:
    """Raise `StateConflict` where the document may not go from `current` to `wanted`."""
    if wanted not in TRANSITIONS[VendorReturnState(current)]:
        raise StateConflict(
            f"The vendor return is {current.replace('_', ' ')}; it cannot become {wanted.value.replace('_', ' ')}."
        )


class VendorReturnLineIn(Body):
    line_id: Code
    sku: Code
    quantity: Quantity


class NewVendorReturn(Body):
    """Units that wait at a place to go back to one vendor."""

    vendor_return_id: Code
    vendor: Code
    location: Code
    lines: Annotated[tuple[VendorReturnLineIn, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _told_apart(self) -> "NewVendorReturn":
        for name in ("line_id", "sku"):
            found = [getattr(line, name) for line in self.lines]
            if len(set(found)) < len(found):
                raise ValueError(f"two lines have the same {name}; write each once")
        return self


class Authorization(Body):
    number: Code


class ShippedLine(Body):
    line_id: Code
    quantity: Annotated[int, Field(strict=True, ge=0, le=1_000_000)]


class VendorShipment(Body):
    """`lines: null` is everything; a line that is not named stays here, and may go another time."""

    lines: Annotated[tuple[ShippedLine, ...], Field(min_length=1, max_length=500)] | None = None
    carrier: Name = ""
    tracking: Name = ""

    @model_validator(mode="after")
    def _each_line_once(self) -> "VendorShipment":
        if self.lines is not None and len({line.line_id for line in self.lines}) < len(self.lines):
            raise ValueError("a line is named twice")
        return self


class VendorCredit(Body):
    """A credit note of the vendor. The same reference counts once; 0 says that nothing is credited."""

    reference: Code
    amount_minor: Minor


class Reason(Body):
    reason: Name


class Balance(BaseModel):
    """What a vendor owes for goods that were shipped. `beyond_minor` was credited beyond their cost."""

    cost_minor: int
    credited_minor: int = 0
    written_off_minor: int = 0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def open_minor(self) -> int:
        return max(self.cost_minor - self.credited_minor - self.written_off_minor, 0)

    def with_credit(self, amount_minor: int) -> tuple["Balance", int]:
        """The balance after a credit note, and how much of it pays what is open; the rest is beyond it."""
        after = self.model_copy(update={"credited_minor": self.credited_minor + amount_minor})
        return after, self.open_minor - after.open_minor

    def state(self) -> VendorReturnState:
        if self.open_minor:
            return S.SHORT_CREDITED
        return S.WRITTEN_OFF if self.written_off_minor else S.CREDITED


class VendorReturnLineView(BaseModel):
    line_id: str
    sku: str
    quantity: int
    shipped: int
    cost_minor: int


class CreditView(BaseModel):
    reference: str
    amount_minor: int
    at: datetime


class VendorReturnView(BaseModel):
    """A vendor return as it is recorded. `approval_id`: somebody is asked to give up what is open."""

    id: str
    vendor_return_id: str
    source: str
    vendor: str
    location: str
    entity: str
    currency: str
    state: str
    authorization: str
    carrier: str
    tracking: str
    balance: Balance
    approval_id: int | None
    opened_at: datetime
    shipped_at: datetime | None
    closed_at: datetime | None
    credit_due_at: datetime | None  # from then on somebody is asked where the vendor's credit is
    lines: list[VendorReturnLineView]
    credits: list[CreditView]

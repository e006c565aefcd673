"""Overrides of the return policy: what somebody may ask to have allowed after all, with a code of the policy that says
why. Whoever agrees is somebody else; nothing of it happens by itself.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, Field, model_validator

from domain.orders import Body, Code

# Refusals of the policy. What a person has declined, or what is not of a sale, is no question of policy.
OF_POLICY = frozenset({"final_sale", "window_expired", "no_receipt"})
STATES = ("pending", "approved", "rejected", "expired", "superseded")
Note = Annotated[str, Field(max_length=4000)]


class NewOverride(Body):
    """Lines that shall be taken back although policy, or an inspection, says no. `reason` is a code of the policy
    (`returns.override_reasons`).
    """

    lines: Annotated[tuple[Code, ...], Field(min_length=1, max_length=200)]
    reason: Code
    note: Note = ""

    @model_validator(mode="after")
    def _each_line_once(self) -> "NewOverride":
        if len(set(self.lines)) < len(self.lines):
            raise ValueError("a line is named twice; name each once")
        return self


class OverrideView(BaseModel):
    """An override as it is recorded. `amount_minor` is what would go back by it, as it stood when it was asked for."""

    id: int
    lines: list[str]
    reason: str
    amount_minor: int
    state: str
    approval_id: int
    asked_by: str
    asked_by_name: str
    asked_at: dt.datetime
    settled_at: dt.datetime | None


class Allowed(NamedTuple):
    """Units of a line that an override would let come back, and of those that were declined, refund all the same."""

    units: int
    conceded: int

    @property
    def total(self) -> int:
        return self.units + self.conceded


def allowed_of(line: Mapping[str, Any], missing: int = 0) -> Allowed:
    """What an override would change of a line; `missing` are units that were not in the parcel after all.

    A line that nobody had announced is not of the policy. Units that were looked at and declined went back to the
    customer: they are not asked for again, they are refunded.
    """
    if not line["claimed"]:
        return Allowed(0, 0)
    ruling = line["ruling"]
    refused = ruling.get("refused") or ""
    if refused and refused not in OF_POLICY:
        return Allowed(0, 0)
    open_units = int(line["claimed"]) - int(line["refunded"])
    declined = int(line["declined"]) - missing - int(ruling.get("conceded", 0))
    conceded = max(min(declined, open_units), 0)
    return Allowed(max(open_units - conceded, 0) if refused else 0, conceded)

"""A transfer that is wanted, before it is written: from where to where, of what, by whom, and what it is worth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.ids import journey_id
from domain.policy import Policy
from ledger import reference


@dataclass(frozen=True)
class Wanted:
    """A transfer that is wanted. `band_actor`: whose thirty days count against the band; nobody's for a system's own
    proposal. `is_agreed`: it follows from a decision, so nobody is asked again. `held`: units by line that are reserved
    at its source already, and that whoever held them gives over.
    """

    place: reference.Place
    target: reference.Place
    policy: Policy
    source: str
    key: str
    reason: str
    lines: Sequence[tuple[str, str, int]]  # line, SKU, units
    at: datetime
    needed_by: datetime | None = None
    requested_by: str = ""
    barred: Sequence[str] = ()
    band_actor: str | None = None
    is_agreed: bool = False
    held: Mapping[str, int] = field(default_factory=dict)
    clock_offset_s: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return journey_id("transfer", self.source, self.key)


type Costs = Mapping[tuple[str, str], int]  # average unit cost by (entity, SKU), in 1/10,000 minor units


def places_of(openings: Iterable[Wanted]) -> set[tuple[str, str]]:
    """The (location, SKU) whose stock has to be locked."""
    return {(one.place.code, sku) for one in openings for _, sku, _ in one.lines}


def value_of(one: Wanted, costs: Costs) -> int:
    """What is wanted is worth, at cost."""
    return sum(reference.cost_of(costs.get((one.place.entity, sku), 0), number) for _, sku, number in one.lines)

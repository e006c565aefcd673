"""Counts as systems and devices ask for them and are answered: never with a book quantity before they are compared."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from domain.count import REASONS
from domain.errors import Malformed
from domain.ids import api_link
from domain.orders import Body, Code, Instant, Name


class NewCount(Body):
    """`skus: null` counts everything that the book has at the place."""

    count_id: Code
    location: Code
    skus: Annotated[tuple[Code, ...], Field(min_length=1, max_length=2_000)] | None = None
    reason: Literal[REASONS] = "manual"  # type: ignore[valid-type]  # a tuple of literals, spelt once
    due_at: Instant | None = None

    def check_due(self, now: datetime) -> None:
        """Raise `Malformed` for a due instant that has passed."""
        if self.due_at is not None and self.due_at <= now:
            raise Malformed("The count would be due before it is asked for; choose a later time.", pointer="/due_at")


class CountCancel(Body):
    reason: Name = "called_off"


class CountLineAnswer(BaseModel):
    line_id: str
    sku: str
    state: str = "open"


class CountAnswer(BaseModel):
    """A count as it was opened."""

    journey_id: str
    state: str
    round: int
    lines: tuple[CountLineAnswer, ...]
    links: dict[str, str]

    @classmethod
    def of(cls, journey_id: str, state: str, round_: int, skus: list[str]) -> "CountAnswer":
        return cls(
            journey_id=journey_id,
            state=state,
            round=round_,
            lines=tuple(CountLineAnswer(line_id=sku, sku=sku) for sku in skus),
            links={"self": api_link("counts", journey_id)},
        )


class SavedEntry(BaseModel):
    sku: str
    bucket: str | None
    quantity: int
    counted_at: datetime


class EntriesAnswer(BaseModel):
    """What is saved of the present round; `left` lines have no figure yet, and without one they are not counted."""

    journey_id: str
    state: str
    round: int
    saved_at: datetime
    lines: tuple[SavedEntry, ...]
    left: int


class CountedLine(BaseModel):
    """A line. `book`, `difference` and `value_minor` are empty until it was compared: a count is blind."""

    line_id: str
    sku: str
    bucket: str | None
    state: str
    round: int
    counted: int | None
    counted_at: datetime | None
    book: int | None
    difference: int | None
    value_minor: int | None
    root_cause: str | None
    risk: list[dict[str, str | int]]


class CountView(BaseModel):
    """A count as it is recorded."""

    journey_id: str
    count_id: str
    source: str
    location: str
    state: str
    reason: str
    round: int
    opened_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    lines: list[CountedLine]

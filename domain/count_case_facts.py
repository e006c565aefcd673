"""What the cases about cycle counts snapshot for the person who decides. Money in minor units."""

from datetime import datetime

from pydantic import BaseModel

from domain.case_fact import Facts


class FeedFacts(Facts):
    partial = "feed.html"
    count: str
    counted_at: datetime
    waits_since: datetime
    told_until: datetime | None


class Differs(BaseModel, frozen=True):
    """A line of a count; `first_count` is what somebody else has counted before."""

    sku: str
    name: str
    book: int
    counted: int
    difference: int
    first_count: int | None
    value_minor: int


class Moved(BaseModel, frozen=True):
    at: datetime
    sku: str
    what: str
    because: str


class VarianceFacts(Facts):
    partial = "variance.html"
    count: str
    reason: str
    needs: str
    chronic: tuple[str, ...]
    lines: tuple[Differs, ...]
    movements: tuple[Moved, ...]


class CountLateFacts(Facts):
    partial = "count_late.html"
    count: str
    reason: str
    units_that_wait: int


COUNT_FACTS: dict[str, type[Facts]] = {
    "sync_gap": FeedFacts,
    "count_variance": VarianceFacts,
    "count_overdue": CountLateFacts,
}

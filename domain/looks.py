"""What a look at a running promotion finds, as it is stored, shown and answered. Money in minor units."""

from datetime import datetime

from pydantic import BaseModel

from domain.velocity import Span

# It sells out faster than chance explains; it will be short at its pace; it sells less than half; none of these.
PLACE_STATES = ("surge", "short", "slow", "as_forecast")


class Course(BaseModel, frozen=True):
    """Units sold and forecast from the promotion's start until an instant; `sold` is None where that is to come."""

    until: datetime
    sold: int | None
    forecast: float


class LookFigures(BaseModel, frozen=True):
    """Of the whole promotion since it began. `usual_units`: what the same places sold in the same hours of their past
    weeks; None where there is none.
    """

    sold_units: int
    receipts: int
    expected_units: float
    forecast_units: int
    usual_units: float | None
    revenue_minor: int
    cost_minor: int
    overridden_units: int
    places: int
    surging: int
    short: int
    slow: int
    proposed_units: int = 0
    cap_used_permille: int | None = None

    @property
    def margin_permille(self) -> int | None:
        if self.revenue_minor <= 0:
            return None
        return (self.revenue_minor - self.cost_minor) * 1000 // self.revenue_minor

    @property
    def uplift_permille(self) -> int | None:
        """What was sold beyond what is usual, of what is usual."""
        if not self.usual_units or self.usual_units < 1:
            return None
        return round((self.sold_units - self.usual_units) / self.usual_units * 1000)

    @property
    def override_permille(self) -> int | None:
        return self.overridden_units * 1000 // self.sold_units if self.sold_units else None


def span_words(span: Span) -> str:
    """`12 receipts in the last 8 hours, where 2.4 were to be expected`."""
    since = "since it began" if span.hours is None else f"in the last {span.hours} hours"
    receipts = "1 receipt" if span.sold == 1 else f"{span.sold:,} receipts"
    return f"{receipts} {since}, where {span.expected:.1f} were to be expected"

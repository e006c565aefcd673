"""The facts of cases about promotions."""

from datetime import datetime

from pydantic import BaseModel

from domain.case_fact import Facts


class WrongPrices(BaseModel, frozen=True):
    """A place at which prices of a channel are not right; `sku` is one of them."""

    location: str
    name: str
    prices: int
    sku: str
    error: str


class PriceConflictFacts(Facts):
    """A channel that does not show what it should; `error` is why it could not be spoken to at all."""

    partial = "price_conflict.html"
    promotion: str
    name: str
    channel: str
    phase: str
    prices: int
    wrong: int
    runs: int
    error: str | None
    starts_at: datetime
    ends_at: datetime
    places: tuple[WrongPrices, ...]
    more_places: int


class SetByHand(BaseModel, frozen=True):
    """A place at which tills have set prices by hand; `reason` is the one given most often."""

    location: str
    name: str
    units: int
    reason: str


class TillPriceFacts(Facts):
    """Prices that somebody at the till has set, of what was sold of a promotion; shares are thousandths."""

    partial = "till_prices.html"
    promotion: str
    name: str
    units: int
    sold_units: int
    permille: int
    limit_permille: int
    places: tuple[SetByHand, ...]
    more_places: int


class ExposureFacts(Facts):
    """A promotion whose margin, or whose vendor's cap, nears its limit; None: that one does not. Minor units."""

    partial = "exposure.html"
    promotion: str
    name: str
    sold_units: int
    expected_units: int
    forecast_units: int
    revenue_minor: int
    cost_minor: int
    ends_at: datetime
    margin_permille: int | None
    floor_permille: int
    cap_used_permille: int | None
    grade: int


PROMOTION_FACTS: dict[str, type[Facts]] = {
    "promo_price_conflict": PriceConflictFacts,
    "promo_override": TillPriceFacts,
    "promo_exposure": ExposureFacts,
}

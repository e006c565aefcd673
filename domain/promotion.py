"""The promotion: its states, what an offer makes of a regular price, and which of several running ones counts.

Prices are minor units of one base unit, as they stand on the shelf; shares are thousandths.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import StateConflict

PRICE_LIMIT_MINOR = 10**12
STACKINGS = ("exclusive", "stack", "best")
PHASES = ("publish", "revert")
# With a channel behind it, the due instant of the next conversation with that channel about prices.
PRICES_DUE = "prices:"
# What becomes of one price at one place: still to be shown, seen as wanted, given up by a person, wanted no more.
PRICE_STATES = ("pending", "right", "waived", "superseded")


class PromotionState(StrEnum):
    DRAFT = "draft"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    PUBLISHING = "publishing"
    ACTIVE = "active"
    REVERTING = "reverting"
    ENDED = "ended"
    SETTLED = "settled"
    CANCELLED = "cancelled"


S = PromotionState

TRANSITIONS: dict[PromotionState, frozenset[PromotionState]] = {
    S.DRAFT: frozenset({S.PENDING_APPROVAL, S.APPROVED, S.CANCELLED}),
    S.PENDING_APPROVAL: frozenset({S.APPROVED, S.DRAFT, S.CANCELLED}),
    S.APPROVED: frozenset({S.PUBLISHING, S.DRAFT, S.CANCELLED}),
    # Called off with prices on their way: they are taken back like those of one that has ended.
    S.PUBLISHING: frozenset({S.ACTIVE, S.REVERTING}),
    S.ACTIVE: frozenset({S.REVERTING}),
    # Its last claim may be closed before its prices are back.
    S.REVERTING: frozenset({S.ENDED, S.SETTLED, S.CANCELLED}),
    # A price of it was found at a channel after its end: it is taken back once more.
    S.ENDED: frozenset({S.SETTLED, S.REVERTING}),
    S.SETTLED: frozenset({S.REVERTING}),
    S.CANCELLED: frozenset({S.REVERTING}),
}

FINAL = frozenset({S.ENDED, S.SETTLED, S.CANCELLED})
# Nobody has seen a price of it: it can still be changed in any way.
OPEN_TO_CHANGE = frozenset({S.DRAFT, S.PENDING_APPROVAL, S.APPROVED})
# Others must not get in its way.
TAKES_ITS_PLACE = frozenset({S.PENDING_APPROVAL, S.APPROVED, S.PUBLISHING, S.ACTIVE})
# Its price counts at every instant from its start to its end.
RUNS = frozenset({S.APPROVED, S.PUBLISHING, S.ACTIVE})


def check_transition(current: str, wanted: str) -> None:
    """Raise `StateConflict` unless the promotion may go from `current` to `wanted`; staying is always allowed."""
    if current != wanted and PromotionState(wanted) not in TRANSITIONS[PromotionState(current)]:
        was, then = current.replace("_", " "), wanted.replace("_", " ")
        raise StateConflict(f"The promotion is {was}; it cannot become {then}.")


# ---------------------------------------------------------------------- offers
class _Offer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PercentOff(_Offer):
    kind: Literal["percent"]
    off_permille: Annotated[int, Field(strict=True, gt=0, lt=1000)]


class AmountOff(_Offer):
    kind: Literal["amount"]
    off_minor: Annotated[int, Field(strict=True, gt=0, le=PRICE_LIMIT_MINOR)]


class FixedPrice(_Offer):
    kind: Literal["price"]
    price_minor: Annotated[int, Field(strict=True, gt=0, le=PRICE_LIMIT_MINOR)]


class BuyGet(_Offer):
    """Buy some, get some free: the price on the shelf stays, and the channel is told of the deal."""

    kind: Literal["buy_get"]
    buy: Annotated[int, Field(strict=True, ge=1, le=99)]
    get: Annotated[int, Field(strict=True, ge=1, le=99)]


type Offer = Annotated[PercentOff | AmountOff | FixedPrice | BuyGet, Field(discriminator="kind")]


class OfferOf(BaseModel):
    """An offer as it is stored."""

    offer: Offer


def offer_of(stored: object) -> Offer:
    """The offer of a row's JSON."""
    return OfferOf.model_validate({"offer": stored}).offer


def _rounded(amount: int, of: int, parts: int) -> int:
    """`amount` × `of` ÷ `parts`, half up."""
    return (amount * of * 2 + parts) // (parts * 2)


def shelf_price(offer: Offer, price_minor: int) -> int:
    """What the offer makes of a price on the shelf; it never raises it and never goes below zero."""
    match offer:
        case PercentOff():
            return _rounded(price_minor, 1000 - offer.off_permille, 1000)
        case AmountOff():
            return max(price_minor - offer.off_minor, 0)
        case FixedPrice():
            return min(offer.price_minor, price_minor)
        case _:
            return price_minor


def paid_for(offer: Offer, regular_minor: int, units: int) -> int:
    """What customers pay for this many units under this offer alone; for a deal, as if all were bought under it."""
    if isinstance(offer, BuyGet):
        return _rounded(regular_minor * units, offer.buy, offer.buy + offer.get)
    return shelf_price(offer, regular_minor) * units


def in_words(offer: Offer) -> str:
    """`20 % off`, without a currency."""
    match offer:
        case PercentOff():
            return f"{offer.off_permille / 10:g} % off"
        case AmountOff():
            return f"{offer.off_minor / 100:.2f} off"
        case FixedPrice():
            return f"at {offer.price_minor / 100:.2f}"
        case _:
            return f"buy {offer.buy}, get {offer.get} free"


class Running(NamedTuple):
    """A promotion that counts at an instant for an item, a channel and a place."""

    id: str
    stacking: str
    offer: Offer
    starts_at: datetime


class ShelfPrice(NamedTuple):
    """What a channel is to show: the price of one unit, and the deal beside it ("2+1"), "" for none."""

    price_minor: int
    deal: str = ""


# A fixed price first, then what is taken off it, then the share of what is left: in this order the customer pays least
# surprise, and the result does not depend on which promotion was recorded first.
_ORDER = {"price": 0, "amount": 1, "percent": 2, "buy_get": 3}


def price_of(regular_minor: int, running: Iterable[Running]) -> ShelfPrice:
    """The price on the shelf with all that run. An exclusive one stands alone; those that stack are taken one after the
    other, each that is `best` by itself, and the lowest of these counts. Of several deals the best one is named.
    """
    found = sorted(running, key=lambda one: (_ORDER[one.offer.kind], one.starts_at, one.id))
    alone = [one for one in found if one.stacking == "exclusive"]
    if alone:
        found = alone[:1]
    stacked = regular_minor
    lowest = regular_minor
    for one in found:
        if one.stacking == "stack":
            stacked = shelf_price(one.offer, stacked)
        else:
            lowest = min(lowest, shelf_price(one.offer, regular_minor))
    return ShelfPrice(min(lowest, stacked), _best_deal([one.offer for one in found if isinstance(one.offer, BuyGet)]))


def _best_deal(deals: Sequence[BuyGet]) -> str:
    if not deals:
        return ""
    best = max(deals, key=lambda deal: (deal.get / (deal.buy + deal.get), -deal.buy))
    return f"{best.buy}+{best.get}"


# ---------------------------------------------------------------------- margin
class Expected(NamedTuple):
    """A number of units of an item with its regular price and its unit cost (in 1/10,000 minor)."""

    regular_minor: int
    unit_cost_e4: int
    units: int


class Margin(NamedTuple):
    """What a forecast earns. `permille` of revenue; None where nothing is taken in."""

    revenue_minor: int
    cost_minor: int
    discount_minor: int

    @property
    def permille(self) -> int | None:
        if not self.revenue_minor:
            return None
        return (self.revenue_minor - self.cost_minor) * 1000 // self.revenue_minor


def is_below(share_permille: int | None, floor_permille: int) -> bool:
    """Whether somebody must agree to this margin: it is below the floor, or there is no revenue at all."""
    return share_permille is None or share_permille < floor_permille


def margin_of(offer: Offer, expected: Iterable[Expected]) -> Margin:
    """What these units earn under the offer."""
    revenue = cost = discount = 0
    for one in expected:
        paid = paid_for(offer, one.regular_minor, one.units)
        revenue += paid
        cost += (one.unit_cost_e4 * one.units + 5_000) // 10_000
        discount += one.regular_minor * one.units - paid
    return Margin(revenue, cost, discount)


def split(units: int, parts: int) -> list[int]:
    """Units divided into parts that differ by one at most, the larger first."""
    each, more = divmod(units, parts)
    return [each + 1] * more + [each] * (parts - more)

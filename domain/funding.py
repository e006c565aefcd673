"""What a vendor pays of a promotion: the terms of a funding agreement, and the arithmetic of what a sale earns by them.

Amounts are minor units, shares thousandths, quantities the item's base unit. What an agreement has accrued is always
the smaller of its cap and of all that was earned by its terms, whichever sale or return became known first.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field, model_validator

from domain.orders import MAX_MINOR, Body, Code, Currency, Instant, Name
from domain.payments import part_of

ACCRUAL_KINDS = ("sale", "return", "rest", "reclaim")
Units = Annotated[int, Field(strict=True, gt=0, le=1_000_000_000)]
Amount = Annotated[int, Field(strict=True, gt=0, le=MAX_MINOR)]
Permille = Annotated[int, Field(strict=True, gt=0, le=1000)]
Base = Literal["discount", "sales", "regular_price"]


class RateTier(Body):
    """From the n-th unit on, each unit earns this instead."""

    from_units: Units
    rate_minor: Amount


class ShareTier(Body):
    from_units: Units
    permille: Permille


def _ascending(tiers: tuple[RateTier, ...] | tuple[ShareTier, ...]) -> None:
    starts = [tier.from_units for tier in tiers]
    if starts != sorted(set(starts)):
        raise ValueError("tiers stand in rising order of from_units, each once")


class ScanBack(Body):
    """An amount for each unit that was sold."""

    kind: Literal["scan_back"]
    rate_minor: Amount
    tiers: Annotated[tuple[RateTier, ...], Field(max_length=20)] = ()
    cap_minor: Amount | None = None

    @model_validator(mode="after")
    def _tiers(self) -> "ScanBack":
        _ascending(self.tiers)
        return self


class Percent(Body):
    """A share of the discount, of what was sold, or of what it would have sold for at the regular price."""

    kind: Literal["percent"]
    base: Base = "discount"
    permille: Permille
    tiers: Annotated[tuple[ShareTier, ...], Field(max_length=20)] = ()
    cap_minor: Amount | None = None

    @model_validator(mode="after")
    def _tiers(self) -> "Percent":
        _ascending(self.tiers)
        return self


class LumpSum(Body):
    """A fixed amount, earned evenly over the units that are expected; the last claim takes what is left of it."""

    kind: Literal["lump_sum"]
    amount_minor: Amount
    expected_units: Units


Terms = Annotated[ScanBack | Percent | LumpSum, Field(discriminator="kind")]


class NewAgreement(Body):
    """A funding agreement as systems and files bring it. `office` is the place whose people and calendar its claims
    follow; `promotions` are the promotions that it pays for, by the codes that sales carry.
    """

    number: Code
    entity: Code
    office: Code | None = None
    vendor: Code
    vendor_name: Name = ""
    claims_email: Annotated[Name, Field(pattern=r"^$|^[^@\s]+@[^@\s]+$")] = ""
    signed_on: date
    document: Annotated[Name, Field(min_length=1)]
    starts_at: Instant
    ends_at: Instant
    currency: Currency
    terms: Terms
    skus: Annotated[tuple[Code, ...], Field(max_length=20_000)] = ()  # none: every item of its promotions
    promotions: Annotated[tuple[Code, ...], Field(max_length=1000)] = ()
    claim_every_days: Annotated[int, Field(strict=True, ge=1, le=366)] | None = None  # none: one claim at the end
    claim_window_days: Annotated[int, Field(strict=True, ge=0, le=731)] = 30

    @model_validator(mode="after")
    def _dates_and_lists(self) -> "NewAgreement":
        if self.ends_at <= self.starts_at:
            raise ValueError("the agreement ends before it starts; correct starts_at or ends_at")
        for name in ("skus", "promotions"):
            listed = getattr(self, name)
            if len(set(listed)) < len(listed):
                raise ValueError(f"{name} names one twice")
        return self


class EndAgreement(Body):
    """Ends it now, or at an instant before its end."""

    ends_at: Instant | None = None
    reason: Name = "ended_early"


class AgreementView(BaseModel):
    """An agreement with what became of it. `unclaimed_minor` is accrued and in no claim yet; `cap_left_minor` is null
    without a cap.
    """

    id: str
    number: str
    source: str
    entity: str
    office: str
    vendor: str
    vendor_name: str
    claims_email: str
    signed_on: date
    document: str
    starts_at: datetime
    ends_at: datetime
    currency: str
    terms: dict[str, Any]
    skus: list[str]
    promotions: list[str]
    claim_every_days: int | None
    claim_window_days: int
    next_claim_at: datetime | None
    final_claim_at: datetime | None
    units: int
    earned_minor: int
    accrued_minor: int
    unclaimed_minor: int
    cap_left_minor: int | None
    claims: list[str]


# ---------------------------------------------------------------------------------------------------- arithmetic
class Counter(NamedTuple):
    """What an agreement has come to: units that count, what they earn by its terms, and what of it is accrued."""

    units: int = 0
    earned_minor: int = 0
    accrued_minor: int = 0


class Earned(NamedTuple):
    """What some units earn by the terms, what of it the cap leaves, and the tier of the first of them (0: none)."""

    earned_minor: int
    amount_minor: int
    tier: int
    after: Counter


def cap_of(terms: ScanBack | Percent | LumpSum) -> int | None:
    return None if isinstance(terms, LumpSum) else terms.cap_minor


def is_counted(terms: ScanBack | Percent | LumpSum) -> bool:
    """Whether what a unit earns depends on those before it: then they are counted, one transaction after the other."""
    return isinstance(terms, LumpSum) or bool(terms.tiers) or terms.cap_minor is not None


def base_of(
    base: Base, *, quantity: int, unit_price_minor: int, regular_price_minor: int | None, discount_minor: int
) -> int:
    """What a share is taken of, for a whole line. A price that was marked down is a discount as one at the till is."""
    gross = quantity * unit_price_minor
    regular = quantity * max(regular_price_minor or 0, unit_price_minor)
    if base == "sales":
        return gross - discount_minor
    return regular if base == "regular_price" else regular - gross + discount_minor


def _half_up(share_minor: int, permille: int) -> int:
    return (share_minor * permille + 500) // 1000


def _parts(starts: tuple[int, ...], before: int, units: int) -> Iterator[tuple[int, int]]:
    """(tier, units) of `units` that follow `before` ones. A tier begins with the unit that its start names."""
    position, left = before, units
    while left:
        tier = sum(1 for start in starts if position + 1 >= start)
        end = starts[tier] - 1 if tier < len(starts) else position + left
        part = min(left, end - position)
        yield tier, part
        position += part
        left -= part


def by_terms(
    terms: ScanBack | Percent | LumpSum, *, before: int, units: int, base_minor: int, of_units: int, taken: int
) -> tuple[int, int]:
    """(what `units` earn, the tier of the first) after `before` units of the agreement.

    They are units of a line of `of_units` with the base `base_minor`, of which `taken` were counted before: however a
    line is divided, its parts together earn what the whole does in one tier.
    """
    if isinstance(terms, LumpSum):
        return part_of_lump(terms, before + units) - part_of_lump(terms, before), 0
    earned, first, done = 0, -1, 0
    starts = tuple(tier.from_units for tier in terms.tiers)
    for tier, part in _parts(starts, max(before, 0), units):
        first = tier if first < 0 else first
        if isinstance(terms, ScanBack):
            earned += part * (terms.tiers[tier - 1].rate_minor if tier else terms.rate_minor)
        else:
            permille = terms.tiers[tier - 1].permille if tier else terms.permille
            start = part_of(base_minor, of_units, 0, taken + done)
            end = part_of(base_minor, of_units, 0, taken + done + part)
            earned += _half_up(end, permille) - _half_up(start, permille)
        done += part
    return earned, max(first, 0)


def part_of_lump(terms: LumpSum, units: int) -> int:
    """What of a lump sum so many units have earned."""
    return terms.amount_minor * min(max(units, 0), terms.expected_units) // terms.expected_units


def sell(
    terms: ScanBack | Percent | LumpSum, counter: Counter, *, units: int, base_minor: int, of_units: int, taken: int
) -> Earned:
    """Units were sold."""
    earned, tier = by_terms(
        terms, before=counter.units, units=units, base_minor=base_minor, of_units=of_units, taken=taken
    )
    return _counted(terms, counter, units, earned, tier)


def take_back(
    terms: ScanBack | Percent | LumpSum, counter: Counter, *, units: int, of_units: int, earned_minor: int
) -> Earned:
    """Of `of_units` of a line that earned `earned_minor`, so many came back: what was accrued for them goes back.

    What they free of the cap goes to what was earned beyond it.
    """
    if isinstance(terms, LumpSum):
        share = part_of_lump(terms, counter.units) - part_of_lump(terms, counter.units - units)
    else:
        left = of_units - units
        share = earned_minor - (earned_minor * left * 2 + of_units) // (2 * of_units)
    return _counted(terms, counter, -units, -share, 0)


def _counted(terms: ScanBack | Percent | LumpSum, before: Counter, units: int, earned: int, tier: int) -> Earned:
    cap, total = cap_of(terms), before.earned_minor + earned
    accrued = before.accrued_minor + earned if cap is None else min(cap, total)
    return Earned(earned, accrued - before.accrued_minor, tier, Counter(before.units + units, total, accrued))

"""What would become of a promotion if it were defined now: shown before somebody sends the form. Writes nothing.

A file of them is looked at as a whole: two of it that would meet each other are named as well.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Malformed, PromotionOverlap
from domain.funding import Counter, LumpSum, Percent, ScanBack, sell
from domain.people import PROMOTING_ROLES, Person
from domain.promotion import is_below, paid_for
from domain.promotions import Definition
from ledger import reference
from ledger.funding.accrual import TERMS
from ledger.promotion.defining import Ground, Meant, check_overlap, meaning_of
from ledger.reads.places import Place
from ledger.tables import funding_agreement

NOBODY = ""  # no promotion has this id


class PreviewLine(NamedTuple):
    """A line as it was understood. `regular_minor`, `sold_minor`: the least and the highest price of its items."""

    meant: str
    items: int
    units: int
    regular_minor: tuple[int, int]
    sold_minor: tuple[int, int]
    discount_minor: int
    permille: int | None


@dataclass(frozen=True)
class Preview:
    """A definition in the master data, what its forecast earns, and what stands in its way. `meets` is why it cannot be
    submitted as it is, "" for nothing; `asks` that merchandising and finance would be asked.
    """

    lines: Sequence[PreviewLine]
    meant: Meant
    prices: int
    floor_permille: int
    asks: bool
    meets: str
    funded_minor: int | None
    funding: str

    @property
    def permille(self) -> int | None:
        return self.meant.margin.permille

    @property
    def funded_permille(self) -> int | None:
        """The margin with what the vendor would pay."""
        margin = self.meant.margin
        if not margin.revenue_minor or self.funded_minor is None:
            return None
        return (margin.revenue_minor - margin.cost_minor + self.funded_minor) * 1000 // margin.revenue_minor


def check_reach(person: Person, meant: Meant, places: dict[str, Place]) -> None:
    """Raises `Malformed` where the definition names places for which the person defines no promotions."""
    foreign = [
        code for code in meant.locations
        if not person.roles_at(meant.entity, places[code].region, code) & PROMOTING_ROLES
    ]  # fmt: skip
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        where = f"{places[foreign[0]].name} ({foreign[0]}){more}"
        raise Malformed(
            f"Your role defines no promotions for {where}; leave such places out.",
            pointer="/locations",
        )


async def preview(
    conn: AsyncConnection, wanted: Definition, *, channels: Collection[str], at: datetime, me: str = NOBODY
) -> Preview:
    """`me` is the promotion that would be changed. Raises as `intake.define` does, less `PromotionOverlap`, which is a
    part of what is shown.
    """
    if wanted.starts_at <= at:
        raise Malformed("It would have begun already; choose a later start.", pointer="/starts_at")
    meant = await meaning_of(conn, wanted, channels)
    policy = await reference.policy_at(conn, meant.place, at)
    floor = wanted.margin_floor_permille
    floor = policy.promotion.margin_floor_permille if floor is None else floor
    try:
        await check_overlap(conn, ground(wanted, meant, me))
        meets = ""
    except PromotionOverlap as refused:
        meets = refused.detail
    funded, funding = await _funding(conn, wanted, meant)
    return Preview(
        lines=_lines(wanted, meant),
        meant=meant,
        prices=len(meant.items) * len(meant.locations) * len(wanted.channels),
        floor_permille=floor,
        asks=is_below(meant.margin.permille, floor),
        meets=meets,
        funded_minor=funded,
        funding=funding,
    )


def _lines(wanted: Definition, meant: Meant) -> list[PreviewLine]:
    found = []
    for line, known in zip(wanted.lines, meant.lines, strict=True):
        ends = known.regular_minor[0], known.regular_minor[-1]
        found.append(
            PreviewLine(
                line.sku or str(line.category),
                len(known.items),
                line.forecast_units,
                ends,
                (paid_for(wanted.offer, ends[0], 1), paid_for(wanted.offer, ends[1], 1)),
                known.margin.discount_minor,
                known.margin.permille,
            )
        )
    return found


def ground(wanted: Definition, meant: Meant, me: str = NOBODY) -> Ground:
    """What it would take up."""
    return Ground(
        me, meant.entity, wanted.stacking, wanted.starts_at, wanted.ends_at, meant.items, wanted.channels,
        meant.locations,
    )  # fmt: skip


async def _funding(conn: AsyncConnection, wanted: Definition, meant: Meant) -> tuple[int | None, str]:
    """(what the vendor would pay of the forecast, and what somebody should know of the agreement)."""
    if wanted.agreement_id is None:
        return None, ""
    rows = await conn.execute(
        select(funding_agreement)
        .where(funding_agreement.c.number == wanted.agreement_id, funding_agreement.c.entity == meant.entity)
        .limit(2)
    )
    found = rows.mappings().all()
    if not found:
        raise Malformed(
            f"There is no funding agreement {wanted.agreement_id} of {meant.entity}; record it first.",
            pointer="/agreement_id",
        )
    row = found[0]
    if len(found) > 1:
        return (
            None,
            f"Several sources have an agreement {wanted.agreement_id}; the promotion's own source counts first.",
        )
    terms = TERMS.validate_python(row["terms"])
    units, base = _covered(terms, frozenset(row["skus"]), meant, wanted)
    if not units:
        return 0, f"{row['vendor_name'] or row['vendor']} pays for none of its items."
    before = Counter(row["units"], row["earned_minor"], row["accrued_minor"])
    funded = sell(terms, before, units=units, base_minor=base, of_units=units, taken=0).amount_minor
    said = f"{row['vendor_name'] or row['vendor']} pays for {units:,} of the units expected."
    if row["starts_at"] > wanted.starts_at or row["ends_at"] < wanted.ends_at:
        runs = f"{row['starts_at']:%Y-%m-%d %H:%M} to {row['ends_at']:%Y-%m-%d %H:%M} UTC"
        said += f" The agreement runs {runs}: what is sold before or after earns nothing of it."
    return funded, said


def _covered(
    terms: ScanBack | Percent | LumpSum, skus: frozenset[str], meant: Meant, wanted: Definition
) -> tuple[int, int]:
    """(units of the forecast that an agreement pays for, what a share of it is taken of)."""
    units = base = 0
    for line, known in zip(wanted.lines, meant.lines, strict=True):
        paid = sum(sku in skus for sku in known.items) if skus else len(known.items)
        margin = known.margin
        whole = {"discount": margin.discount_minor, "sales": margin.revenue_minor}.get(
            terms.base if isinstance(terms, Percent) else "", margin.revenue_minor + margin.discount_minor
        )
        units += line.forecast_units * paid // len(known.items)
        base += whole * paid // len(known.items)
    return units, base


def first_meeting(mine: Ground, others: Sequence[tuple[str, Ground]]) -> str | None:
    """The first of others, by its id, that an exclusive promotion would share an item, a channel, a place and a time
    with.
    """
    for name, other in others:
        if (
            mine.entity == other.entity
            and "exclusive" in (mine.stacking, other.stacking)
            and mine.starts_at < other.ends_at
            and other.starts_at < mine.ends_at
            and not set(mine.items).isdisjoint(other.items)
            and not set(mine.channels).isdisjoint(other.channels)
            and not set(mine.locations).isdisjoint(other.locations)
        ):
            return name
    return None

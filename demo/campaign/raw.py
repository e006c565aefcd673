"""What a campaign should have accrued, worked out once more from the raw tables of the year and from nothing else.

It shares with the scene what the parties have signed (which makers, which stores, which terms) and the one thing that
is planted (which baskets come back, and when). It reads the tables by itself, uses none of the code that accrues, and
names each difference to what the ledger has.

The rules, for a line of a basket: a maker pays for the product of one of its coupons, sold in the campaign by a store
of the scene, unless a coupon paid on that line. Where product, store and week stand in the table of promotions, the
line belongs to that week's promotion, else to that of the coupons. Of a cap there is never accrued more than the cap
and never less than was earned; tiers count units that were kept; a lump sum is earned evenly and its rest taken at the
end.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from pyarrow import compute, parquet
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from demo.campaign import cut
from demo.source import EXCLUDED_CATEGORIES, EXCLUDED_DEPARTMENTS, data_folder

type Key = tuple[str, str, int]  # vendor, promotion, week of the data
type Sums = dict[Key, int]
ZONE = ZoneInfo("America/New_York")
DAY_S = 86_400


class Signed(NamedTuple):
    """What the parties have agreed: by maker and whether it is for a store's week, the agreement's terms."""

    campaign: int
    makers: frozenset[int]
    stores: frozenset[int]
    terms: Mapping[tuple[int, bool], Mapping[str, Any]]


class Row(NamedTuple):
    """One row of the transactions that belongs to the campaign; cents."""

    maker: int
    is_weekly: bool
    week: int
    at_s: int
    basket: int
    position: int
    units: int
    discount_minor: int
    coupon_minor: int
    match_minor: int

    def promotion(self, campaign: int) -> str:
        name = f"M{self.maker:04d}"
        return f"CJ{campaign}-W{self.week:02d}-{name}" if self.is_weekly else f"CJ{campaign}-{name}"


class Totals(NamedTuple):
    """Of the raw tables: rows, units, and what retailer, coupons and their match gave (cents)."""

    rows: int
    units: int
    discount_minor: int
    match_minor: int
    coupon_minor: int


def signed(campaign: cut.Campaign) -> Signed:
    terms = {(one.maker, one.claim_every_days is not None): one.terms for one in campaign.agreements}
    return Signed(campaign.number, frozenset(campaign.makers), frozenset(campaign.stores), terms)


def week_of(at: dt.datetime) -> int:
    """The data's number of the week, by the calendar of the stores."""
    return (at.astimezone(ZONE).date() - dt.date(2017, 1, 2)).days // 7 + 2


def rows(by: Signed) -> list[Row]:
    """The rows of the year's transactions, in the order of their time, basket and product."""
    folder = data_folder()
    about = parquet.read_table(folder / "campaign_descriptions.parquet").to_pandas()
    about = about[about["campaign_id"] == by.campaign].iloc[0]
    starts, ends = (
        dt.datetime.combine(day.date(), dt.time(0), ZONE).astimezone(dt.UTC).replace(tzinfo=None)
        for day in (about["start_date"], about["end_date"] + dt.timedelta(days=1))
    )
    goods = parquet.read_table(folder / "products.parquet").to_pandas()
    goods = goods[goods["manufacturer_id"].isin(by.makers)].dropna(
        subset=["department", "product_category", "product_type"]
    )
    goods = goods[
        ~goods["department"].isin(EXCLUDED_DEPARTMENTS) & ~goods["product_category"].isin(EXCLUDED_CATEGORIES)
    ]
    coupons = parquet.read_table(folder / "coupons.parquet").to_pandas()
    coupons = coupons[(coupons["campaign_id"] == by.campaign) & coupons["product_id"].isin(goods["product_id"])]
    products = sorted(set(coupons["product_id"].tolist()))
    sold = parquet.read_table(
        folder / "transactions.parquet", filters=compute.field("product_id").isin(products)
    ).to_pandas()
    sold = sold[
        (sold["transaction_timestamp"] >= starts)
        & (sold["transaction_timestamp"] < ends)
        & sold["store_id"].isin(by.stores)
        & (sold["quantity"] > 0)
        & (sold["sales_value"] > 0)
    ].reset_index(drop=True)
    weeks = sorted({int(one) for one in sold["week"]})
    shown = parquet.read_table(
        folder / "promotions.parquet",
        columns=["product_id", "store_id", "week"],
        filters=compute.field("product_id").isin(products) & compute.field("week").isin(weeks),
    ).to_pandas()
    shown = shown.drop_duplicates().assign(is_weekly=True)
    maker = goods.drop_duplicates("product_id")[["product_id", "manufacturer_id"]]
    merged = sold.merge(shown, on=["product_id", "store_id", "week"], how="left").merge(maker, on="product_id")
    order = ["transaction_timestamp", "basket_id", "product_id"]
    return list(_read(merged.sort_values(order, kind="stable")))


def _read(table: Any) -> Iterator[Row]:
    cents = {name: np.rint(table[name] * 100).astype(int).tolist() for name in ("sales_value", "retail_disc")}
    cents |= {name: np.rint(table[name] * 100).astype(int).tolist() for name in ("coupon_disc", "coupon_match_disc")}
    for position, (row, paid, discount, coupon, match) in enumerate(
        zip(
            table.itertuples(), cents["sales_value"], cents["retail_disc"], cents["coupon_disc"],
            cents["coupon_match_disc"], strict=True,
        )
    ):  # fmt: skip
        if (paid + discount + match) % row.quantity:
            continue  # no whole number of cents for a unit: left out of the scene, and counted there
        at_s = int(row.transaction_timestamp.replace(tzinfo=dt.UTC).timestamp())
        yield Row(
            int(row.manufacturer_id), row.is_weekly is True, int(row.week), at_s, int(row.basket_id), position,
            int(row.quantity), discount, min(coupon, paid), match,
        )  # fmt: skip


def totals(found: Sequence[Row]) -> Totals:
    return Totals(
        len(found),
        sum(row.units for row in found),
        sum(row.discount_minor for row in found),
        sum(row.match_minor for row in found),
        sum(row.coupon_minor for row in found),
    )


class _Book:
    """One agreement: what it has earned by its terms, and what of it is accrued."""

    def __init__(self, terms: Mapping[str, Any]) -> None:
        self.terms = terms
        self.units = 0
        self.earned = 0
        self.accrued = 0
        self.is_over = False
        self._by_row: dict[int, int] = {}

    def sold(self, row: Row) -> int:
        earned = self._worth(row)
        self._by_row[row.position] = earned
        self.units += row.units
        return self._stand(earned)

    def back(self, row: Row) -> int:
        self.units -= row.units
        return self._stand(-self._by_row.pop(row.position))

    def rest(self) -> int:
        """The last claim takes what no unit has earned of a lump sum."""
        self.is_over = True
        if self.terms["kind"] != "lump_sum":
            return 0
        left: int = self.terms["amount_minor"] - self.accrued
        self.accrued += left
        return left

    def _stand(self, earned: int) -> int:
        if self.terms["kind"] == "lump_sum":
            if self.is_over:
                return 0
            should = self.terms["amount_minor"] * min(self.units, self.terms["expected_units"])
            should //= self.terms["expected_units"]
        else:
            self.earned += earned
            cap = self.terms.get("cap_minor")
            should = self.earned if cap is None else min(self.earned, cap)
        change: int = should - self.accrued
        self.accrued = should
        return change

    def _worth(self, row: Row) -> int:
        """Unit by unit: a unit stands in the tier that its number has among all that were kept."""
        kind = self.terms["kind"]
        if kind == "lump_sum":
            return 0
        rate = "rate_minor" if kind == "scan_back" else "permille"
        rates = []
        for number in range(self.units + 1, self.units + row.units + 1):
            own = self.terms[rate]
            for tier in self.terms.get("tiers", ()):
                own = tier[rate] if number >= tier["from_units"] else own
            rates.append(own)
        if kind == "scan_back":
            return sum(rates)
        earned = 0
        for share in sorted(set(rates)):  # tiers rise: the units of one stand together
            first, last = rates.index(share), rates.index(share) + rates.count(share)
            before, after = (row.discount_minor * number // row.units for number in (first, last))
            earned += (after * share + 500) // 1000 - (before * share + 500) // 1000
        return earned


def accrued(by: Signed, found: Sequence[Row], *, ends_s: int) -> Sums:
    """By vendor, promotion and week, as of the end of everything; what came to nothing is left out."""
    books = {key: _Book(terms) for key, terms in by.terms.items()}
    final_s = ends_s + cut.WINDOW_DAYS * DAY_S
    happened: list[tuple[int, int, int, str, Row | None, tuple[int, bool]]] = []
    for row in found:
        if row.coupon_minor:
            continue
        key = row.maker, row.is_weekly
        happened.append((_day(row.at_s), 1, row.position, "sold", row, key))
        back_s = cut.back_at_s(row.basket, row.at_s)
        if back_s is not None:
            happened.append((_day(back_s), 2, row.position, "back", row, key))
    happened += [(_day(final_s), 0, 0, "rest", None, key) for key in books]
    sums: defaultdict[Key, int] = defaultdict(int)
    for _, _, _, what, one, key in sorted(happened, key=lambda one: (one[:3], one[5])):
        book, vendor = books[key], f"M{key[0]:04d}"
        if one is None:
            first = min(row.promotion(by.campaign) for row in found if (row.maker, row.is_weekly) == key)
            sums[vendor, first, week_of(_instant(final_s))] += book.rest()
        elif what == "sold":
            sums[vendor, one.promotion(by.campaign), one.week] += book.sold(one)
        else:
            back_s = cut.back_at_s(one.basket, one.at_s)
            assert back_s is not None  # it is on the list because it comes back
            sums[vendor, one.promotion(by.campaign), week_of(_instant(back_s))] += book.back(one)
    return {key: value for key, value in sums.items() if value}


def _instant(at_s: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_s, dt.UTC)


def _day(at_s: int) -> int:
    """Days of the stores: what is sold on one is told before what comes back on it."""
    return _instant(at_s).astimezone(ZONE).toordinal()


# ---------------------------------------------------------------------- beside the ledger
_LEDGER = text(
    "SELECT g.vendor, a.promotion_id, a.at, a.amount_minor FROM funding_accrual a"
    " JOIN funding_agreement g ON g.id = a.agreement_id WHERE g.number LIKE :campaign AND a.kind <> 'reclaim'"
)
_SOLD = text(
    "SELECT count(*)::int AS rows, coalesce(sum(quantity), 0)::int AS units,"
    " coalesce(sum(discount_minor), 0)::bigint AS discount_minor,"
    " coalesce(sum(coupon_minor), 0)::bigint AS coupon_minor FROM sale_line WHERE promotion_id LIKE :campaign"
)


async def in_ledger(conn: AsyncConnection, campaign: int, shift_s: int) -> Sums:
    """What the ledger has accrued, with its instants moved back to those of the data."""
    sums: defaultdict[Key, int] = defaultdict(int)
    for row in await conn.execute(_LEDGER, {"campaign": f"CJ{campaign}-%"}):
        sums[row.vendor, row.promotion_id, week_of(row.at - dt.timedelta(seconds=shift_s))] += row.amount_minor
    return {key: value for key, value in sums.items() if value}


async def sold_in_ledger(conn: AsyncConnection, campaign: int) -> Mapping[str, int]:
    return dict((await conn.execute(_SOLD, {"campaign": f"CJ{campaign}-%"})).mappings().one())


def differences(should: Sums, have: Sums) -> list[str]:
    """A line for each vendor, promotion and week that differ."""
    return [
        f"{vendor} {promotion} week {week}: accrued {have.get((vendor, promotion, week), 0)},"
        f" the raw data say {should.get((vendor, promotion, week), 0)}"
        for vendor, promotion, week in sorted(should.keys() | have.keys())
        if should.get((vendor, promotion, week), 0) != have.get((vendor, promotion, week), 0)
    ]

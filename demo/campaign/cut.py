"""Cuts a campaign out of the year: the products of its coupons by their makers, what was sold of them in its weeks by
which stores, and which of them stood in a store's weekly mailer or on display.

The data say what was sold, for how much, and what a store, a coupon and its match gave. Which share of it a maker pays
is not in them: the terms are stated here, one way for each rank of a maker. What came back is not in them either; it
follows from the number of the basket.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from demo.slice import unit_cost_minor
from demo.source import Ints, Product, Sales, data_folder, day_bounds_s, read_products, read_sales

CAMPAIGN = 9  # 31 May to 2 July 2017
WEEK_S = 7 * 86_400
SHARE_PERMILLE = 400  # of the retailer's discount, which the maker pays
SCAN_MINOR = 25  # for each unit of a weekly store promotion
WINDOW_DAYS = 30
WEEKLY_CLAIM_DAYS = 14
#: Every line without a coupon of these baskets comes back, three days later; of some of them after the last claim.
COMES_BACK = (20, 7)
BACK_AFTER_S = 3 * 86_400
LATE_AFTER_S = 70 * 86_400
LATE = (3, 0)


@dataclass(frozen=True)
class SoldLine:
    """A line of a receipt, money of the whole line in cents: at the shelf, the retailer's discounts, the coupon."""

    line_id: str
    product: int
    quantity: int
    regular_minor: int
    discount_minor: int
    coupon_minor: int
    promotion: str


@dataclass(frozen=True)
class Receipt:
    """What one basket holds of the campaign. `back_s`: when its lines without a coupon come back."""

    basket: int
    store: int
    at_s: int
    lines: tuple[SoldLine, ...]
    back_s: int | None

    @property
    def returned(self) -> tuple[SoldLine, ...]:
        return tuple(line for line in self.lines if not line.coupon_minor) if self.back_s is not None else ()


@dataclass(frozen=True)
class Promotion:
    """`forecast`: units by product, as many as were sold in as long a time before."""

    code: str
    name: str
    agreement: str
    off_permille: int
    forecast: dict[int, int]
    stores: tuple[int, ...]
    starts_s: int
    ends_s: int


@dataclass(frozen=True)
class Agreement:
    """What a maker has signed; `terms` as the API takes them."""

    number: str
    maker: int
    promotions: tuple[str, ...]
    terms: dict[str, Any]
    claim_every_days: int | None


@dataclass(frozen=True)
class Campaign:
    """The whole scene. Seconds are those of the data (UTC); `left_out` are lines whose price is no whole number of
    cents for a unit.
    """

    number: int
    starts_s: int
    ends_s: int
    stores: tuple[int, ...]
    makers: tuple[int, ...]
    products: dict[int, Product]
    price_minor: dict[int, int]
    agreements: tuple[Agreement, ...]
    promotions: tuple[Promotion, ...]
    receipts: tuple[Receipt, ...]
    left_out: int

    @property
    def cost_minor(self) -> dict[int, int]:
        return {one: unit_cost_minor(self.products[one], price) for one, price in self.price_minor.items()}


def week_of(at_s: Ints) -> Ints:
    """The data's number of a week: it begins on a Monday at midnight in the stores, week 2 on 2 January 2017."""
    monday, _ = day_bounds_s(dt.date(2017, 1, 2))
    summer = np.zeros_like(at_s)
    for begins, ends in ((dt.date(2017, 3, 12), dt.date(2017, 11, 5)),):
        first, last = day_bounds_s(begins)[0] + 7200, day_bounds_s(ends)[0] + 7200
        summer[(at_s >= first) & (at_s < last)] = 3600
    return (at_s + summer - monday) // WEEK_S + 2


def week_starts_s(week: int) -> int:
    """The first second of a week."""
    return day_bounds_s(dt.date(2017, 1, 2) + dt.timedelta(weeks=week - 2))[0]


def all_dates() -> dict[int, tuple[dt.date, dt.date]]:
    """First and last day of every campaign."""
    from pyarrow import parquet

    rows = parquet.read_table(data_folder() / "campaign_descriptions.parquet").to_pylist()
    return {row["campaign_id"]: (row["start_date"].date(), row["end_date"].date()) for row in rows}


def dates(number: int) -> tuple[dt.date, dt.date]:
    """First and last day of a campaign. Raises ValueError for one that does not exist, or leaves the year."""
    known = all_dates()
    if number not in known:
        raise ValueError(f"there is no campaign {number}; the data have 1 to {len(known)}")
    first, last = known[number]
    if first.year != 2017 or last.year != 2017:
        raise ValueError(f"campaign {number} runs from {first} to {last}, the data are of 2017; take another")
    return first, last


def coupon_products(number: int) -> Ints:
    """The products of all coupons of a campaign."""
    from pyarrow import compute, parquet

    keep = compute.field("campaign_id") == number
    table = parquet.read_table(data_folder() / "coupons.parquet", columns=["product_id"], filters=keep)
    return np.unique(np.asarray(table["product_id"].to_numpy(), dtype=np.int64))


def featured(products: Ints, weeks: Iterable[int]) -> set[tuple[int, int, int]]:
    """(product, store, week) of what stood in a mailer or on display."""
    from pyarrow import compute, parquet

    wanted = sorted(weeks)
    keep = (
        compute.field("product_id").isin(products.tolist())
        & (compute.field("week") >= wanted[0])
        & (compute.field("week") <= wanted[-1])
    )
    table = parquet.read_table(
        data_folder() / "promotions.parquet", columns=["product_id", "store_id", "week"], filters=keep
    )
    columns = (table[name].to_pylist() for name in ("product_id", "store_id", "week"))
    return set(zip(*columns, strict=True))


def cut(number: int = CAMPAIGN, *, makers: int | None = None, stores: int | None = None) -> Campaign:
    """A campaign with its most sold makers and busiest stores, all when None. Raises ValueError (see `dates`)."""
    first, last = dates(number)
    starts_s, ends_s = day_bounds_s(first)[0], day_bounds_s(last)[1]
    known = {one: row for one, row in read_products().items() if row.manufacturer}
    offered = np.array([one for one in coupon_products(number).tolist() if one in known], dtype=np.int64)
    year = read_sales(products=offered)
    chosen = _chosen(year.where((year.at_s >= starts_s) & (year.at_s < ends_s)), known, makers, stores)
    year = year.where(np.isin(year.product, [one for one in known if known[one].manufacturer in chosen.makers]))
    priced = year.where(np.isin(year.store, chosen.stores) & (year.regular_minor % year.quantity == 0))
    sales = priced.where((priced.at_s >= starts_s) & (priced.at_s < ends_s))
    before = priced.where((priced.at_s >= 2 * starts_s - ends_s) & (priced.at_s < starts_s))
    prices = _prices(priced)
    shown = featured(np.unique(sales.product), np.unique(week_of(sales.at_s)).tolist())
    receipts = tuple(_receipts(number, sales, known, shown))
    maker_of = {one: known[one].manufacturer for one in prices}
    promotions = tuple(_promotions(number, receipts, maker_of, _units(before), (starts_s, ends_s)))
    whole = year.where(np.isin(year.store, chosen.stores) & (year.at_s >= starts_s) & (year.at_s < ends_s))
    return Campaign(
        number, starts_s, ends_s, chosen.stores, chosen.makers, {one: known[one] for one in prices}, prices,
        tuple(_agreements(number, receipts, promotions, maker_of)), promotions, receipts, len(whole) - len(sales),
    )  # fmt: skip


@dataclass(frozen=True)
class _Chosen:
    makers: tuple[int, ...]
    stores: tuple[int, ...]


def _chosen(sales: Sales, known: Mapping[int, Product], makers: int | None, stores: int | None) -> _Chosen:
    """The makers of whom, and then the stores that, sold most lines; ties by number."""
    by_maker = np.array([known[int(one)].manufacturer for one in sales.product], dtype=np.int64)
    kept = _most(by_maker, makers)
    return _Chosen(kept, _most(sales.store[np.isin(by_maker, kept)], stores))


def _most(values: Ints, count: int | None) -> tuple[int, ...]:
    found, lines = np.unique(values, return_counts=True)
    return tuple(sorted(int(one) for one in found[np.lexsort((found, -lines))][:count]))


def _prices(sales: Sales) -> dict[int, int]:
    """The median shelf price of a unit."""
    prices: dict[int, int] = {}
    for product in np.unique(sales.product):
        mine = sales.product == product
        prices[int(product)] = max(1, int(np.median(sales.regular_minor[mine] // sales.quantity[mine])))
    return prices


def _units(sales: Sales) -> Counter[int]:
    units: Counter[int] = Counter()
    for product, quantity in zip(sales.product.tolist(), sales.quantity.tolist(), strict=True):
        units[product] += quantity
    return units


def code_of(number: int, maker: int, week: int | None = None) -> str:
    """`CJ9-M0069` for the coupons' products of a maker, `CJ9-W23-M0069` for those of a store's week."""
    return f"CJ{number}-M{maker:04d}" if week is None else f"CJ{number}-W{week:02d}-M{maker:04d}"


def _receipts(
    number: int, sales: Sales, known: Mapping[int, Product], shown: set[tuple[int, int, int]]
) -> Iterator[Receipt]:
    """In the order of the tills."""
    weeks = week_of(sales.at_s)
    cuts = np.flatnonzero(np.diff(sales.basket)) + 1
    for rows in np.split(np.arange(len(sales)), cuts) if len(sales) else ():
        basket, store, at_s = int(sales.basket[rows[0]]), int(sales.store[rows[0]]), int(sales.at_s[rows[0]])
        lines = []
        for position, row in enumerate(rows.tolist(), start=1):
            product, week = int(sales.product[row]), int(weeks[row])
            maker = known[product].manufacturer
            code = code_of(number, maker, week if (product, store, week) in shown else None)
            lines.append(
                SoldLine(
                    str(position), product, int(sales.quantity[row]), int(sales.regular_minor[row]),
                    int(sales.discount_minor[row]), int(sales.coupon_minor[row]), code,
                )
            )  # fmt: skip
        yield Receipt(basket, store, at_s, tuple(lines), back_at_s(basket, at_s))


def back_at_s(basket: int, at_s: int) -> int | None:
    """When what was bought comes back; nothing in the data does."""
    if basket % COMES_BACK[0] != COMES_BACK[1]:
        return None
    return at_s + (LATE_AFTER_S if basket % LATE[0] == LATE[1] else BACK_AFTER_S)


def _promotions(
    number: int,
    receipts: Sequence[Receipt],
    maker_of: Mapping[int, int],
    before: Mapping[int, int],
    span: tuple[int, int],
) -> Iterator[Promotion]:
    """One for each maker, of all products of its coupons, and one for each maker's week in mailers and on display."""
    sold: dict[str, list[tuple[int, SoldLine]]] = defaultdict(list)
    for receipt in receipts:
        for line in receipt.lines:
            sold[line.promotion].append((receipt.store, line))
    for maker in sorted({maker_of[line.product] for some in sold.values() for _, line in some}):
        offered = [one for one in sorted(maker_of) if maker_of[one] == maker]
        for code in sorted(code for code in sold if code.endswith(f"-M{maker:04d}")):
            mine, (starts_s, ends_s), about, products = sold[code], span, "coupons", offered
            if code != code_of(number, maker):
                week = int(code.split("-")[1][1:])
                starts_s, ends_s = max(week_starts_s(week), starts_s), min(week_starts_s(week + 1), ends_s)
                about, products = f"week {week} in mailer or on display", sorted({line.product for _, line in mine})
            regular = sum(line.regular_minor for _, line in mine)
            off = round(1000 * sum(line.discount_minor for _, line in mine) / regular)
            yield Promotion(
                code,
                f"Campaign {number}: {about}, maker {maker}",
                agreement_of(number, maker, weekly=about != "coupons"),
                min(max(off, 10), 900),
                {one: max(before.get(one, 0), 1) for one in products},
                tuple(sorted({store for store, _ in mine})),
                starts_s,
                ends_s,
            )


def agreement_of(number: int, maker: int, *, weekly: bool) -> str:
    return f"CJ{number}-{'W' if weekly else 'C'}-M{maker:04d}"


def _agreements(
    number: int, receipts: Sequence[Receipt], promotions: Sequence[Promotion], maker_of: Mapping[int, int]
) -> Iterator[Agreement]:
    """Two for each maker. The makers of whom most was sold get the terms that count what was sold before."""
    lines = [line for receipt in receipts for line in receipt.lines]
    units: Counter[int] = Counter()
    weekly: Counter[int] = Counter()
    discount: Counter[int] = Counter()
    for line in lines:
        maker = maker_of[line.product]
        units[maker] += line.quantity
        if line.promotion != code_of(number, maker):
            weekly[maker] += line.quantity
        elif not line.coupon_minor:
            discount[maker] += line.discount_minor
    ranked = sorted(units, key=lambda maker: (-units[maker], maker))
    for rank, maker in enumerate(ranked):
        for is_weekly, terms in (
            (False, _coupon_terms(rank, discount[maker], units[maker])),
            (True, _weekly_terms(rank, weekly[maker])),
        ):
            key = agreement_of(number, maker, weekly=is_weekly)
            codes = tuple(one.code for one in promotions if one.agreement == key)
            if codes:
                yield Agreement(key, maker, codes, terms, WEEKLY_CLAIM_DAYS if is_weekly else None)


def _coupon_terms(rank: int, discount_minor: int, units: int) -> dict[str, Any]:
    """The stated share of the discount; up to a cap for the first maker, a larger one from half of its units on for
    the second.
    """
    terms: dict[str, Any] = {"kind": "percent", "base": "discount", "permille": SHARE_PERMILLE}
    if rank == 0:
        terms["cap_minor"] = max(discount_minor * SHARE_PERMILLE // 2000, 1)
    elif rank == 1:
        terms["tiers"] = [{"from_units": units // 4 + 2, "permille": SHARE_PERMILLE + 100}]
    return terms


def _weekly_terms(rank: int, units: int) -> dict[str, Any]:
    """An amount for each unit; the first three makers pay more from half of them on, a lump sum, or up to a cap."""
    terms: dict[str, Any] = {"kind": "scan_back", "rate_minor": SCAN_MINOR}
    if rank == 0:
        terms["tiers"] = [{"from_units": units // 2 + 2, "rate_minor": SCAN_MINOR + 10}]
    elif rank == 1 and units:
        return {"kind": "lump_sum", "amount_minor": 5_001, "expected_units": max(units * 4 // 5, 1)}
    elif rank == 2 and units:
        terms["cap_minor"] = max(units * SCAN_MINOR // 2, 1)
    return terms

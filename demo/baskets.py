"""Turns the lines of a trading day into priced baskets whose money adds up to the cent.

Prices, discounts and coupons are the data's. Sales tax is not in it and is added here, as the shop's own till would;
nothing here is sent anywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from demo import places
from demo.source import Product, Sales, day_bounds_s, day_number

#: Goods that Ohio taxes when they are carried home; food is exempt. Rates of the counties in parts per million, 2026.
TAXED_DEPARTMENTS = frozenset({"DRUG GM", "COSMETICS", "FLORAL", "SPIRITS", "TRAVEL & LEISURE", "TOYS", "AUTOMOTIVE"})
TAXED_CATEGORIES = frozenset(
    {"SOFT DRINKS", "BEERS/ALES", "DOMESTIC WINE", "IMPORTED WINE", "MISC WINE", "LIQUOR", "CIGARETTES", "CIGARS"}
)
TAX_RATE_PPM = {"COL": 80_000, "DAY": 75_000, "AKR": 67_500}


@dataclass(frozen=True)
class Line:
    """A line: quantity times unit price, less discount, plus tax; `coupon_minor` of that a manufacturer pays."""

    line_id: str
    sku: str
    quantity: int
    unit_price_minor: int
    discount_minor: int
    coupon_minor: int
    tax_minor: int
    tax_rate_ppm: int
    age_limited: bool

    @property
    def net_minor(self) -> int:
        return self.quantity * self.unit_price_minor - self.discount_minor

    @property
    def total_minor(self) -> int:
        return self.net_minor + self.tax_minor


@dataclass(frozen=True)
class Basket:
    """What a household bought at one go. `at_s` is the second of the trading day; `unlisted` are products sold that
    the item master does not list."""

    id: int
    household: int
    store: int
    day: int
    at_s: int
    lines: tuple[Line, ...]
    unlisted: tuple[Line, ...]

    @property
    def location(self) -> str:
        return places.store_code(self.store)

    @property
    def total_minor(self) -> int:
        return sum(line.total_minor for line in self.lines)

    @property
    def coupon_minor(self) -> int:
        return sum(line.coupon_minor for line in self.lines)


@dataclass(frozen=True)
class Assortment:
    """What the demo's retailer sells: item numbers, the region of each store, and every shelf product by number."""

    items: frozenset[int]
    regions: dict[int, str]
    products: dict[int, Product]

    def is_taxed(self, product: int) -> bool:
        known = self.products[product]
        return known.department in TAXED_DEPARTMENTS or known.category in TAXED_CATEGORIES


def priced(line_id: str, product: int, quantity: int, paid: tuple[int, int, int], rate_ppm: int, *, age: bool) -> Line:
    """A line from (regular, discount, coupon) of the whole line in cents.

    The shelf price of one unit is rounded up to a cent; what that adds is given back in the discount, so the customer
    pays exactly what the data says.
    """
    regular_minor, discount_minor, coupon_minor = paid
    unit_price_minor = -(-regular_minor // quantity)
    rounding_minor = unit_price_minor * quantity - regular_minor
    net_minor = regular_minor - discount_minor
    tax_minor = (net_minor * rate_ppm + 500_000) // 1_000_000
    return Line(
        line_id,
        str(product),
        quantity,
        unit_price_minor,
        discount_minor + rounding_minor,
        coupon_minor,
        tax_minor,
        rate_ppm if tax_minor else 0,
        age,
    )


def of_day(sales: Sales, day: int, assortment: Assortment) -> list[Basket]:
    """The baskets of a day (1 … 365) in the order of the tills; baskets without a listed item are left out."""
    start_s, end_s = day_bounds_s(day_number(day))
    of_the_day = sales.where((sales.at_s >= start_s) & (sales.at_s < end_s))
    # Lines of a basket stand together: sales are ordered by time, then basket, and a basket has one time.
    cuts = np.flatnonzero(np.diff(of_the_day.basket)) + 1
    baskets = []
    for rows in np.split(np.arange(len(of_the_day)), cuts):
        if len(rows):
            basket = _basket(of_the_day, rows.tolist(), day, start_s, assortment)
            if basket.lines:
                baskets.append(basket)
    return baskets


def _basket(sales: Sales, rows: list[int], day: int, start_s: int, assortment: Assortment) -> Basket:
    first = rows[0]
    store = int(sales.store[first])
    lines = list(_lines(sales, rows, TAX_RATE_PPM[assortment.regions[store]], assortment))
    return Basket(
        int(sales.basket[first]),
        int(sales.household[first]),
        store,
        day,
        int(sales.at_s[first]) - start_s,
        tuple(line for line in lines if int(line.sku) in assortment.items),
        tuple(line for line in lines if int(line.sku) not in assortment.items),
    )


def _lines(sales: Sales, rows: list[int], rate_ppm: int, assortment: Assortment) -> Iterator[Line]:
    for number, row in enumerate(rows, 1):
        product = int(sales.product[row])
        if product not in assortment.products:
            continue  # fuel, coupons booked as products and the like never stand on a shelf
        paid = (int(sales.regular_minor[row]), int(sales.discount_minor[row]), int(sales.coupon_minor[row]))
        taxed = assortment.is_taxed(product)
        known = assortment.products[product]
        yield priced(
            str(number),
            product,
            int(sales.quantity[row]),
            paid,
            rate_ppm if taxed else 0,
            age=known.age_limit is not None,
        )

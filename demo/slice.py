"""Cuts a small retailer out of the Complete Journey year: stores, regions, items, prices, opening stock.

The choice is a pure function of the data set. The result is a folder of CSV files that `endcap load` imports, the
same way a customer's master data comes in; nothing here talks to a database.
"""

from dataclasses import dataclass

import numpy as np

from demo import places
from demo.source import Ints, Product, Sales, read_products, read_sales, read_store_baskets

STORES = 12
ITEMS = 2500
COVER_DAYS = 14
LARGEST_REGION = 5
OFFERED_SUBSTITUTES = 3
SUBSTITUTE_PRICE_BAND = 0.35
#: A store that trades on more than this many nights of the year between 2 and 5 o'clock is open round the clock.
NIGHT_BASKETS = 12

#: Cost as a share of the regular price, by department: an assumption, in the range that grocers publish.
COST_SHARE = {
    "GROCERY": 0.72,
    "PRODUCE": 0.62,
    "MEAT": 0.74,
    "MEAT-PCKGD": 0.70,
    "SEAFOOD": 0.72,
    "SEAFOOD-PCKGD": 0.70,
    "DELI": 0.55,
    "PASTRY": 0.45,
    "NUTRITION": 0.68,
    "DRUG GM": 0.68,
    "COSMETICS": 0.60,
    "FLORAL": 0.50,
    "SPIRITS": 0.75,
}
OTHER_COST_SHARE = 0.70


@dataclass(frozen=True)
class Stocked:
    """Opening stock: units of an item at a location, each at this cost in cents."""

    location: str
    product: int
    quantity: int


@dataclass(frozen=True)
class Slice:
    """The demo's retailer. `price_minor` is the regular price by product; `regions` maps a store to its region."""

    stores: tuple[int, ...]
    regions: dict[int, places.Region]
    always_open: frozenset[int]
    products: dict[int, Product]
    price_minor: dict[int, int]
    cost_minor: dict[int, int]
    substitutes: dict[int, tuple[int, ...]]
    stock: tuple[Stocked, ...]


def cut() -> Slice:
    """Reads the year and cuts the slice; takes a second or two."""
    known = read_products()
    stores = busiest_stores(*read_store_baskets())
    sales = read_sales(stores)
    sales = sales.where(np.isin(sales.product, np.fromiter(known, dtype=np.int64)))
    chosen = most_sold(sales)
    sales_of_chosen = sales.where(np.isin(sales.product, chosen))
    prices = regular_prices(sales_of_chosen)
    products = {product: known[product] for product in sorted(prices)}
    return Slice(
        stores,
        regions_by_shared_shoppers(stores, sales),
        open_all_night(stores, sales),
        products,
        prices,
        {product: unit_cost_minor(products[product], price) for product, price in prices.items()},
        substitutes_by_price(products, prices),
        opening_stock(sales_of_chosen),
    )


def busiest_stores(store: Ints, basket: Ints) -> tuple[int, ...]:
    """The stores with the most baskets, in the order of their numbers, from the store and basket of each line."""
    _, first = np.unique(basket, return_index=True)  # a basket belongs to one store
    stores, baskets = np.unique(store[first], return_counts=True)
    order = np.lexsort((stores, -baskets))[:STORES]
    return tuple(sorted(int(store) for store in stores[order]))


def most_sold(sales: Sales) -> Ints:
    """The products on the most receipts, ties by number."""
    products, lines = np.unique(sales.product, return_counts=True)
    order = np.lexsort((products, -lines))[:ITEMS]
    return np.sort(products[order])


def regular_prices(sales: Sales) -> dict[int, int]:
    """The median shelf price of one unit over the year, in cents, at least one."""
    unit_minor = sales.regular_minor / sales.quantity
    order = np.lexsort((unit_minor, sales.product))
    products, starts, counts = np.unique(sales.product[order], return_index=True, return_counts=True)
    medians = unit_minor[order][starts + counts // 2]
    return {int(p): max(1, round(float(m))) for p, m in zip(products, medians, strict=True)}


def unit_cost_minor(product: Product, price_minor: int) -> int:
    """What one unit cost the retailer, in cents."""
    return max(1, int(price_minor * COST_SHARE.get(product.department, OTHER_COST_SHARE)))


def regions_by_shared_shoppers(stores: tuple[int, ...], sales: Sales) -> dict[int, places.Region]:
    """Groups stores that the same households visit: such stores are neighbours, which the data does not say itself."""
    visits = _visits(stores, sales)
    shared = {
        (a, b): int(np.minimum(visits[i], visits[j]).sum())
        for i, a in enumerate(stores)
        for j, b in enumerate(stores)
        if a < b
    }
    groups = [[store] for store in stores]
    for (a, b), _ in sorted(shared.items(), key=lambda pair: (-pair[1], pair[0])):
        one, other = (next(group for group in groups if store in group) for store in (a, b))
        if len(groups) > len(places.REGIONS) and one is not other and len(one) + len(other) <= LARGEST_REGION:
            groups.remove(other)
            one.extend(other)
    groups.sort(key=lambda group: (-len(group), min(group)))
    return {store: region for region, group in zip(places.REGIONS, groups, strict=True) for store in group}


def _visits(stores: tuple[int, ...], sales: Sales) -> Ints:
    """Baskets by store (row) and household (column)."""
    _, first = np.unique(sales.basket, return_index=True)
    households, column = np.unique(sales.household[first], return_inverse=True)
    visits = np.zeros((len(stores), len(households)), dtype=np.int64)
    np.add.at(visits, (np.searchsorted(stores, sales.store[first]), column), 1)
    return visits


def open_all_night(stores: tuple[int, ...], sales: Sales) -> frozenset[int]:
    """The stores whose tills ring in the small hours, at 2 to 5 of standard time (summer shifts it by one)."""
    hour = (sales.at_s // 3600 - 5) % 24
    night = sales.where((hour >= 2) & (hour < 5))
    _, first = np.unique(night.basket, return_index=True)
    trading = night.store[first]
    return frozenset(store for store in stores if int((trading == store).sum()) > NIGHT_BASKETS)


def substitutes_by_price(products: dict[int, Product], prices: dict[int, int]) -> dict[int, tuple[int, ...]]:
    """Items of the same type within a price band, nearest price first."""
    by_type: dict[tuple[str, str], list[int]] = {}
    for number, product in products.items():
        by_type.setdefault((product.category, product.product_type), []).append(number)
    found: dict[int, tuple[int, ...]] = {}
    for alike in by_type.values():
        for number in alike:
            band = prices[number] * SUBSTITUTE_PRICE_BAND
            away = sorted((abs(prices[other] - prices[number]), other) for other in alike if other != number)
            near = tuple(other for difference, other in away if difference <= band)
            if near:
                found[number] = near[:OFFERED_SUBSTITUTES]
    return dict(sorted(found.items()))


def opening_stock(sales: Sales) -> tuple[Stocked, ...]:
    """Two weeks of the year's sales rate per store and item, a usual basket at least; as much again centrally."""
    width = int(sales.product.max()) + 1
    pairs, row = np.unique(sales.store * width + sales.product, return_inverse=True)
    store_of, product_of = pairs // width, pairs % width
    units = np.bincount(row, weights=sales.quantity).astype(np.int64)
    lines = np.bincount(row).astype(np.int64)
    cover = -(-units * COVER_DAYS // 365)
    # A shelf holds what a usual customer takes, also of slow items: the mean line rounded up, and two in reserve.
    usual = -(-units // lines) + 2
    shelf = np.maximum(cover, usual)
    rows = [
        Stocked(places.store_code(int(store)), int(product), int(quantity))
        for store, product, quantity in zip(store_of, product_of, shelf, strict=True)
    ]
    products, column = np.unique(product_of, return_inverse=True)
    central = np.maximum(np.bincount(column, weights=cover).astype(np.int64), 6)
    rows += [Stocked(places.DC, int(p), int(q)) for p, q in zip(products, central, strict=True)]
    return tuple(rows)

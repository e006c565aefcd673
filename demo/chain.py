"""Cuts a chain of many stores out of the year of baskets, for the scene of returns: its stores and return centres, what
each sold at its till and on the web, and what came back of that.

The data has 457 stores and most of them few baskets. A larger chain takes those with enough, and splits the busiest by
households, so every basket is a real one. What came back, why and in which condition is not in the data; it follows
from a seed.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from demo import folder, places
from demo.baskets import Line, priced
from demo.plan import chance
from demo.slice import unit_cost_minor
from demo.source import Ints, Product, Sales, read_products, read_sales, read_store_baskets
from domain import masterdata

STORES = 600
REGIONS = ("North", "East", "South", "West", "Lakes", "Hills")
SCRIPT = "returns.json"
MOST_LINES = 3
LEAST_BASKETS = 30  # of a store of the chain, in the year
SUFFIXES = ("", *"BCDEFGHJ")
OFFERED = 40  # baskets of a store among which two are chosen
REASONS = ("changed_mind", "wrong_size", "defective", "not_as_described", "damaged_in_shipping", "gift")
CONDITIONS = ("new", "new", "new", "new", "opened", "used", "damaged")
BY_MAIL_SHARE = 0.6
AT_THE_TILL_SHARE = 0.5
NOT_LOOKED_AT_SHARE = 0.06
DECLINED_SHARE = 0.04
WITHOUT_RECEIPT_SHARE = 0.05


@dataclass(frozen=True)
class Visit:
    """One basket of a store and how its first line comes back: `way` is `mail`, `counter` or `till`. What nobody has
    looked at yet has no condition; what is declined goes back to its customer.
    """

    store: str
    region: str
    receipt: str
    household: int
    is_web: bool
    lines: tuple[Line, ...]
    way: str
    reason: str
    condition: str | None
    is_declined: bool
    has_receipt: bool

    @property
    def sold_at(self) -> str:
        """What is bought on the web leaves the centre of its region."""
        return centre(self.region) if self.is_web else self.store

    @property
    def comes_to(self) -> str:
        return centre(self.region) if self.way == "mail" else self.store


@dataclass(frozen=True)
class Chain:
    """The whole scene: stores with their region, what they sell, and two visits to each."""

    regions: dict[str, str]
    products: dict[str, Product]
    price_minor: dict[str, int]
    visits: tuple[Visit, ...]


def centre(region: str) -> str:
    """The return centre of a region, which sends out what is bought on the web as well."""
    return f"{region}-RC"


def cut(count: int = STORES, seed: int = 7) -> Chain:
    """A chain of `count` stores; the same for a count and a seed. Raises ValueError where the data has too few."""
    known = read_products()
    parts = _parts(*read_store_baskets(), count)
    if sum(parts.values()) < count:
        raise ValueError(f"the data makes {sum(parts.values())} stores at most, not {count}")
    sales = read_sales(tuple(parts))
    sales = sales.where(np.isin(sales.product, np.fromiter(known, dtype=np.int64)))
    by_store = np.argsort(sales.store, kind="stable")
    regions, visits = dict[str, str](), list[Visit]()
    chosen = [(store, part) for store, number in parts.items() for part in range(number)]
    for number, (store, part) in enumerate(chosen):
        low, high = np.searchsorted(sales.store[by_store], [store, store + 1])
        rows = by_store[low:high]
        rows = rows[sales.household[rows] % parts[store] == part]
        code = f"R{store:04d}{SUFFIXES[part]}"
        regions[code] = f"R{number % len(REGIONS) + 1}"
        visits += _visits(sales, rows, code, regions[code], known, seed)
    sold = {line.sku: line for visit in visits for line in visit.lines}
    products = {sku: known[int(sku[1:])] for sku in sorted(sold)}
    return Chain(regions, products, {sku: sold[sku].unit_price_minor for sku in products}, tuple(visits))


def _parts(store: Ints, basket: Ints, count: int) -> dict[int, int]:
    """Into how many stores each store of the data is made, the busiest first: each has enough baskets of its own."""
    _, first = np.unique(basket, return_index=True)
    stores, baskets = np.unique(store[first], return_counts=True)
    order = np.lexsort((stores, -baskets))
    many = {int(one): int(number) for one, number in zip(stores[order], baskets[order], strict=True)}
    parts: dict[int, int] = {}
    for part in range(len(SUFFIXES)):
        for one, number in many.items():
            if number >= LEAST_BASKETS * (part + 1) and sum(parts.values()) < count:
                parts[one] = part + 1
    return parts


def _visits(sales: Sales, rows: Ints, code: str, region: str, known: dict[int, Product], seed: int) -> Iterator[Visit]:
    """Two baskets of a store, one of them bought on the web; fewer where it sold fewer."""
    baskets = np.unique(sales.basket[rows])[:OFFERED]
    drawn = sorted(int(one) for one in baskets)
    drawn.sort(key=lambda basket: chance(seed, "visit", code, basket))
    number = 0
    for basket in drawn:
        lines = _lines(sales, rows[sales.basket[rows] == basket], known)
        if not lines:
            continue
        household = int(sales.household[rows[sales.basket[rows] == basket][0]])
        yield _visit(code, region, basket, household, lines, is_web=number == 0, seed=seed)
        number += 1
        if number == 2:
            return


def _lines(sales: Sales, rows: Ints, known: dict[int, Product]) -> tuple[Line, ...]:
    """The first lines of a basket that anybody may bring back, as the till has them."""
    found: list[Line] = []
    for row in rows.tolist():
        product = int(sales.product[row])
        if known[product].age_limit is not None or int(sales.regular_minor[row]) <= 0:
            continue
        paid = (int(sales.regular_minor[row]), int(sales.discount_minor[row]), 0)
        line = priced(str(len(found) + 1), product, int(sales.quantity[row]), paid, 0, age=False)
        if line.net_minor > 0 and line.quantity <= 20:
            found.append(Line(**{**asdict(line), "sku": f"P{product}"}))
        if len(found) == MOST_LINES:
            break
    return tuple(found)


def _visit(
    code: str, region: str, basket: int, household: int, lines: tuple[Line, ...], *, is_web: bool, seed: int
) -> Visit:
    def draw(what: str) -> float:
        return chance(seed, what, code, basket)

    way = "mail" if is_web and draw("mail") < BY_MAIL_SHARE else "counter"
    if not is_web and draw("till") < AT_THE_TILL_SHARE:
        way = "till"
    looked_at = draw("looked_at") >= NOT_LOOKED_AT_SHARE
    return Visit(
        store=code,
        region=region,
        receipt=f"{'W' if is_web else 'T'}-{code}-{basket % 10**8}",
        household=household,
        is_web=is_web,
        lines=lines,
        way=way,
        reason=REASONS[int(draw("reason") * len(REASONS))],
        condition=CONDITIONS[int(draw("condition") * len(CONDITIONS))] if looked_at else None,
        is_declined=looked_at and way == "mail" and draw("declined") < DECLINED_SHARE,
        has_receipt=way != "counter" or is_web or draw("receipt") >= WITHOUT_RECEIPT_SHARE,
    )


# ---------------------------------------------------------------------- as files
def write(chain: Chain, target: Path) -> dict[str, int]:
    """Write what `endcap load` imports, and the script; returns the rows of each file."""
    target.mkdir(parents=True, exist_ok=True)
    rows: dict[type[masterdata.MasterRow], Iterator[dict[str, object]]] = {
        masterdata.EntityRow: iter(
            [{"code": places.ENTITY, "name": places.ENTITY_NAME, "currency": places.CURRENCY, "country": "US"}]
        ),
        masterdata.RegionRow: _regions(),
        masterdata.LocationRow: _locations(chain),
        masterdata.ItemRow: _items(chain),
        masterdata.StockRow: _stock(chain),
    }
    written = {model.file: folder.write_rows(target / model.file, model, rows[model]) for model in rows}
    script = json.dumps([asdict(visit) for visit in chain.visits], indent=1)
    (target / SCRIPT).write_text(script + "\n", encoding="utf-8")
    return written | {SCRIPT: len(chain.visits)}


def read(target: Path) -> list[Visit]:
    """The script of a folder that `write` has written. Raises FileNotFoundError."""
    rows: list[dict[str, Any]] = json.loads((target / SCRIPT).read_text(encoding="utf-8"))
    return [Visit(**{**row, "lines": tuple(Line(**line) for line in row["lines"])}) for row in rows]


def _regions() -> Iterator[dict[str, object]]:
    for number, name in enumerate(REGIONS, start=1):
        yield {"code": f"R{number}", "name": name, "entity": places.ENTITY}


def _locations(chain: Chain) -> Iterator[dict[str, object]]:
    shared: dict[str, object] = {"entity": places.ENTITY, "time_zone": "America/New_York"}
    for number, name in enumerate(REGIONS, start=1):
        code = centre(f"R{number}")
        yield shared | {"code": code, "name": f"{name} return centre", "kind": "dc", "region": f"R{number}"}
    for code, region in sorted(chain.regions.items()):
        yield shared | {"code": code, "name": f"Store {code[1:]}", "kind": "store", "region": region, "pickup": "true"}


def _items(chain: Chain) -> Iterator[dict[str, object]]:
    for sku, product in chain.products.items():
        price = chain.price_minor[sku]
        yield {
            "sku": sku,
            "name": product.name,
            "category": product.category.title(),
            "base_unit": "each",
            "cost_minor": unit_cost_minor(product, price),
            "price_minor": price,
        }


def _stock(chain: Chain) -> Iterator[dict[str, object]]:
    """As much as is sold, and one more: nothing goes below zero."""
    units: dict[tuple[str, str], int] = {}
    for visit in chain.visits:
        for line in visit.lines:
            key = visit.sold_at, line.sku
            units[key] = units.get(key, 1) + line.quantity
    for (location, sku), quantity in sorted(units.items()):
        cost = unit_cost_minor(chain.products[sku], chain.price_minor[sku])
        yield {
            "location": location, "sku": sku, "bucket": "available", "quantity": quantity, "unit_cost_minor": cost
        }  # fmt: skip

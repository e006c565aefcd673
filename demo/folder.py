"""Writes a slice as the folder of CSV files that `endcap load` imports; the formats are those of `docs/master-data.md`.

The tables' own knowledge stays with the loader: nothing here is checked twice.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from demo import people, places
from demo.baskets import Assortment
from demo.policies import POLICIES
from demo.slice import Slice
from demo.source import read_products
from domain import masterdata

CLOSED_DAYS = (("2026-12-25", "Christmas Day"), ("2027-11-25", "Thanksgiving Day"), ("2027-12-25", "Christmas Day"))


def write(cut: Slice, target: Path) -> dict[str, int]:
    """Writes every file; returns its rows by file name. The same slice gives the same bytes."""
    target.mkdir(parents=True, exist_ok=True)
    rows: dict[type[masterdata.MasterRow], Iterable[dict[str, object]]] = {
        masterdata.EntityRow: _entities(),
        masterdata.RegionRow: _regions(),
        masterdata.LocationRow: _locations(cut),
        masterdata.CalendarRow: _calendars(cut),
        masterdata.ItemRow: _items(cut),
        masterdata.SubstituteRow: _substitutes(cut),
        masterdata.PriceRow: (),  # every store sells at the prices of its items
        masterdata.PersonRow: people.rows(cut),
        masterdata.StockRow: _stock(cut),
    }
    written = {model.file: write_rows(target / model.file, model, rows[model]) for model in masterdata.FILES}
    (target / "policies.json").write_text(json.dumps(POLICIES, indent=2) + "\n", encoding="utf-8")
    return written | {"policies.json": len(POLICIES)}


def write_rows(path: Path, model: type[masterdata.MasterRow], rows: Iterable[dict[str, object]]) -> int:
    """Write one file with the columns that the loader knows; returns how many rows it has."""
    written = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, masterdata.columns(model), restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            written += 1
    return written


def _entities() -> Iterator[dict[str, object]]:
    yield {"code": places.ENTITY, "name": places.ENTITY_NAME, "currency": places.CURRENCY, "country": "US"}


def _regions() -> Iterator[dict[str, object]]:
    for region in places.REGIONS:
        yield {"code": region.code, "name": region.name, "entity": places.ENTITY}


def store_places(cut: Slice) -> dict[int, places.Place]:
    """The place of each store: a region hands out its places in the order of its stores' numbers."""
    taken = {region.code: count() for region in places.REGIONS}
    return {store: cut.regions[store].places[next(taken[cut.regions[store].code])] for store in sorted(cut.stores)}


def _location(code: str, kind: str, region: str, place: places.Place) -> dict[str, object]:
    return {
        "code": code,
        "name": place.name,
        "kind": kind,
        "region": region,
        "entity": places.ENTITY,
        "time_zone": "America/New_York",
        "latitude": place.latitude,
        "longitude": place.longitude,
        "address": place.address,
        "pickup": "true" if kind == "store" else "false",
    }


def _locations(cut: Slice) -> Iterator[dict[str, object]]:
    for store, place in store_places(cut).items():
        yield _location(places.store_code(store), "store", cut.regions[store].code, place)
    yield _location(places.DC, "dc", places.REGIONS[0].code, places.DC_PLACE)


def _calendars(cut: Slice) -> Iterator[dict[str, object]]:
    for store in sorted(cut.stores):
        opens = "00:00" if store in cut.always_open else "06:00"
        for day in masterdata.WEEKDAYS:
            yield {"location": places.store_code(store), "day": day, "opens": opens, "closes": "24:00"}
        for date, reason in CLOSED_DAYS:
            yield {"location": places.store_code(store), "day": date, "reason": reason}
    for day in masterdata.WEEKDAYS:
        yield {"location": places.DC, "day": day, "opens": "00:00", "closes": "24:00"}


def _items(cut: Slice) -> Iterator[dict[str, object]]:
    for product in cut.products.values():
        yield {
            "sku": str(product.product),
            "name": product.name,
            "category": product.category.title(),
            "base_unit": "each",
            "age_limit": product.age_limit or "",
            "frozen": "true" if product.frozen else "false",
            "cost_minor": cut.cost_minor[product.product],
            "price_minor": cut.price_minor[product.product],
        }


def _substitutes(cut: Slice) -> Iterator[dict[str, object]]:
    for product, others in cut.substitutes.items():
        for rank, other in enumerate(others, 1):
            yield {"sku": product, "substitute": other, "rank": rank}


def _stock(cut: Slice) -> Iterator[dict[str, object]]:
    for row in cut.stock:
        yield {
            "location": row.location,
            "sku": row.product,
            "bucket": "available",
            "quantity": row.quantity,
            "unit_cost_minor": cut.cost_minor[row.product],
        }


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file of the folder, as texts."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assortment(source: Path) -> Assortment:
    """What the written folder sells, with the product table beside it."""
    stores = [row for row in read(source / masterdata.LocationRow.file) if row["kind"] == "store"]
    return Assortment(
        frozenset(int(row["sku"]) for row in read(source / masterdata.ItemRow.file)),
        {int(row["code"].removeprefix("S")): row["region"] for row in stores},
        read_products(),
    )

"""`python -m bench.surge`: real sales played through the ledger while a promotion runs, with a surge planted at one
store, and without one: whether, when and why a transfer is proposed.

The best-selling category at the stores that sell most of it, some weeks of the real year: eight of them are its past,
the last is the promotion's. Each receipt is a fact of a till, taken by the ledger as it takes those of tills; prices
are published and read back; looks are the activity that the schedule starts, once for each hour of the promotion's
clock. Dates are moved by whole weeks, with weekday, hour and summer time as they were: a promotion is defined before
it begins, and nothing here asks what day it is.

What is planted are receipts of the store's own: as many an hour, from eleven on a Saturday, as it is told, with what
customers of its eight weeks before had bought.
"""

import argparse
import asyncio
import datetime as dt
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.look import LookActivities
from bench import place
from bench.channel import Channel
from bench.prices import Campaign
from demo import folder, places
from demo.bodies import Body, event, stamp
from demo.slice import unit_cost_minor
from demo.source import TRADING_ZONE, Product, Sales, day_bounds_s, read_products, read_sales
from domain import masterdata
from domain.messages import Step
from domain.promotions import NewPromotion
from embedded.postgres import create_database, drop_database
from ledger import facts
from ledger.engine import Database
from ledger.load import load
from ledger.migrate import upgrade
from ledger.people import Caller
from ledger.promotion import intake

CATEGORY = "FLUID MILK PRODUCTS"
STORES = 10
MONDAY = dt.date(2017, 7, 10)  # of the promotion's week
LATER = dt.timedelta(weeks=4227)  # to the summer of 2098
PAST_WEEKS = 8
DAY_S, HOUR_S = 86_400, 3_600
SURGE_FROM, SURGE_LASTS = 5 * DAY_S + 11 * HOUR_S, 6  # since Monday's midnight; hours
AN_HOUR = 8
AFTER = dt.timedelta(minutes=5)  # the full hour, as the schedule has it
SHELF_DAYS = 14  # what the others have when it begins, in days at their pace
THIN_DAYS = 3  # and the store of the surge
BATCH = 500
CHANNEL = "pos"
PIM = Caller("bench", "bench", frozenset({"promotions:write"}), frozenset(), None, frozenset())
#: The data are one household in twenty or so: a transfer is worth its while from fewer units on. A region's own policy.
REGION = "MILK"
POLICY: dict[str, Any] = {
    "version": "surge-1",
    "scope": {"entity": places.ENTITY, "region": REGION},
    "effective_from": "2026-01-01T00:00:00-05:00",
    "reason": "The data hold a sample of the households; limits follow.",
    "values": {"promotion": {"look": {"least_units": 2}}},
}
TILL = Caller("pos", "pos", frozenset({"events:write"}), frozenset(), None, frozenset())


@dataclass(frozen=True)
class Cut:
    """The real sales: lines of the past weeks and of the promotion's own, in the order of the tills."""

    stores: tuple[int, ...]  # by what they sold, most first
    products: Mapping[int, Product]
    price_minor: Mapping[int, int]
    past: Sales
    week: Sales
    monday_s: int

    @property
    def busiest(self) -> int:
        """The store at which the surge is planted."""
        return self.stores[0]


def read(category: str = CATEGORY, stores: int = STORES, monday: dt.date = MONDAY) -> Cut:
    """Raises ValueError where the data have no such category, or too little of it."""
    products = {number: one for number, one in read_products().items() if one.category == category}
    if not products:
        raise ValueError(f"the data have no category {category}")
    sales = read_sales(products=np.fromiter(products, dtype=np.int64))
    begins, monday_s = day_bounds_s(monday - dt.timedelta(weeks=PAST_WEEKS))[0], day_bounds_s(monday)[0]
    ends = day_bounds_s(monday + dt.timedelta(weeks=1))[0]
    sales = sales.where((sales.at_s >= begins) & (sales.at_s < ends) & (sales.regular_minor % sales.quantity == 0))
    found, lines = np.unique(sales.store, return_counts=True)
    chosen = tuple(int(one) for one in found[np.lexsort((found, -lines))][:stores])
    if len(chosen) < stores:
        raise ValueError(f"{len(chosen)} stores sold of {category} in the weeks to {monday}, not {stores}")
    sales = sales.where(np.isin(sales.store, chosen))
    prices = {
        int(one): max(1, int(np.median((sales.regular_minor // sales.quantity)[sales.product == one])))
        for one in np.unique(sales.product)
    }
    past, week = sales.where(sales.at_s < monday_s), sales.where(sales.at_s >= monday_s)
    return Cut(chosen, {one: products[one] for one in prices}, prices, past, week, monday_s)


# ---------------------------------------------------------------------- receipts
class Receipt(NamedTuple):
    """`lines` are (product, units, cents for a unit at the shelf, cents off for the line)."""

    number: str
    store: int
    at_s: int
    lines: tuple[tuple[int, int, int, int], ...]


def receipts(sales: Sales) -> Iterator[Receipt]:
    """One for each basket, in the order of the tills."""
    cuts = np.flatnonzero(np.diff(sales.basket)) + 1
    for rows in np.split(np.arange(len(sales)), cuts) if len(sales) else ():
        lines = tuple(
            (int(sales.product[row]), int(sales.quantity[row]),
             int(sales.regular_minor[row] // sales.quantity[row]), int(sales.discount_minor[row]))
            for row in rows
        )  # fmt: skip
        first = rows[0]
        yield Receipt(str(sales.basket[first]), int(sales.store[first]), int(sales.at_s[first]), lines)


def planted(cut: Cut, an_hour: int) -> Iterator[Receipt]:
    """So many receipts an hour more at the busiest store, spread evenly; each has the lines of one of its past."""
    own = [one for one in receipts(cut.past) if one.store == cut.busiest]
    for number in range(an_hour * SURGE_LASTS):
        at_s = cut.monday_s + SURGE_FROM + (number * HOUR_S) // an_hour
        yield Receipt(f"more-{number}", cut.busiest, at_s, own[number % len(own)].lines)


def code_of(store: int) -> str:
    return f"K{store:04d}"


def sku_of(product: int) -> str:
    return f"K{product}"


def instant(at_s: int) -> dt.datetime:
    """Of the scene, by the seconds of the data."""
    return dt.datetime.fromtimestamp(at_s, dt.UTC) + LATER


def told(receipt: Receipt) -> Body:
    """The receipt as a till tells it."""
    lines = [
        {"line": str(number), "sku": sku_of(product), "quantity": units, "unit_price_minor": unit,
         "regular_price_minor": unit, "discount_minor": off}
        for number, (product, units, unit, off) in enumerate(receipt.lines, start=1)
    ]  # fmt: skip
    data = {"location": code_of(receipt.store), "receipt": receipt.number, "lines": lines}
    return event(f"till-{receipt.number}", "pos.sale", instant(receipt.at_s), data)


# ---------------------------------------------------------------------- the retailer
def write(cut: Cut, target: Path) -> None:
    """What `endcap load` imports: the stores on the map of the demo, the items, and what is on their shelves."""
    somewhere = [one for region in places.REGIONS[:2] for one in region.places]
    rows: dict[type[masterdata.MasterRow], Iterable[dict[str, object]]] = {
        masterdata.EntityRow: [
            {"code": places.ENTITY, "name": places.ENTITY_NAME, "currency": places.CURRENCY, "country": "US"}
        ],
        masterdata.RegionRow: [{"code": REGION, "name": "Stores", "entity": places.ENTITY}],
        masterdata.LocationRow: [
            {"code": code_of(store), "name": f"Store {store}", "kind": "store", "region": REGION,
             "entity": places.ENTITY, "time_zone": "America/New_York", "pickup": "false",
             "latitude": where.latitude, "longitude": where.longitude}
            for number, store in enumerate(cut.stores)
            for where in [somewhere[number % len(somewhere)]]
        ],
        masterdata.ItemRow: [
            {"sku": sku_of(number), "name": one.name, "category": one.category.title(),
             "base_unit": "each", "cost_minor": unit_cost_minor(one, cut.price_minor[number]),
             "price_minor": cut.price_minor[number]}
            for number, one in cut.products.items()
        ],
        masterdata.StockRow: _stock(cut),
    }  # fmt: skip
    target.mkdir(parents=True, exist_ok=True)
    for model, of_it in rows.items():
        folder.write_rows(target / model.file, model, of_it)
    (target / "policies.json").write_text(json.dumps([POLICY]), encoding="utf-8")


def units(sales: Sales) -> Counter[tuple[int, int]]:
    """Units by (store, product)."""
    found: Counter[tuple[int, int]] = Counter()
    for store, product, quantity in zip(
        sales.store.tolist(), sales.product.tolist(), sales.quantity.tolist(), strict=True
    ):
        found[store, product] += quantity
    return found


def _stock(cut: Cut) -> Iterator[dict[str, object]]:
    """What the past takes off the shelf, and so many days of it beyond; less at the store of the surge."""
    for (store, product), sold in sorted(units(cut.past).items()):
        days = THIN_DAYS if store == cut.busiest else SHELF_DAYS
        yield {
            "location": code_of(store), "sku": sku_of(product), "bucket": "available",
            "quantity": sold - (-sold * days // (7 * PAST_WEEKS)),
            "unit_cost_minor": unit_cost_minor(cut.products[product], cut.price_minor[product]),
        }  # fmt: skip


# ---------------------------------------------------------------------- the scene
class Proposal(NamedTuple):
    """A transfer that a look has proposed, line by line; `state` is the transfer's."""

    at: dt.datetime
    source: str
    target: str
    sku: str
    units: int
    because: str
    state: str


@dataclass(frozen=True)
class Played:
    """What came of it. `surged`: the looks at which a place surged, with its code."""

    looks: int
    sold_units: int
    forecast_units: int
    surged: Sequence[tuple[dt.datetime, str]]
    proposals: Sequence[Proposal]


class NotTakenError(Exception):
    """The ledger did not take what it was given; the text says what."""


async def play(url: str, cut: Cut, an_hour: int, *, first_look_s: int = HOUR_S, last_look_s: int = 6 * DAY_S) -> Played:
    """Play the promotion's week in an empty, migrated database, hour by hour: what the tills sold, then a look, from
    one hour to another, in seconds after Monday's midnight. `an_hour` 0 plants nothing. Raises `NotTakenError`.
    """
    with tempfile.TemporaryDirectory() as name:
        await asyncio.to_thread(write, cut, Path(name))
        result = await load(url, Path(name))
    if result.rejects:
        raise NotTakenError(f"{len(result.rejects)} rows of the master data, first {result.rejects[0]}")
    database = Database(url, pool_size=8, application="endcap-bench", sealing_keys={"bench": b"0" * 32})
    try:
        scene = await _begin(database, cut)
        await _send(database, receipts(cut.past))
        return await _looked_at(database, scene, cut, an_hour, range(first_look_s, last_look_s + 1, HOUR_S))
    finally:
        await database.dispose()


async def _begin(database: Database, cut: Cut) -> Campaign:
    """The promotion is defined, its prices go out and are seen, and it begins."""
    codes = [code_of(store) for store in cut.stores]
    wanted = NewPromotion.model_validate(
        {
            "promotion_id": "MILK-WEEK",
            "name": "Milk week",
            "offer": {"kind": "percent", "off_permille": 100},
            "lines": [
                {"category": next(iter(cut.products.values())).category.title(),
                 "forecast_units": sum(units(cut.past).values()) // PAST_WEEKS}
            ],
            "channels": [CHANNEL],
            "locations": codes,
            "starts_at": stamp(instant(cut.monday_s)),
            "ends_at": stamp(instant(cut.monday_s + 7 * DAY_S)),
            "stacking": "best",
            "margin_floor_permille": -1000,
        }
    )  # fmt: skip
    answer = (await intake.define(database, PIM, wanted, channels=(CHANNEL,), via="bench"))[1]
    regular = {sku_of(number): price for number, price in cut.price_minor.items()}
    scene = Campaign(database, {CHANNEL: Channel(CHANNEL, regular)}, codes, sorted(regular), answer.journey_id)
    await scene.due("publish")
    await scene.tell()
    await scene.due("start")
    return scene


async def _send(database: Database, some: Iterable[Receipt]) -> None:
    """Tills tell what they sold. Raises `NotTakenError`."""
    events: list[dict[str, Any]] = [told(one) for one in some]
    for first in range(0, len(events), BATCH):
        outcomes = await facts.receive(database, TILL, events[first : first + BATCH], received_at=place.now())
        if wrong := [one for one in outcomes if one.outcome != "accepted"]:
            raise NotTakenError(f"{len(wrong)} receipts, first {wrong[0]}")


async def _looked_at(database: Database, scene: Campaign, cut: Cut, an_hour: int, hours_s: range) -> Played:
    sold = sorted([*receipts(cut.week), *planted(cut, an_hour)], key=lambda one: one.at_s)
    looks = LookActivities(database)
    surged: list[tuple[dt.datetime, str]] = []
    sent, looked = 0, 0
    for hour_s in hours_s:
        until = next((n for n, one in enumerate(sold) if one.at_s >= cut.monday_s + hour_s), len(sold))
        await _send(database, sold[sent:until])
        sent, at = until, instant(cut.monday_s + hour_s) + AFTER
        step = Step(subject="promotions", occurrence=at.isoformat(), at=at)
        done = await ActivityEnvironment().run(looks.look_at_all, step)
        if done.state != "1 looked at":
            raise NotTakenError(f"the look of {at:%a %H:%M} says {done.state}")
        looked += 1
        surged += [(at, code) for code in await _surging(database, scene.id)]
    async with database.read() as conn:
        figures = (await conn.execute(_LATEST, {"id": scene.id})).scalar_one()
        found = [Proposal(*row) for row in await conn.execute(_PROPOSED, {"id": scene.id})]
    return Played(looked, figures["sold_units"], figures["forecast_units"], surged, found)


_LATEST = text("SELECT figures FROM promotion_look WHERE journey_id = :id ORDER BY number DESC LIMIT 1")
_PROPOSED = text(
    "SELECT p.at, p.from_location, p.to_location, p.sku, p.quantity, p.because, j.state FROM promotion_proposal p"
    " JOIN journey j ON j.id = p.transfer_id WHERE p.journey_id = :id ORDER BY p.id"
)
_SURGING = text(
    "SELECT location FROM promotion_look_place WHERE journey_id = :id AND state = 'surge' ORDER BY location"
)


async def _surging(database: Database, about: str) -> list[str]:
    async with database.read() as conn:
        return list((await conn.execute(_SURGING, {"id": about})).scalars())


# ---------------------------------------------------------------------- the command
def report(cut: Cut, an_hour: int, played: Played) -> Iterator[str]:
    """What was seen, line by line; times are those of the stores."""

    def when(at: dt.datetime) -> str:
        return f"{at.astimezone(TRADING_ZONE):%a %H:%M}"

    what = f"{an_hour} receipts an hour more at {code_of(cut.busiest)} from Sat 11:00 on" if an_hour else "as it was"
    yield f"{what}: {played.looks} looks, {played.sold_units} units sold of {played.forecast_units} forecast"
    first: dict[str, dt.datetime] = {}
    for at, code in played.surged:
        first.setdefault(code, at)
    yield "  surges: " + (", ".join(f"{code} from {when(at)}" for code, at in first.items()) or "none")
    yield f"  proposed: {len(played.proposals)} lines"
    for one in played.proposals:
        yield f"  {when(one.at)} {one.source} to {one.target}, {one.state}: {one.because}"


async def _main(cut: Cut, rates: Sequence[int], first_look_s: int) -> None:
    async with place.server() as server_url:
        for an_hour in rates:
            name = f"endcap_surge_{an_hour}"
            url = await create_database(server_url, name)
            await asyncio.to_thread(upgrade, url)
            try:
                for line in report(cut, an_hour, await play(url, cut, an_hour, first_look_s=first_look_s)):
                    print(line, flush=True)
            finally:
                await drop_database(server_url, name)


def main() -> int:
    """Exit status 2 for a category, stores or a week that the data do not have."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    asked.add_argument("--category", default=CATEGORY, help="of the data, as it writes it")
    asked.add_argument("--stores", type=int, default=STORES)
    asked.add_argument("--an-hour", type=int, nargs="*", default=[0, AN_HOUR], help="receipts; 0 plants nothing")
    asked.add_argument("--from-saturday", action="store_true", help="look at Saturday alone, not at the whole week")
    given = asked.parse_args()
    try:
        cut = read(given.category, given.stores)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    asyncio.run(_main(cut, given.an_hour, 5 * DAY_S + HOUR_S if given.from_saturday else HOUR_S))
    return 0


if __name__ == "__main__":
    sys.exit(main())

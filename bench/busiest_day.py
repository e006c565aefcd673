"""`python -m bench.busiest_day`: the year's busiest day of the real data, all stores, as fast as it goes.

Deliveries that cover the day come first, then every basket as a receipt of its till, in the order of the day, in
requests of 1,000 events. Ends with the audit; exit status 1 when it finds anything or an event was not accepted.
`BUSIEST_BASKETS` takes only so many baskets.
"""

import asyncio
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import text

from bench import place
from bench.rows import machine
from demo.source import Sales, day_bounds_s, read_sales, trading_date
from ledger import facts
from ledger.audit import audit
from ledger.engine import Database

REQUEST = 1_000
LINES_A_DELIVERY = 500


def busiest(sales: Sales) -> Sales:
    """The lines of the trading day with the most baskets."""
    _, first = np.unique(sales.basket, return_index=True)
    days = Counter(trading_date(int(at)) for at in sales.at_s[first])
    begins, ends = day_bounds_s(days.most_common(1)[0][0])
    return sales.where((sales.at_s >= begins) & (sales.at_s < ends))


def receipts(sales: Sales) -> list[dict[str, Any]]:
    """One `pos.sale` for each basket. A line's shelf price need not divide by its units: the rest is discount."""
    baskets: dict[int, list[int]] = defaultdict(list)
    for index, basket in enumerate(sales.basket):
        baskets[int(basket)].append(index)
    events = []
    for basket, indexes in baskets.items():
        at = datetime.fromtimestamp(int(sales.at_s[indexes[0]]), UTC)
        lines = [_line(sales, index, number) for number, index in enumerate(indexes, start=1)]
        data = {"location": _store(sales, indexes[0]), "receipt": str(basket), "lines": lines}
        events.append(_event(f"b{basket}", "pos.sale", at, data))
    return sorted(events, key=lambda event: (event["occurred_at"], event["id"]))


def _store(sales: Sales, index: int) -> str:
    return f"S{int(sales.store[index]):04d}"


def _line(sales: Sales, index: int, number: int) -> dict[str, Any]:
    quantity = max(int(sales.quantity[index]), 1)
    regular = int(sales.regular_minor[index])
    unit = -(-regular // quantity)
    discount = unit * quantity - regular + int(sales.discount_minor[index])
    return {
        "line": str(number),
        "sku": str(int(sales.product[index])),
        "quantity": quantity,
        "unit_price_minor": unit,
        "discount_minor": discount,
        "coupon_minor": int(sales.coupon_minor[index]),
    }


def _event(number: str, kind: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "type": kind, "occurred_at": at.isoformat(), "data": data}


def deliveries(day: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What each store needs for the day, delivered before its first receipt."""
    needs: dict[str, Counter[str]] = defaultdict(Counter)
    for event in day:
        for line in event["data"]["lines"]:
            needs[event["data"]["location"]][line["sku"]] += line["quantity"]
    before = datetime.fromisoformat(day[0]["occurred_at"])
    for store, units in sorted(needs.items()):
        goods = sorted(units.items())
        for first in range(0, len(goods), LINES_A_DELIVERY):
            lines = [{"sku": sku, "quantity": n} for sku, n in goods[first : first + LINES_A_DELIVERY]]
            data = {"location": store, "document": f"d-{store}-{first}", "lines": lines}
            yield _event(f"d-{store}-{first}", "stock.received", before, data)


async def load(database: Database, stores: Sequence[str], day: Sequence[dict[str, Any]]) -> int:
    """All stores, and the items of the day, as master data, an item's cost at 60 % of its price; how many items."""
    prices = {line["sku"]: line["unit_price_minor"] for event in day for line in event["data"]["lines"]}
    async with database.engine.begin() as conn:
        await conn.execute(
            text(
                "INSERT INTO location (code, name, kind, region, entity, time_zone, latitude, longitude, pickup)"
                " SELECT code, code, 'store', 'R1', 'E1', 'America/New_York', 39, -84, true"
                " FROM unnest(CAST(:codes AS text[])) code"
            ),
            {"codes": list(stores)},
        )
        await conn.execute(
            text(
                "INSERT INTO item (sku, name, price_minor, cost_minor) SELECT sku, sku, price, price * 6 / 10"
                " FROM unnest(CAST(:skus AS text[]), CAST(:prices AS bigint[])) AS i(sku, price)"
            ),
            {"skus": list(prices), "prices": list(prices.values())},
        )
    return len(prices)


async def send(database: Database, events: Sequence[dict[str, Any]]) -> Counter[str]:
    """Receive the events in requests; returns how many had which outcome."""
    outcomes: Counter[str] = Counter()
    for first in range(0, len(events), REQUEST):
        request = events[first : first + REQUEST]
        taken = await facts.receive(database, place.CALLER, request, received_at=place.now())
        outcomes.update(one.outcome for one in taken)
    return outcomes


async def replay(baskets: int | None = None) -> int:
    """Everything; returns the exit status."""
    year = await asyncio.to_thread(read_sales)
    stores = [f"S{int(store):04d}" for store in np.unique(year.store)]
    day = receipts(busiest(year))[:baskets]
    supply = list(deliveries(day))
    lines = sum(len(event["data"]["lines"]) for event in day)
    async with place.server() as server_url, place.database(server_url, "busiest") as database:
        async with database.engine.begin() as conn:  # the shelf of the other measurements has no movements behind it
            await conn.execute(text("DELETE FROM stock"))
        items = await load(database, stores, day)
        sold_at = len({event["data"]["location"] for event in day})
        print(
            f"{day[0]['occurred_at'][:10]}: {len(stores)} stores, of which {sold_at} sold something;"
            f" {len(day):,} baskets, {lines:,} lines, {items:,} items"
        )
        began = time.perf_counter()
        supplied = await send(database, supply)
        print(f"deliveries: {dict(supplied)} in {time.perf_counter() - began:.1f} s", flush=True)
        began = time.perf_counter()
        sold = await send(database, day)
        spent = time.perf_counter() - began
        print(f"receipts: {dict(sold)}, {len(day) / spent:,.0f} events/s, {lines / spent:,.0f} lines/s")
        async with database.read() as conn:
            findings = await audit(conn)
            posted = (await conn.execute(text("SELECT count(*) FROM sale_line"))).scalar_one()
            below = (await conn.execute(text("SELECT count(*) FROM stock WHERE available <> 0"))).scalar_one()
    print(f"audit: {len(findings)} findings; {posted:,} lines posted; {below} shelves not empty at the end")
    for finding in findings:
        print(f"  {finding.rule}: {finding.where}: {finding.detail}")
    everything = {"accepted"} == set(supplied) | set(sold) and posted == lines and below == 0
    return 0 if everything and not findings else 1


if __name__ == "__main__":
    print(machine(), flush=True)
    given = os.environ.get("BUSIEST_BASKETS")
    sys.exit(asyncio.run(replay(int(given) if given else None)))

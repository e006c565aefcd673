"""`python -m bench`: measures, prints the table and writes `bench/results/latest.json`.

ROWS=S1,S5 measures some, and replaces only those in the file; BENCH_SECONDS (default 5) is the length of one run;
BENCH_GROWTH (default 5,000,000) is the number of orders whose rows S8 puts in place; BENCH_CASES and BENCH_ORDERS
(a million of each) are those among which S9 and S10 look;
BENCH_PARKED (10,000) is the number of journeys of S12, BENCH_TIMERS (2,000) that of timers of S14, which ends after
BENCH_BUDGET_S (2,250 s) with what has fired by then.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from bench import (
    accrual,
    availability,
    browsing,
    due,
    events,
    growth,
    intake,
    journeys,
    looks,
    months,
    opened,
    over_http,
    parked,
    place,
    prices,
    promotion_pages,
    relaying,
    starting,
    transfers,
)
from bench.rows import Row, machine, show, write

# What measures a row: given the URL of a server, and how long one run takes. In the order of measuring.
MEASURES: dict[str, Callable[..., Awaitable[list[Row]]]] = {
    "S1": partial(intake.reserve, wanted=frozenset({"S1"})),
    "S2": partial(intake.reserve, wanted=frozenset({"S2"})),
    "S3": partial(intake.reserve, wanted=frozenset({"S3"})),
    "S4": over_http.one_by_one,
    "S5": over_http.in_batches,
    "S5.events": events.over_http,
    "F1": accrual.accrued,
    "S6": intake.latency,
    "T1": transfers.rebalanced,
    "AV": availability.of_a_basket,
    "S7": journeys.collected,
    "R1": relaying.relays,
    "S8": growth.growth,
    "M1": months.months,
    "S9": browsing.queues,
    "S10": browsing.one_case,
    "S11": opened.consoles,
    "S12": parked.parked,
    "S14": due.together,
    "S13": starting.twice,
    "P1": prices.published,
    "P2": promotion_pages.pages,
    "L1": looks.looked,
}
TOGETHER = ("S1", "S2", "S3")  # their orders are taken once


async def measure(wanted: set[str], *, seconds: float) -> list[Row]:
    """Every wanted row, on one server of its own; each is printed as soon as it is known."""
    rows: list[Row] = []
    left = dict(MEASURES)
    if together := wanted & set(TOGETHER):
        left = {"S1": partial(intake.reserve, wanted=frozenset(together))} | {
            name: one for name, one in left.items() if name not in TOGETHER
        }
    async with place.server() as server_url:
        for name, one in left.items():
            if name in wanted or (together and name == "S1"):
                found = await one(server_url, seconds=seconds)
                print(show(found, head=not rows), flush=True)
                rows += found
    return rows


def main() -> int:
    """Exit status 2 for a row that there is not."""
    wanted = {name.strip() for name in os.environ.get("ROWS", "").split(",") if name.strip()} or set(MEASURES)
    unknown = wanted - set(MEASURES)
    if unknown:
        print(f"There is no row {', '.join(sorted(unknown))}; the rows are {', '.join(MEASURES)}.", file=sys.stderr)
        return 2
    print(machine(), flush=True)
    rows = asyncio.run(measure(wanted, seconds=float(os.environ.get("BENCH_SECONDS", "5"))))
    write(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

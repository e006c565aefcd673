"""`python -m bench`: measures, prints the table and writes `bench/results/latest.json`.

ROWS=S1,S2 measures some; BENCH_SECONDS (default 5) is the length of one run; BENCH_GROWTH (default 500,000) is the
number of orders whose rows S8 puts in place.
"""

import asyncio
import os
import sys

from bench import events, intake, place
from bench.rows import Row, machine, show, write

KNOWN = ("S1", "S2", "S3", "S5", "S6", "S8")


async def measure(wanted: set[str], *, seconds: float, growth: int) -> list[Row]:
    """Every wanted row, on one server of its own."""
    rows: list[Row] = []
    async with place.server() as server_url:
        if wanted & {"S1", "S2", "S3"}:
            rows += await intake.reserve(server_url, seconds=seconds, wanted=wanted)
        if "S5" in wanted:
            rows += await events.sales(server_url, seconds=seconds)
        if "S6" in wanted:
            rows += await intake.latency(server_url, seconds=seconds)
        if "S8" in wanted:
            rows += await intake.growth(server_url, seconds=seconds, orders=growth)
    return rows


def main() -> int:
    """Exit status 2 for a row that there is not."""
    wanted = {name.strip() for name in os.environ.get("ROWS", "").split(",") if name.strip()} or set(KNOWN)
    unknown = wanted - set(KNOWN)
    if unknown:
        print(f"There is no row {', '.join(sorted(unknown))}; the rows are {', '.join(KNOWN)}.", file=sys.stderr)
        return 2
    print(machine(), flush=True)
    seconds, growth = float(os.environ.get("BENCH_SECONDS", "5")), int(os.environ.get("BENCH_GROWTH", "500000"))
    rows = asyncio.run(measure(wanted, seconds=seconds, growth=growth))
    print(show(rows))
    write(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

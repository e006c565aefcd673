"""S5: sales at the till, taken in requests of a thousand events in this process."""

import time
from random import Random
from typing import Any

from bench import place
from bench.rows import Row, row
from ledger import facts

LINES = 3


def _sale(number: str, dice: Random) -> dict[str, Any]:
    lines = [
        {"line": str(n), "sku": place.sku(dice.randrange(place.SKUS)), "quantity": 1, "unit_price_minor": 1_500}
        for n in range(LINES)
    ]
    data = {"location": place.STORE, "receipt": number, "lines": lines}
    return {"id": number, "type": "pos.sale", "occurred_at": place.now().isoformat(), "data": data}


async def sales(server_url: str, *, seconds: float, request_events: int = 1_000) -> list[Row]:
    """Lines a second. A refused or quarantined event is an error here: nothing that is sent deserves it."""
    runs = []
    async with place.database(server_url, "sales") as database:
        for run in range(3):
            dice, taken = Random(run), 0  # noqa: S311  which SKU is sold
            began = time.perf_counter()
            while (spent := time.perf_counter() - began) < seconds:
                request = [_sale(f"r{run}-{taken + n}", dice) for n in range(request_events)]
                outcomes = await facts.receive(database, place.CALLER, request, received_at=place.now())
                wrong = [one for one in outcomes if one.outcome != "accepted"]
                if wrong:
                    raise RuntimeError(f"{len(wrong)} sales were not accepted, first {wrong[0]}")
                taken += request_events
            runs.append(taken * LINES / spent)
    note = f"{runs[-1] / LINES:,.0f} events/s of {LINES} lines, requests of {request_events}; no limit measured yet"
    return [row("S5", "sales at the till, in process", runs, "lines/s", None, note)]

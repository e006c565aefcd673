"""S5.events: sales at the till over HTTP, a thousand events a request, beside the statements that they become."""

from collections.abc import Callable
from random import Random
from typing import Any

import asyncpg

from bench import load, pgbench, place, served
from bench.recorded import KEY, Recording, counts
from bench.rows import Row, row
from ledger import facts
from ledger import rows as writing
from ledger.engine import Database

LINES = 3
CONNECTIONS = 4
RUNS = 3
WRITTEN = ("event_inbox", "journal", "journal_line", "movement", "sale_line")


def plain(_dice: Random) -> dict[str, Any]:
    """What a line says beside its SKU and number."""
    return {"quantity": 1, "unit_price_minor": 1_500}


type Says = Callable[[Random], dict[str, Any]]


def sales(number: int, *, key: str, seed: str, says: Says = plain) -> list[dict[str, Any]]:
    """Receipts of three lines each, SKUs by chance; `key` makes their ids new."""
    dice = Random(seed)  # noqa: S311  which SKU is sold
    return [_sale(f"{key}-{seed}-{n}", dice, says) for n in range(number)]


def _sale(number: str, dice: Random, says: Says) -> dict[str, Any]:
    lines = [{"line": str(n), "sku": place.sku(dice.randrange(place.SKUS)), **says(dice)} for n in range(LINES)]
    data = {"location": place.STORE, "receipt": number, "lines": lines}
    return {"id": number, "type": "pos.sale", "occurred_at": place.now().isoformat(), "data": data}


async def script(
    database: Database, *, request_events: int, seed: str, says: Says = plain, written: tuple[str, ...] = WRITTEN
) -> str:
    """What one request sends to PostgreSQL, with other keys.

    Rows that the product writes by COPY are inserted from arrays here, since pgbench cannot send COPY.
    Raises RuntimeError when the script writes another number of rows than the product.
    """
    await _receive(database, sales(10, key="warm", seed=seed, says=says))  # master data is in memory from now on
    conn = await asyncpg.connect(database.plain_url)
    copied_from = writing.FROM_ROWS
    writing.FROM_ROWS = 10**9
    try:
        before = await counts(conn, written)
        wanted = sales(request_events, key=KEY, seed=seed, says=says)
        recording = await Recording().of_database(database, lambda: _receive(database, wanted))
        by_product = await counts(conn, written)
        made = await recording.script(conn, pgbench.NEXT_NUMBER)
        await pgbench.once(database.url, made, planner="")
        by_pgbench = await counts(conn, written)
    finally:
        writing.FROM_ROWS = copied_from
        await conn.close()
    for table, rows in by_product.items():
        if rows - before[table] != by_pgbench[table] - rows:
            raise RuntimeError(
                f"the script writes {by_pgbench[table] - rows} rows of {table}, not {rows - before[table]}"
            )
    return made


async def _receive(database: Database, events: list[dict[str, Any]]) -> None:
    """A refused or quarantined event is an error here: nothing that is sent deserves it."""
    outcomes = await facts.receive(database, place.CALLER, events, received_at=place.now())
    wrong = [one for one in outcomes if one.outcome != "accepted"]
    if wrong:
        raise RuntimeError(f"{len(wrong)} sales were not accepted, first {wrong[0]}")


async def over_http(server_url: str, *, seconds: float, request_events: int = 1_000) -> list[Row]:
    """Lines a second by `POST /events`."""
    requests = [
        load.request(
            "/api/v1/events", {"events": sales(request_events, key=f"e{load.KEY}", seed=str(n))}, key=served.KEY
        )
        for n in range(4)
    ]
    runs: list[load.Told] = []
    async with place.database(server_url, "events") as database:
        await served.add_key(database)
        async with served.application(database) as port:
            for run in range(RUNS):
                first = (run + 1) * 10**9
                runs.append(
                    await served.drive(
                        port, requests, connections=CONNECTIONS, seconds=seconds, first=first, status=200
                    )
                )
        await _all_taken(database, sum(one.sent for one in runs) * request_events)
        scripts = [await script(database, request_events=request_events, seed=f"limit{n}") for n in range(4)]
        limits = await pgbench.best(
            database.url, scripts, seconds=max(int(seconds / 2), 1), clients=(1, 2, 4), planner=""
        )
    note = (
        f"{runs[-1].per_s * request_events:,.0f} events/s, requests of {request_events} over {CONNECTIONS} connections,"
        f" p50 {runs[-1].p50_ms:,.0f} ms; pgbench, {limits.clients} clients, INSERT where the product sends COPY"
    )
    limit = limits.per_s * request_events * LINES
    lines_s = [one.per_s * request_events * LINES for one in runs]
    return [row("S5.events", "POST /events, sales of 3 lines", lines_s, "lines/s", limit, note)]


async def _all_taken(database: Database, sent: int) -> None:
    """A request of events answers 200 whatever became of them."""
    async with database.read() as conn:
        accepted = (
            await conn.exec_driver_sql("SELECT count(*) FROM event_inbox WHERE outcome = 'accepted'")
        ).scalar_one()
        lines = (await conn.exec_driver_sql("SELECT count(*) FROM sale_line")).scalar_one()
    if accepted != sent or lines != sent * LINES:
        raise RuntimeError(f"of {sent} sales {accepted} were accepted, with {lines} lines")

"""T1: a night's rebalancing of 600 stores, 20,000 lines by the batch API, beside the statements that they become."""

import statistics
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench import load, pgbench, place, served
from bench.recorded import KEY, Recording, counts
from bench.rows import Row, row
from domain.transfers import NewTransfer
from ledger import rows as writing
from ledger.engine import Database
from ledger.tables import metadata
from ledger.transfer import intake

STORES = 600
ITEMS = 500  # on the shelf of every store
LINES = 5  # of a transfer
REQUEST = 1_000  # transfers: what one request may hold, so four of them are the night's 20,000 lines
CONNECTIONS = 2
RUNS = 3
WRITTEN = (
    "audit", "hold", "idempotency", "journey", "journey_step", "movement", "outbox", "outbox_counter", "transfer",
    "transfer_line",
)  # fmt: skip

_STORES = """
    INSERT INTO location (code, name, kind, region, entity, time_zone, latitude, longitude, pickup)
        SELECT 'L' || g, 'Store ' || g, 'store', 'R1', 'E1', 'UTC', 48 + g % 50 * 0.1, 8 + g / 50 * 0.2, true
        FROM generate_series(2, CAST(:stores AS int)) g
"""
_SHELVES = """
    INSERT INTO stock (location, sku, available)
        SELECT 'L' || l, 'K' || lpad(k::text, 5, '0'), 100000000
        FROM generate_series(2, CAST(:stores AS int)) l, generate_series(0, CAST(:items AS int) - 1) k
"""


async def stock_up(database: Database, *, stores: int, items: int) -> None:
    """So many stores, each with plenty of every item."""
    async with database.engine.begin() as conn:
        await conn.execute(text(_STORES), {"stores": stores})
        await conn.execute(text(_SHELVES), {"stores": stores, "items": items})
    async with database.engine.connect() as conn:
        alone = await conn.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("VACUUM (ANALYZE) stock, location"))


def proposals(number: int, *, key: str, seed: str, stores: int = STORES, items: int = ITEMS) -> list[dict[str, Any]]:
    """Transfers of a few units of five items between two stores by chance; `key` makes their ids new."""
    dice = Random(seed)  # noqa: S311  what goes where
    return [_proposal(f"{key}-{seed}-{n}", dice, stores, items) for n in range(number)]


def _proposal(key: str, dice: Random, stores: int, items: int) -> dict[str, Any]:
    source, target = dice.sample(range(2, stores + 1), 2)
    lines = [
        {"line_id": str(number), "sku": place.sku(sku), "quantity": dice.randint(1, 8)}
        for number, sku in enumerate(dice.sample(range(items), LINES), start=1)
    ]
    return {"transfer_id": key, "from": f"L{source}", "to": f"L{target}", "reason": "rebalance", "lines": lines}


async def _take(database: Database, wanted: list[dict[str, Any]]) -> None:
    """Raises RuntimeError unless each is reserved: nothing that is sent deserves a refusal, or an approver."""
    some = [NewTransfer.model_validate(one) for one in wanted]
    results = await intake.request(database, place.CALLER, some, via="bench")
    wrong = [one for one in results if not isinstance(one, tuple) or one[1].state != "ready_to_ship"]
    if wrong:
        raise RuntimeError(f"{len(wrong)} transfers were not reserved, first {wrong[0]}")


async def script(database: Database, *, seed: str, stores: int, items: int) -> str:
    """What one transaction of the intake sends to PostgreSQL, with other keys.

    Rows that the product writes by COPY are inserted from arrays here, since pgbench cannot send COPY.
    Raises RuntimeError when the script writes another number of rows than the product.
    """
    conn = await asyncpg.connect(database.plain_url)
    copied, writing.copy = writing.copy, _from_arrays
    try:
        before = await counts(conn, WRITTEN)
        wanted = proposals(intake.AT_ONCE, key=KEY, seed=seed, stores=stores, items=items)
        recording = await Recording().of_database(database, lambda: _take(database, wanted))
        by_product = await counts(conn, WRITTEN)
        made = await recording.script(conn, pgbench.NEXT_NUMBER)
        await pgbench.once(database.url, made, planner="")
        by_pgbench = await counts(conn, WRITTEN)
    finally:
        writing.copy = copied
        await conn.close()
    for table, rows in by_product.items():
        if rows - before[table] != by_pgbench[table] - rows or rows == before[table]:
            raise RuntimeError(
                f"the script writes {by_pgbench[table] - rows} rows of {table}, not {rows - before[table]}"
            )
    return made


async def _from_arrays(
    conn: AsyncConnection, table: str, columns: Sequence[str], records: Iterable[Sequence[Any]]
) -> None:
    """The rows of a COPY by one INSERT."""
    dialect = conn.dialect
    kinds = [metadata.tables[table].c[name].type.compile(dialect=dialect) for name in columns]
    given = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in zip(columns, kinds, strict=True))
    values = zip(*records, strict=True)
    statement = f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({given})"
    await conn.execute(text(statement), dict(zip(columns, map(list, values), strict=True)))


async def rebalanced(
    server_url: str, *, seconds: float, stores: int = STORES, items: int = ITEMS, request: int = REQUEST
) -> list[Row]:
    """Lines a second by `POST /transfers:batch`."""
    requests = [
        load.request(
            "/api/v1/transfers:batch",
            {"transfers": proposals(request, key=f"t{load.KEY}", seed=str(n), stores=stores, items=items)},
            key=served.KEY,
        )
        for n in range(4)
    ]
    runs: list[load.Told] = []
    async with place.database(server_url, "transfers") as database:
        await served.add_key(database)
        await stock_up(database, stores=stores, items=items)
        async with served.application(database) as port:
            for run in range(RUNS):
                first = (run + 1) * 10**9
                told = await served.drive(
                    port, requests, connections=CONNECTIONS, seconds=seconds, first=first, status=200
                )
                runs.append(told)
        await _all_taken(database, sum(one.sent for one in runs) * request)
        scripts = [await script(database, seed=f"limit{n}", stores=stores, items=items) for n in range(4)]
        limits = await pgbench.best(
            database.url, scripts, seconds=max(int(seconds / 2), 1), clients=(1, 2, 4), planner=""
        )
    lines_s = [one.per_s * request * LINES for one in runs]
    limit = limits.per_s * intake.AT_ONCE * LINES
    night = statistics.median(20_000 / one for one in lines_s)
    note = (
        f"{stores} stores; a night's 20,000 lines take {night:.1f} s; requests of {request} transfers over"
        f" {CONNECTIONS} connections, p50 {runs[-1].p50_ms:,.0f} ms; pgbench, {limits.clients} clients, transactions of"
        f" {intake.AT_ONCE} transfers, INSERT where the product sends COPY"
    )
    return [row("T1", "POST /transfers:batch, 5 lines a transfer", lines_s, "lines/s", limit, note)]


async def _all_taken(database: Database, sent: int) -> None:
    """A batch answers 200 whatever became of its transfers: none may have been refused or left to an approver."""
    async with database.read() as conn:
        ready = (await conn.exec_driver_sql("SELECT count(*) FROM journey WHERE state = 'ready_to_ship'")).scalar_one()
        lines = (await conn.exec_driver_sql("SELECT count(*) FROM hold WHERE reserved > 0")).scalar_one()
    if ready != sent or lines != sent * LINES:
        raise RuntimeError(f"of {sent} transfers {ready} are to be sent, with {lines} lines reserved")

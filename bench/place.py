"""Where measurements run: a PostgreSQL of their own, as durable as the product's, with one store and ten thousand
items on its shelf.
"""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import text

from domain.orders import BopisOrder
from embedded.ports import free_port
from embedded.postgres import EmbeddedPostgres, create_database, drop_database
from ledger.engine import Database
from ledger.migrate import upgrade
from ledger.people import Caller

STORE = "L1"
SKUS = 10_000
PRICE_MINOR = 1_500
CALLER = Caller("bench", "bench", frozenset({"orders:write", "events:write"}), frozenset(), None, frozenset())

_MASTER_DATA = """
    INSERT INTO entity (code, name, currency, country) VALUES ('E1', 'Bench', 'EUR', 'DE');
    INSERT INTO region (code, name, entity) VALUES ('R1', 'South', 'E1');
    INSERT INTO location (code, name, kind, region, entity, time_zone, latitude, longitude, pickup)
        VALUES ('L1', 'Store', 'store', 'R1', 'E1', 'UTC', 50, 8, true);
    INSERT INTO item (sku, name, price_minor, cost_minor)
        SELECT 'K' || lpad(g::text, 5, '0'), 'Item ' || g, 1500, 600 FROM generate_series(0, 9999) g;
    INSERT INTO stock (location, sku, available) SELECT 'L1', sku, 100000000 FROM item;
    ANALYZE
"""


def sku(number: int) -> str:
    return f"K{number:05d}"


def order(key: str, *skus: str) -> BopisOrder:
    """An order of one unit of each SKU, paid by card."""
    lines = [
        {"line_id": str(number), "sku": one, "quantity": 1, "unit_price_minor": PRICE_MINOR, "tax_minor": 239}
        for number, one in enumerate(skus, start=1)
    ]
    return BopisOrder.model_validate(body(key, lines))


def body(key: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "order_id": key,
        "channel": "web",
        "pickup_location": STORE,
        "currency": "EUR",
        "prices_include_tax": True,
        "customer": {"name": "Kim Lee", "email": "kim@customer.example"},
        "lines": lines,
        "payments": [
            {
                "reference": "card-1",
                "tender": "card",
                "amount_minor": sum(line["unit_price_minor"] * line["quantity"] for line in lines),
                "state": "captured",
            }
        ],
    }


def orders(number: int, *, hot: bool, seed: str) -> list[BopisOrder]:
    """One-line orders over all SKUs, or all for the same one."""
    dice = Random(seed)  # noqa: S311  which SKU is asked for
    return [order(f"{seed}-{n}", sku(0) if hot else sku(dice.randrange(SKUS))) for n in range(number)]


def _folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="endcap-bench-"))
    made.chmod(0o755)  # the server may have to be another user
    return made


@asynccontextmanager
async def room() -> AsyncIterator[Path]:
    """A folder that other users may enter, for as long as the block runs."""
    made = await asyncio.to_thread(_folder)
    try:
        yield made
    finally:
        await asyncio.to_thread(shutil.rmtree, made, ignore_errors=True)


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    """The URL of a PostgreSQL with fsync on, in a folder that goes with it."""
    async with room() as folder:
        postgres = EmbeddedPostgres(folder, free_port(), secrets.token_urlsafe(16))
        await postgres.start()
        try:
            yield postgres.url("postgres")
        finally:
            await postgres.stop()


@asynccontextmanager
async def database(server_url: str, name: str) -> AsyncIterator[Database]:
    """A migrated database with the master data, on the ledger's own pool; dropped at the end."""
    name = f"endcap_bench_{name}_{secrets.token_hex(4)}"
    url = await create_database(server_url, name)
    await asyncio.to_thread(upgrade, url)
    made = Database(url, pool_size=16, application="endcap-bench", sealing_keys={"bench": b"0" * 32})
    try:
        async with made.engine.begin() as conn:
            for statement in _MASTER_DATA.split(";"):
                await conn.execute(text(statement))
        yield made
    finally:
        await made.dispose()
        await drop_database(server_url, name)


def now() -> datetime:
    return datetime.now(UTC)

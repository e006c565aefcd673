"""The first seconds of the demo against the real API and ledger: what is loaded, ordered, picked and sold adds up."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from demo import accounts, folder, memory
from demo.baskets import Assortment
from demo.client import Client
from demo.run import BACKLOG_ORDERS, Options, Replay
from demo.source import Sales
from ledger.load import load
from settings import Settings
from tests.conftest import Database
from web.app import create_app

SECRET = "a-secret-of-this-installation-alone"


@pytest.fixture
async def replay(
    database: Database, data_folder: Path, assortment: Assortment, sales: Sales, tmp_path: Path
) -> AsyncIterator[Replay]:
    """A replay on a loaded ledger, behind the real application; no worker runs."""
    assert (await load(database.url, data_folder)).rejects == []
    await accounts.create(database.url, SECRET)
    app = create_app(Settings(database_url=database.url, demo=True, secret=SecretStr(SECRET)))
    costs = {row["sku"]: int(row["cost_minor"]) for row in folder.read(data_folder / "items.csv")}
    options = Options("http://127.0.0.1:8400", data_folder, tmp_path / "demo.json", days=1, database_url=database.url)
    moment = dt.datetime.now(dt.UTC)

    def now() -> dt.datetime:
        return moment

    async def sleep(seconds: float) -> None:
        nonlocal moment
        moment += dt.timedelta(seconds=seconds)
        await asyncio.sleep(0)

    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url=options.base_url) as http:
            client = Client(http, accounts.keys(SECRET), sleep=sleep)
            fresh = memory.load(options.position_file, day=options.day, seed=options.seed, now=now())
            yield Replay(options, client, fresh, sales, assortment, costs, now, sleep)


async def rows(engine: AsyncEngine, query: str) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def test_the_first_seconds_leave_a_living_queue_and_books_that_agree(replay: Replay, engine: AsyncEngine) -> None:
    await replay._open()
    states = dict(await rows(engine, "SELECT state, count(*) FROM journey WHERE kind = 'bopis' GROUP BY 1"))
    assert sum(states.values()) == 3 + BACKLOG_ORDERS
    assert states["reservation_failed"] >= 6
    assert states["ready_for_pickup"] >= BACKLOG_ORDERS / 3

    refused = await rows(engine, "SELECT event_id, outcome, problem FROM event_inbox WHERE outcome <> 'accepted'")
    assert refused == []

    pinned = await rows(
        engine,
        "SELECT p.title, j.state, j.detail ->> 'failure' FROM pinned_story p JOIN journey j ON j.id = p.journey_id"
        " ORDER BY p.rank",
    )
    assert pinned == [
        ("Not on the shelf, later found", "reservation_failed", "pick_short"),
        ("The till sold a promised unit", "reservation_failed", "reservation_lost"),
        ("A refund waiting for Ana", "reservation_failed", "reservation_failure"),
    ]

    transfers = dict(await rows(engine, "SELECT state, count(*)::int FROM journey WHERE kind = 'transfer' GROUP BY 1"))
    assert transfers == {"in_transit": 5, "ready_to_ship": 5, "received": 1, "pending_approval": 1}
    brought = await rows(
        engine,
        "SELECT j.state, (SELECT string_agg(c.kind, ' ') FROM case_file c WHERE c.journey_id = j.id)"
        " FROM journey j WHERE j.kind = 'returns' ORDER BY j.key",
    )
    assert brought == [
        ("received", None),
        ("refund_pending", None),
        ("received", "return_review"),
        ("authorized", None),
        *[("refund_pending", None)] * 4,
    ]
    sent = await rows(
        engine,
        "SELECT state, credited_minor = 0, credited_minor = cost_minor FROM vendor_return ORDER BY key",
    )
    assert sent == [
        ("authorized", True, True),
        ("shipped", True, False),
        ("short_credited", False, False),
        ("credited", False, True),
    ]
    waiting = await rows(engine, "SELECT sum(vendor_return_pending)::int FROM stock")
    assert waiting == [(3,)]  # two that are gathered, and one that is not
    # Each was promised wholly, and the one that waits for Ana is above her band.
    lacking = await rows(engine, "SELECT journey_id, line_id FROM transfer_line WHERE cancelled > 0")
    assert lacking == []

    unbalanced = await rows(
        engine, "SELECT journal_id FROM journal_line GROUP BY 1 HAVING sum(debit_minor) <> sum(credit_minor)"
    )
    assert unbalanced == []
    deposits = await rows(engine, "SELECT sum(credit_minor)::int FROM journal_line WHERE account = 'customer_deposits'")
    assert deposits == await rows(
        engine, "SELECT sum(captured_minor)::int FROM payment WHERE journey_id LIKE 'bopis:%'"
    )
    moved = await rows(
        engine,
        "SELECT count(*) FROM stock s JOIN (SELECT location, sku, sum(change) AS available FROM ("
        " SELECT to_location AS location, sku, quantity AS change FROM movement WHERE to_account = 'available'"
        " UNION ALL SELECT from_location, sku, -quantity FROM movement WHERE from_account = 'available') m"
        " GROUP BY 1, 2) m USING (location, sku) WHERE s.available <> m.available",
    )
    assert moved == [(0,)]

    # A few minutes later a colleague counts what was not on the shelf, finds all of it, and hands the sheet in.
    [told] = replay.memory.found
    told.at, replay.counters.look_at = replay.now(), None  # a device's clock is not ahead of ours
    await replay._people_act()
    assert replay.memory.found == []
    counted = await rows(
        engine,
        "SELECT j.state, e.quantity = s.count_pending + s.available + s.reserved FROM journey j"  # noqa: S608 - our own
        " JOIN count_entry e ON e.journey_id = j.id JOIN stock s ON s.location = j.location AND s.sku = e.sku"
        f" WHERE s.location = '{told.location}' AND s.sku = '{told.sku}'",
    )
    assert counted == [("submitted", True)]

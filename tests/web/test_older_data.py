"""A database that older code has filled is taken over: migrated, found whole, and what was under way goes on."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx2
from alembic import command

from domain.messages import Step
from ledger import migrate, tables
from ledger.audit import audit
from ledger.bopis.steps import apply_decision
from ledger.engine import Database
from tests.conftest import Database as OwnDatabase
from tests.web.conftest import As, open_app, open_clients, settings_for
from tests.web.older import older, put_back
from tests.web.retail import rows
from tests.web.store import event

OLDEST = "0030"


async def take_over(url: str) -> None:
    await asyncio.to_thread(command.upgrade, migrate.config(url), OLDEST)
    await put_back(url, OLDEST)
    await asyncio.to_thread(migrate.upgrade, url)


async def see(web: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    answer = await web.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def go_on(as_key: As, database: Database) -> None:
    """What comes next for each thing that was under way, as systems and the worker would have it."""
    web, now = as_key("web"), datetime.now(UTC)
    await event(web, "bopis.picked", "new-1", order_id="W-2", picker="p", lines=[{"line_id": "1", "quantity": 2}])
    await event(web, "bopis.handed_over", "new-2", order_id="W-4", actor="p")
    await event(web, "transfer.received", "new-3", transfer_id="T-2", actor="p")
    await event(web, "transfer.shipped", "new-4", transfer_id="T-1", actor="p")
    received = {"line_id": "1", "quantity": 1}
    await event(web, "return.received", "new-5", return_id="RT-1", location="S2", actor="p", lines=[received])
    await apply_decision(database, Step(subject="bopis:web:W-1", occurrence="1", at=now, decision_id=1))
    for path, name in (("journeys", "bopis:web:W-2"), ("transfers", "transfer:web:T-2"), ("returns", "RT-1")):
        await see(web, f"{path}/{name}")


async def test_it_is_migrated_and_found_whole_and_what_was_under_way_goes_on(bare_database: OwnDatabase) -> None:
    await take_over(bare_database.url)
    database = Database(bare_database.url)
    before = {row["id"]: row["state"] for row in older(OLDEST)["journey"]}
    async with database.read() as conn:
        assert await audit(conn) == []
    async with open_app(settings_for(bare_database.url)) as app, open_clients(app) as as_key:
        for name, state in before.items():
            assert (await see(as_key("web"), f"journeys/{name}"))["state"] == state
        await go_on(as_key, database)
    async with database.read() as conn:
        assert await audit(conn) == []
    after = {row["id"]: row["state"] for row in await rows(database, tables.journey)}
    changed = {name: (state, after[name]) for name, state in before.items() if after[name] != state}
    assert changed == {
        "bopis:web:W-1": ("reservation_failed", "cancelled"),
        "bopis:web:W-2": ("reserved", "ready_for_pickup"),
        "bopis:web:W-4": ("ready_for_pickup", "collected"),
        "returns:web:RT-1": ("authorized", "received"),
        "transfer:web:T-1": ("ready_to_ship", "in_transit"),
        "transfer:web:T-2": ("in_transit", "closed"),
    }
    await database.dispose()

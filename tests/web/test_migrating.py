"""The newest migrations are applied while orders come in and somebody reads the tables for a long time."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import ProgrammingError

from ledger import migrate, revisions
from ledger.audit import audit
from ledger.engine import Database
from tests.conftest import Database as OwnDatabase
from tests.web.conftest import open_app, open_clients, open_retailer, settings_for
from tests.web.retail import NOW, order
from tests.web.test_api_orders import ORDERS, problem

# From here on, the oldest schema on which this code takes an order is where the test begins.
OLDEST = "0033"
TABLES = "journey, payment, case_file, hold"
MISSING = (ProgrammingError, asyncpg.UndefinedColumnError, asyncpg.UndefinedTableError)
CALLERS = 4
SOME = 2 * CALLERS
# What every later one may be: a change of the table that each order writes.
HOT = """
from alembic import op
revision, down_revision = "hot", "{head}"
def upgrade():
    op.execute("ALTER TABLE journey ADD COLUMN migrated_under_load boolean")
"""


async def open_on_an_older_schema(url: str) -> None:
    """The retailer on the oldest schema, from `OLDEST` on, on which this code takes an order by its API."""
    is_open = False
    script = ScriptDirectory.from_config(migrate.config(url))
    revisions = [one.revision for one in script.iterate_revisions("head", OLDEST)]
    for revision in (OLDEST, *reversed(revisions)):
        await asyncio.to_thread(command.upgrade, migrate.config(url), revision)
        try:
            if not is_open:
                async with open_retailer(url):
                    is_open = True
        except MISSING:
            continue  # this code writes what comes later
        async with open_app(settings_for(url)) as app, open_clients(app) as as_key:
            answer = await as_key("web").post(ORDERS, json=order("first"))
        if answer.status_code == 201:
            return
        problem(answer, 500, "internal_error")  # or reads it
    raise AssertionError("no order is taken on the newest schema")


def with_a_hot_one(url: str, folder: Path) -> Config:
    """The migrations, and after them one that wants the busiest table for itself."""
    (folder / "hot.py").write_text(HOT.format(head=revisions.head()))
    made = migrate.config(url)
    made.set_main_option("path_separator", "os")
    made.set_main_option("version_locations", os.pathsep.join([str(revisions.HERE / "versions"), str(folder)]))
    return made


class Load:
    """Orders one after the other by each of some callers, each looked at and picked; what is told to come again is sent
    again until it is taken.
    """

    def __init__(self, web: httpx2.AsyncClient) -> None:
        self.web = web
        self.taken: list[str] = []
        self.is_over = False

    async def call(self, caller: int) -> None:
        for number in count():
            if self.is_over:
                return
            key = f"L-{caller}-{number}"
            await self.send("POST", ORDERS, 201, json=order(key, location="S2", quantity=1))
            self.taken.append(key)
            await self.send("GET", f"/api/v1/journeys/bopis:web:{key}", 200)
            data = {"order_id": key, "picker": "p", "lines": [{"line_id": "1", "quantity": 1}]}
            event = {"id": key, "type": "bopis.picked", "occurred_at": NOW.isoformat(), "data": data}
            await self.send("POST", "/api/v1/events", 200, json={"events": [event]})

    async def send(self, method: str, path: str, status: int, **more: Any) -> None:
        while (answer := await self.web.request(method, path, **more)).status_code != status:
            problem(answer, 503, "busy")
            await asyncio.sleep(int(answer.headers["retry-after"]))  # as a good client does


@asynccontextmanager
async def a_report(url: str) -> AsyncIterator[None]:
    """Somebody has read the tables in a transaction that does not end."""
    reader = await asyncpg.connect(url)
    try:
        await reader.execute("BEGIN")
        for table in TABLES.split(", "):
            await reader.execute(f"SELECT count(*) FROM {table}")  # noqa: S608  names of this file
        yield
    finally:
        await reader.close()


async def test_orders_are_taken_while_the_schema_changes_under_them(
    bare_database: OwnDatabase, tmp_path: Path, eventually: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    url = bare_database.url
    await open_on_an_older_schema(url)
    database = Database(url)
    async with open_app(settings_for(url)) as app, open_clients(app) as as_key:
        load = Load(as_key("web"))

        async def more() -> None:
            """Wait until some more orders have been taken."""
            wanted = len(load.taken) + SOME
            await eventually(lambda: len(load.taken) >= wanted)

        callers = [asyncio.create_task(load.call(number)) for number in range(CALLERS)]
        await more()
        async with a_report(url):
            migrating = asyncio.create_task(asyncio.to_thread(migrate.apply, with_a_hot_one(url, tmp_path)))
            await eventually(lambda: sum("gives way" in one.getMessage() for one in caplog.records) >= 2)
            await more()
            assert not migrating.done()
        await migrating
        await more()
        load.is_over = True
        await asyncio.gather(*callers)
        again = [await load.web.post(ORDERS, json=order(key, location="S2", quantity=1)) for key in load.taken]
    assert {answer.status_code for answer in again} == {200}
    async with database.read() as conn:
        assert (await conn.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar_one() == "hot"
        rows = await conn.exec_driver_sql("SELECT key FROM journey")
        assert sorted(row.key for row in rows) == sorted([*load.taken, "first"])
        assert await audit(conn) == []
    await database.dispose()


async def test_a_table_that_stays_in_use_is_named_and_nothing_is_half_done(
    bare_database: OwnDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(migrate.upgrade, bare_database.url)
    monkeypatch.setattr(migrate, "PAUSE_S", 0.01)
    hot = with_a_hot_one(bare_database.url, tmp_path)
    hot.attributes["give_way_after"] = "10ms"
    async with a_report(bare_database.url):
        with pytest.raises(migrate.TableInUse, match=r"pg_stat_activity.*endcap migrate"):
            await asyncio.to_thread(migrate.apply, hot, patience_s=0.05)
        reader = await asyncpg.connect(bare_database.url)
        assert await reader.fetchval("SELECT version_num FROM alembic_version") == revisions.head()
        assert await reader.fetchval("SELECT count(*) FROM journey") == 0  # nobody queues behind it any more
    await asyncio.to_thread(migrate.apply, hot)
    assert await reader.fetchval("SELECT version_num FROM alembic_version") == "hot"
    await reader.close()


async def test_what_was_broken_off_is_begun_anew(bare_database: OwnDatabase) -> None:
    """A migration that leaves its transaction may end half-way: run again, it passes over what is done, and an index
    that was being built is built.
    """
    url = bare_database.url
    script = ScriptDirectory.from_config(migrate.config(url))
    again = []
    for one in reversed(list(script.walk_revisions())):
        await asyncio.to_thread(command.upgrade, migrate.config(url), one.revision)
        if "autocommit_block" in Path(one.path).read_text():
            await asyncio.to_thread(command.stamp, migrate.config(url), str(one.down_revision))
            await asyncio.to_thread(command.upgrade, migrate.config(url), one.revision)
            again.append(one.revision)
    assert {"0003", "0036", "0041"} <= set(again)

    conn = await asyncpg.connect(url)
    index = "ix_case_file_root_cause"
    await conn.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass", index)
    await conn.execute("UPDATE alembic_version SET version_num = '0040'")
    await asyncio.to_thread(command.upgrade, migrate.config(url), "0041")
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = $1::text::regclass"
    assert await conn.fetchval(valid, index)
    await conn.close()

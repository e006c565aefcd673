"""The migrations make the tables that `ledger.tables` says there are, from nothing and from the release before."""

import asyncio
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from domain.policy import Policy
from ledger import policies
from ledger.audit import audit
from ledger.engine import Database
from ledger.migrate import config, upgrade
from ledger.revisions import head
from ledger.tables import metadata
from tests.conftest import Database as OwnDatabase
from tests.shop import Shop


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found = compare_metadata(context, metadata)
    return [one for one in found if not _is_a_partition(one)]


def _is_a_partition(difference: Any) -> bool:
    """Partitions of movements, and their indexes, are no tables of their own."""
    what = difference[1] if isinstance(difference, tuple) else None
    table = getattr(what, "table", what)
    return getattr(table, "name", "").startswith("movement_")


async def test_tables_and_migrations_agree(database: OwnDatabase) -> None:
    engine = create_async_engine(database.sqlalchemy_url)
    async with engine.connect() as conn:
        assert await conn.run_sync(_differences) == []
    await engine.dispose()


async def test_a_journey_of_the_release_before_keeps_its_policy(bare_database: OwnDatabase) -> None:
    url = bare_database.url
    body = Policy().model_copy(update={"version": "old"}).model_dump_json()
    before: Any = ScriptDirectory.from_config(config(url)).get_revision("0008").down_revision
    await asyncio.to_thread(command.upgrade, config(url), before)
    conn = await asyncpg.connect(url)
    await conn.execute(
        "INSERT INTO journey (id, kind, source, key, state, location, region, entity, channel, currency,"
        " opened_at, policy) VALUES ('bopis:web:1', 'bopis', 'web', '1', 'reserved', 'S1', 'R1', 'E1', 'web',"
        " 'EUR', now(), $1::text::jsonb)",
        body,
    )
    await conn.execute(
        "INSERT INTO movement (kind, sku, quantity, from_location, from_account, to_location, to_account, entity,"
        " cause, actor, at) VALUES ('received', 'T', 1, 'S1', 'supplier', 'S1', 'available', 'E1', 'x', 'y', now())"
    )
    await asyncio.to_thread(upgrade, url)
    await asyncio.to_thread(upgrade, url)  # a second time does nothing
    assert await conn.fetchval("SELECT version_num FROM alembic_version") == head()
    await conn.close()
    ledger = Database(url)
    async with ledger.read() as read:
        row = (await read.execute(text("SELECT * FROM journey"))).mappings().one()
        assert (await policies.of_journey(read, row)).version == "old"
        assert not [found for found in await audit(read) if "polic" in found.rule]
    await ledger.dispose()


class TestPolicyCopies:
    async def test_orders_share_one(self, shop: Shop) -> None:
        await shop.order()
        await shop.order()
        assert await shop.value("SELECT count(*) FROM policy_copy") == 1
        assert await shop.value("SELECT count(*) FROM journey WHERE policy_copy IS NOT NULL AND policy IS NULL") == 2

    async def test_says_what_was_in_force(self, shop: Shop) -> None:
        journey = await shop.order()
        async with shop.database.read() as conn:
            row = (await conn.execute(text("SELECT * FROM journey WHERE id = :id"), {"id": journey})).mappings().one()
            assert await policies.of_journey(conn, row) == Policy()

    async def test_is_stored_under_the_same_name_by_both_ways(self, shop: Shop) -> None:
        await shop.order()
        async with shop.database.engine.begin() as conn:
            name = await policies.keep(conn, Policy())
        assert await shop.value("SELECT policy_copy FROM journey") == name
        assert await shop.value("SELECT count(*) FROM policy_copy") == 1

    async def test_never_changes(self, shop: Shop) -> None:
        await shop.order()
        with pytest.raises(Exception, match="append-only"):
            await shop.change("UPDATE policy_copy SET body = '{}'")

    async def test_that_is_missing_is_named_and_found_by_the_audit(self, shop: Shop) -> None:
        journey = await shop.order()
        name = await shop.value("SELECT policy_copy FROM journey")
        missing = "0" * 32
        await shop.change("UPDATE journey SET policy_copy = :missing", missing=missing)
        async with shop.database.read() as conn:
            row = (await conn.execute(text("SELECT * FROM journey"))).mappings().one()
            with pytest.raises(LookupError, match=f"{journey}.*{missing}.*restore"):
                await policies.of_journey(conn, row)
            found = [one for one in await audit(conn) if one.where == journey]
        assert [(one.rule, one.detail) for one in found] == [
            ("lines and policies belong to journeys", f"there is no policy {missing}")
        ]
        await shop.change("UPDATE journey SET policy_copy = :name", name=name)

    async def test_a_line_without_its_journey_is_found_by_the_audit(self, shop: Shop) -> None:
        journey = await shop.order()
        await shop.change("UPDATE journey_line SET journey_id = 'bopis:web:gone'")
        async with shop.database.read() as conn:
            assert any(one.detail == "there is no such journey" for one in await audit(conn))
        await shop.change("UPDATE journey_line SET journey_id = :id", id=journey)

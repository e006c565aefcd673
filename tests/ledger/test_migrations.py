"""Migrations: what they make is what `ledger.tables` says, and the code of the release before goes on beside them."""

from datetime import UTC, datetime
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.tables import metadata


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_server_default": False, "compare_type": True})
    found = compare_metadata(context, metadata)
    return [one for one in found if not _is_alembics_or_a_partition(one)]


def _is_alembics_or_a_partition(difference: Any) -> bool:
    name = getattr(difference[1], "name", "") if isinstance(difference, tuple) else ""
    table = getattr(getattr(difference[1], "table", None), "name", "") if isinstance(difference, tuple) else ""
    return any(str(one).startswith(("alembic_version", "movement_")) for one in (name, table))


async def test_the_migrated_schema_is_that_of_the_tables(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_links_can_be_written_and_read_by_their_old_name(engine: AsyncEngine) -> None:
    """A web process of the release before may still run while the new schema is there."""
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO person (id, name, email) VALUES ('ana', 'Ana', 'a@shop.example')"))
        number = await connection.scalar(
            text(
                "INSERT INTO approval (kind, subject, location, region, entity, currency, band, requester, roles,"
                " opened_at, deadline_at, expires_at)"
                " VALUES ('refund', 's', 'S1', 'R1', 'DE01', 'EUR', 'refund', 'x', '{finance}', now(), now(), now())"
                " RETURNING id"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO approval_link (token_hash, approval_id, person_id, created_at, expires_at)"
                " VALUES ('\\x01', :number, 'ana', now(), now())"
            ),
            {"number": number},
        )
        await connection.execute(text("UPDATE approval_link SET revoked_at = now() WHERE token_hash = '\\x01'"))
        revoked = await connection.scalar(text("SELECT revoked_at FROM link WHERE approval_id = :n"), {"n": number})
    assert revoked is not None
    assert revoked <= datetime.now(UTC)

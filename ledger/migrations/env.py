"""Runs migrations over asyncpg, one transaction each, behind one advisory lock."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from ledger.tables import metadata

LOCK = 0x656E6463


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def _run() -> None:
    engine = create_async_engine(context.config.attributes["url"], poolclass=pool.NullPool)
    async with engine.connect() as connection:
        # Held for the session, so that two that start at once run one after the other.
        await connection.execute(text(f"SELECT pg_advisory_lock({LOCK})"))
        await connection.commit()
        await connection.run_sync(_migrate)
        await connection.commit()
        await connection.execute(text(f"SELECT pg_advisory_unlock({LOCK})"))
        await connection.commit()
    await engine.dispose()


asyncio.run(_run())

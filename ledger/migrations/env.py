"""Runs migrations over asyncpg, one transaction each, behind one advisory lock."""

import asyncio

from alembic import context
from sqlalchemy import Connection, event, pool, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ledger.tables import metadata

LOCK = 0x656E6463
# An index that was being built beside the work when somebody ended it: `IF NOT EXISTS` would take it for built.
_BROKEN_OFF = text(
    "SELECT c.oid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relname LIKE 'ix\\_%' AND c.relnamespace = 'public'::regnamespace"
    " ORDER BY 1"
)


def _migrate(connection: Connection) -> None:
    after = context.config.attributes["give_way_after"]

    @event.listens_for(connection, "begin")
    def give_way(begun: Connection) -> None:
        # Of no effect where a migration has left its transaction: what is built there keeps nobody waiting
        begun.exec_driver_sql(f"SET LOCAL lock_timeout = '{after}'")

    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
    event.remove(connection, "begin", give_way)


async def _run() -> None:
    engine = create_async_engine(context.config.attributes["url"], poolclass=pool.NullPool)
    async with engine.connect() as connection:
        # Held for the session, so that two that start at once run one after the other.
        await connection.execute(text(f"SELECT pg_advisory_lock({LOCK})"))
        await connection.commit()
        await _drop_what_was_broken_off(engine)
        await connection.run_sync(_migrate)
        await connection.commit()
        await connection.execute(text(f"SELECT pg_advisory_unlock({LOCK})"))
        await connection.commit()
    await engine.dispose()


async def _drop_what_was_broken_off(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        for (name,) in (await alone.execute(_BROKEN_OFF)).all():
            await alone.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


asyncio.run(_run())

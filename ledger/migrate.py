"""Brings a database to the present schema: Alembic, forward only, each migration safe on a running system.

A statement that wants a table for itself makes everybody queue behind it while it waits. So it waits for
`GIVE_WAY_AFTER` only; then its migration is undone, whoever stood behind it goes on, and it is tried again after a
pause.
"""

import asyncio
import logging
import time

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from ledger.engine import asyncpg_url
from ledger.outages import sqlstate
from ledger.revisions import HERE, TAKES, head

log = logging.getLogger("endcap.migrate")

GIVE_WAY_AFTER = "1s"
PAUSE_S = 1.5
LOCK_NOT_AVAILABLE = "55P03"
PATIENCE_S = 900.0
# What asks and writes all day long, by the name under which it is connected.
PROCESSES = (
    "endcap-web", "endcap-web-listen", "endcap-intake", "endcap-worker", "endcap-relay", "endcap-relay-listen",
)  # fmt: skip


class TableInUse(RuntimeError):
    """Somebody has held a table for as long as a migration waits; the text says what to do."""


class StillRunning(RuntimeError):
    """Older processes are there that would fail on the schema to come; the text says what to do."""


def config(database_url: str) -> Config:
    """Alembic's configuration without a file: where the migrations are, and which database they concern."""
    made = Config()
    made.set_main_option("script_location", str(HERE))
    made.attributes["url"] = asyncpg_url(database_url)
    made.attributes["give_way_after"] = GIVE_WAY_AFTER
    return made


def upgrade(database_url: str, *, patience_s: float = PATIENCE_S, beside: bool = False) -> None:
    """Apply what is missing. Running it again does nothing, or goes on where it was broken off; two at once wait for
    each other. Raises `TableInUse` where one migration has given way for `patience_s`, and `StillRunning` where one
    takes something away while processes of Endcap are connected, unless it is to go on `beside` them.
    """
    if not beside:
        asyncio.run(check_alone(database_url))
    apply(config(database_url), patience_s=patience_s)


async def check_alone(database_url: str) -> None:
    """Raise `StillRunning` where a migration to come takes something away, and a process is connected that may ask for
    it."""
    dsn = asyncpg_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    conn = await asyncpg.connect(dsn)
    try:
        if await conn.fetchval("SELECT to_regclass('alembic_version')") is None:
            return
        version = await conn.fetchval("SELECT version_num FROM alembic_version") or ""
        taking = sorted(number for number in TAKES if version < number <= head())
        if not taking:
            return
        there = await conn.fetch(
            "SELECT application_name AS name, count(*) AS times FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = ANY($1::text[]) GROUP BY 1 ORDER BY 1",
            PROCESSES,
        )
    finally:
        await conn.close()
    if there:
        why = "; ".join(
            f"{number} takes away {TAKES[number].what}: they would {TAKES[number].older}" for number in taking
        )
        who = ", ".join(f"{row['name']} ({row['times']})" for row in there)
        raise StillRunning(
            f"Processes of Endcap are connected: {who}. On the schema to come older ones do not run: {why}."
            " Stop web, workers and relays, run `endcap migrate`, and start the new ones. Nothing was changed."
        )


def apply(found: Config, *, patience_s: float = PATIENCE_S) -> None:
    """`upgrade` for a configuration, which may know further migrations."""
    began = time.monotonic()
    while True:
        try:
            command.upgrade(found, "head")
        except DBAPIError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE:
                raise
            if time.monotonic() - began > patience_s:
                raise TableInUse(
                    f"A migration has given way for {patience_s:g} s: somebody holds a table that it needs. End the"
                    " oldest transaction (xact_start in pg_stat_activity) and run `endcap migrate` again; what is"
                    " applied stays."
                ) from error
            log.warning("a table is in use: the migration gives way and is tried again in %g s", PAUSE_S)
            time.sleep(PAUSE_S)  # whoever queued behind it goes on
        else:
            return

"""What an older code had recorded, on the schema of its day, to be taken over by today's.

`0030.json` was written by the code of the migration 0030: orders in each state from failed to collected, picked goods,
a sale, a hold, an open count, an adjustment, a return on its way, a transfer asked for and one under way, an approval,
a decision that waits to be carried out, a comment, messages and mails that wait, answers under idempotency keys.
"""

import json
from pathlib import Path
from typing import Any

import asyncpg

HERE = Path(__file__).parent
_LOAD = "INSERT INTO {0} ({1}) OVERRIDING SYSTEM VALUE SELECT {1} FROM json_populate_recordset(NULL::{0}, $1)"
_COUNT_ON = "SELECT setval(pg_get_serial_sequence($1, $2), (SELECT coalesce(max({1}), 0) + 1 FROM {0}), false)"
_NUMBERED = "SELECT table_name, column_name FROM information_schema.columns WHERE is_identity = 'YES'"


def older(revision: str) -> dict[str, list[dict[str, Any]]]:
    """Its rows, by table."""
    found = json.loads((HERE / f"{revision}.json").read_text(encoding="utf-8"))
    assert found["revision"] == revision
    tables: dict[str, list[dict[str, Any]]] = found["tables"]
    return tables


async def put_back(url: str, revision: str) -> None:
    """Put the rows into an empty database on the schema of that revision, as a restored backup has them.

    What waits to be sent waits since now: that it has waited since the day of the copy would be an alarm.
    """
    conn = await asyncpg.connect(url)
    try:
        await conn.execute("SET session_replication_role = replica")  # what is append-only is put back as it was
        for table, rows in older(revision).items():
            await conn.execute(f"DELETE FROM {table}")  # noqa: S608  what the migrations have put there
            columns = ", ".join(f'"{name}"' for name in rows[0])
            await conn.execute(_LOAD.format(table, columns), json.dumps(rows))
        for table, column in await conn.fetch(_NUMBERED):
            await conn.execute(_COUNT_ON.format(table, column), table, column)
        await conn.execute("UPDATE outbox SET recorded_at = now() WHERE done_at IS NULL")
        await conn.execute("UPDATE mail SET recorded_at = now(), not_before = now() WHERE state = 'queued'")
    finally:
        await conn.close()

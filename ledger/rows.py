"""Writes many rows at once, on the connection and in the transaction of its caller: by COPY where they are many.

Against an INSERT from arrays it saves the client the encoding of each array and the server the unnesting; for a handful
of rows the INSERT is as good.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from asyncpg import InterfaceError, PostgresError
from sqlalchemy import Table, insert, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

FROM_ROWS = 50  # from here on COPY is worth it


async def copy(conn: AsyncConnection, table: str, columns: Sequence[str], records: Iterable[Sequence[Any]]) -> None:
    """COPY `records`, each in the order of `columns`. Raises `DBAPIError`, as every other statement does.

    The transaction must have run a statement before: SQLAlchemy begins it with its first one.
    """
    raw: Any = (await conn.get_raw_connection()).driver_connection
    if not raw.is_in_transaction():
        raise RuntimeError("COPY outside of a transaction would commit by itself")
    try:
        await raw.copy_records_to_table(table, columns=list(columns), records=records)
    except (PostgresError, InterfaceError) as error:
        raise DBAPIError(f"COPY {table}", None, error) from error


class Columns:
    """Columns of a table with their PostgreSQL types, and how rows of them are written: a few by one INSERT from
    arrays, `FROM_ROWS` and more by COPY.
    """

    def __init__(self, table: str, types: Mapping[str, str]) -> None:
        self._table = table
        self._names = list(types)
        self._record = itemgetter(*types)
        arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in types.items())
        self._insert = text(
            f"INSERT INTO {table} ({', '.join(types)}) SELECT * FROM unnest({arrays})"  # noqa: S608  names in the code
        )

    async def write(self, conn: AsyncConnection, records: Sequence[Mapping[str, Any]]) -> None:
        """Insert the records, each of which has a value for every column."""
        if len(records) >= FROM_ROWS:
            await copy(conn, self._table, self._names, map(self._record, records))
        elif records:
            await conn.execute(self._insert, {name: [record[name] for record in records] for name in self._names})


async def write(conn: AsyncConnection, table: Table, records: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that have the same columns; many of them by COPY."""
    if not records:
        return
    if len(records) < FROM_ROWS:
        await conn.execute(insert(table), records)
        return
    columns = list(records[0])
    documents = {name for name in columns if isinstance(table.c[name].type, JSONB)}
    await copy(
        conn,
        table.name,
        columns,
        ([json.dumps(one[name]) if name in documents else one[name] for name in columns] for one in records),
    )

"""Writes many rows at once by COPY, on the connection and in the transaction of its caller.

Against an INSERT from arrays it saves the client the encoding of each array and the server the unnesting; for a handful
of rows the INSERT is as good.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from asyncpg import InterfaceError, PostgresError
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

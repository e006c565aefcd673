"""Queries that pages ask again and again: built and compiled once, then given straight to the driver.

To build a statement of SQLAlchemy, look it up among those that it has compiled, and wrap what comes back costs five to
ten times what the driver needs for the same rows. A query that is prepared is the same Core expression with its values
named (`bindparam`); lists come as arrays (`any_`), so that its words never change.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import asyncpg
from sqlalchemy import Select, func, select, text
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement

type Record = asyncpg.Record
type Row = Record | dict[str, Any]  # of `Prepared`, or of `Several`
type Hearer = Callable[[str, Sequence[Any]], None]

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
_DIALECT = dialect.dialect()  # type: ignore[no-untyped-call]
_BEGIN = text("SELECT 1")
ALONE = "alone"  # in a connection's `info`: see `Database.alone`
KNOWN = "known"  # in a connection's `info`, while it reads: what was asked once


class Prepared:
    """One query; `rows`, `row` and `value` send it with its values by name.

    A value that is not given is the one it was built with; those it does not know are left out. Raises `DBAPIError` as
    every other statement does, KeyError for a value that is missing, ValueError for a query whose words change.

    With `once`, a read (`Database.read`) that asks for the same again gets the rows that it has: it sees one state of
    the database throughout, so they cannot be others. For small things that several parts of a page want to know.
    """

    def __init__(self, query: ClauseElement, *, once: bool = False) -> None:
        self._once = once
        compiled: Any = query.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        if "POSTCOMPILE" in self.sql:
            raise ValueError("`in_` is written anew for each list: compare with `any_` of an array instead")
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        binds = {compiled.bind_names[bind]: bind for bind in compiled.bind_names}
        self._given = {name: binds[name].value for name in self._names if not binds[name].required}

    async def rows(self, conn: AsyncConnection, values: Mapping[str, Any] = {}, /, **more: Any) -> list[Record]:
        """Every row, in the transaction of `conn`."""
        given = {**self._given, **values, **more}
        args = [given[name] for name in self._names]
        known: dict[Any, list[Record]] | None = conn.info.get(KNOWN) if self._once else None
        if known is None:
            return await self._fetched(conn, args)
        key = (self.sql, *(tuple(one) if isinstance(one, list) else one for one in args))
        if key not in known:
            known[key] = await self._fetched(conn, args)
        return list(known[key])

    async def _fetched(self, conn: AsyncConnection, args: Sequence[Any]) -> list[Record]:
        driver = await driver_of(conn)
        for heard in conn.info["hearers"]:
            heard(self.sql, args)
        try:
            found: list[Record] = await driver.fetch(self.sql, *args)
        except FAILURES as error:
            raise failed(driver, self.sql, error) from error
        return found

    async def row(self, conn: AsyncConnection, values: Mapping[str, Any] = {}, /, **more: Any) -> Record | None:
        """The first row, if there is one."""
        found = await self.rows(conn, values, **more)
        return found[0] if found else None

    async def value(self, conn: AsyncConnection, values: Mapping[str, Any] = {}, /, **more: Any) -> Any:
        """The first value of the first row; None where there is no row."""
        found = await self.row(conn, values, **more)
        return None if found is None else found[0]


class Several:
    """Several lists by one statement: queries by name, their values by name as those of `Prepared`.

    Each costs PostgreSQL what it costs alone, and the round trip is made once. Rows come as dicts.
    """

    def __init__(self, queries: Mapping[str, Select[Any]], *, once: bool = False) -> None:
        self._columns = {name: tuple(query.selected_columns.keys()) for name, query in queries.items()}
        listed = []
        for name, query in queries.items():
            rows = query.subquery(f"{name}_rows")
            listed.append(func.array(select(rows.table_valued()).scalar_subquery()).label(name))
        self._query = Prepared(select(*listed), once=once)

    async def lists(
        self, conn: AsyncConnection, values: Mapping[str, Any] = {}, /, **more: Any
    ) -> dict[str, list[dict[str, Any]]]:
        """Every list by its name, in the transaction of `conn`; each in the order of its query."""
        row = await self._query.row(conn, values, **more)
        assert row is not None  # it asks for lists
        return {
            name: [dict(zip(columns, one, strict=True)) for one in row[name]] for name, columns in self._columns.items()
        }


async def driver_of(conn: AsyncConnection) -> Any:
    """The driver's own connection, in the transaction of `conn`: SQLAlchemy begins it with its first statement."""
    driver = conn.info["driver"]
    if not driver.is_in_transaction() and ALONE not in conn.info:
        await conn.execute(_BEGIN)
    return driver


def failed(driver: Any, statement: str, error: Exception) -> DBAPIError:
    """What the driver said as SQLAlchemy says it; a connection that is closed is no fault of the statement."""
    state = getattr(error, "sqlstate", None) or ""
    if isinstance(error, asyncpg.InternalClientError):
        driver.terminate()  # the server spoke without being asked, which it does when it ends a connection
    is_away = driver.is_closed() or isinstance(error, OSError) or state.startswith(("08", "57P"))
    kind = InterfaceError if is_away else DBAPIError
    return kind(statement, None, error, hide_parameters=True)

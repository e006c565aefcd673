"""Queries that pages ask again and again: built and compiled once, then given straight to the driver.

To build a statement of SQLAlchemy, look it up among those that it has compiled, and wrap what comes back costs five to
ten times what the driver needs for the same rows. A query that is prepared is the same Core expression with its values
named (`bindparam`); lists come as arrays (`any_`), so that its words never change.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, override

import asyncpg
from sqlalchemy import ARRAY, Select, func, select, text
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement

from ledger.outages import FAILURES

type Record = asyncpg.Record
type Row = Record | dict[str, Any]  # of `Prepared`, or of `Several`
type Hearer = Callable[[str, Sequence[Any]], None]

_DIALECT = dialect.dialect()  # type: ignore[no-untyped-call]
_BEGIN = text("SELECT 1")
ALONE = "alone"  # in a connection's `info`: see `Database.alone`
KNOWN = "known"  # in a connection's `info`, while it reads: what was asked once, as `Known`
# What is asked with others comes as rows within a row. In these the driver reads an array only where it has met its
# kind before on the same connection.
_NOT_READ = "an array within a row is not read, so ask for a row for each"
_VALUE = re.compile(r"\$(\d+)")


class Prepared:
    """One query; `rows`, `row` and `value` send it with its values by name.

    A value that is not given is the one it was built with; those it does not know are left out. Raises `DBAPIError` as
    every other statement does, KeyError for a value that is missing, ValueError for a query whose words change.

    With `once`, a read (`Database.read`) that asks for the same again gets the rows that it has: it sees one state of
    the database throughout, so they cannot be others. For small things that several parts of a page want to know.
    """

    def __init__(self, query: ClauseElement, *, once: bool = False) -> None:
        self.once = once
        compiled: Any = query.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        if "POSTCOMPILE" in self.sql:
            raise ValueError("`in_` is written anew for each list: compare with `any_` of an array instead")
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        binds = {compiled.bind_names[bind]: bind for bind in compiled.bind_names}
        self._given = {name: binds[name].value for name in self._names if not binds[name].required}
        self._in_order = _in_order(self._names)
        self._has_lists = any(isinstance(binds[name].type, ARRAY) for name in self._names)
        columns = getattr(query, "selected_columns", ())
        self.arrays = _arrays(columns)
        self.places = {column.key: at for at, column in enumerate(columns)}  # none for the words of a `text` alone

    def of(self, values: Mapping[str, Any] = {}, /, **more: Any) -> "Ask":
        """The query with its values."""
        args = self._in_order({**self._given, **values, **more})
        return Ask(self, tuple(map(_as_key, args)) if self._has_lists else args)

    def numbered_from(self, before: int) -> tuple[str, int]:
        """Its words where so many values stand before its own, and how many these are."""
        words = _VALUE.sub(lambda value: f"${int(value[1]) + before}", self.sql)
        return words, len(self._names)

    async def rows(self, conn: AsyncConnection, values: Mapping[str, Any] = {}, /, **more: Any) -> list[Record]:
        """Every row, in the transaction of `conn`."""
        return await self.of(values, **more).rows(conn)

    async def row(self, conn: AsyncConnection, values: Mapping[str, Any] = {}, /, **more: Any) -> Record | None:
        """The first row, if there is one."""
        return await self.of(values, **more).row(conn)

    async def value(self, conn: AsyncConnection, values: Mapping[str, Any] = {}, /, **more: Any) -> Any:
        """The first value of the first row; None where there is no row."""
        found = await self.row(conn, values, **more)
        return None if found is None else found[0]


def _in_order(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Takes the values of those names out of a mapping."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda given: tuple(given[name] for name in names)  # an itemgetter of one gives the value itself


def _arrays(columns: Iterable[Any]) -> tuple[str, ...]:
    return tuple(column.key for column in columns if isinstance(column.type, ARRAY))


def _as_key(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Ask(NamedTuple):
    """A prepared query with its values, in their order. By these it is told from every other question of a read."""

    query: Prepared
    args: tuple[Any, ...]

    async def rows(self, conn: AsyncConnection) -> list[Record]:
        """Every row, in the transaction of `conn`."""
        known: Known | None = conn.info.get(KNOWN) if self.query.once else None
        if known is None:
            return await _fetch(conn, self.query.sql, self.args)
        if self not in known:
            known[self] = await _fetch(conn, self.query.sql, self.args)
        return list(known[self])

    async def row(self, conn: AsyncConnection) -> Record | None:
        """The first row, if there is one."""
        found = await self.rows(conn)
        return found[0] if found else None


class Several:
    """Several lists by one statement: queries by name, their values by name as those of `Prepared`.

    Each costs PostgreSQL what it costs alone, and the round trip is made once. Rows come as dicts, or as tuples.
    """

    def __init__(self, queries: Mapping[str, Select[Any]], *, once: bool = False) -> None:
        self._columns = {name: tuple(query.selected_columns.keys()) for name, query in queries.items()}
        listed = []
        for name, query in queries.items():
            if arrays := _arrays(query.selected_columns):
                raise ValueError(f"{_NOT_READ}: {', '.join(arrays)}")
            rows = query.subquery(f"{name}_rows")
            listed.append(func.array(select(rows.table_valued()).scalar_subquery()).label(name))
        self._query = Prepared(select(*listed), once=once)

    def of(self, values: Mapping[str, Any] = {}, /, **more: Any) -> Ask:
        """All of them with their values, to be asked `ahead` with others."""
        return self._query.of(values, **more)

    async def lists(
        self, conn: AsyncConnection, values: Mapping[str, Any] = {}, /, **more: Any
    ) -> dict[str, list[dict[str, Any]]]:
        """Every list by its name, in the transaction of `conn`; each in the order of its query."""
        found = await self.tuples(conn, values, **more)
        return {
            name: [dict(zip(columns, one, strict=True)) for one in found[name]]
            for name, columns in self._columns.items()
        }

    async def tuples(
        self, conn: AsyncConnection, values: Mapping[str, Any] = {}, /, **more: Any
    ) -> Mapping[str, list[tuple[Any, ...]]]:
        """The same as the driver has them: the values of a row in the order of its query's columns."""
        row = await self._query.row(conn, values, **more)
        assert row is not None  # it asks for lists
        return as_dict(row)


class AskedAhead(tuple[Any, ...]):
    """A row that came together with those of other queries; its values by name and by place, as the driver's have them.

    Each query has a kind of its own, which knows the `places` of its columns.
    """

    __slots__ = ()
    places: Mapping[str, int] = {}

    @override
    def __getitem__(self, wanted: Any) -> Any:
        return super().__getitem__(self.places[wanted] if isinstance(wanted, str) else wanted)

    def keys(self) -> Iterable[str]:
        return self.places.keys()

    def as_dict(self) -> dict[str, Any]:
        return dict(zip(self.places, self, strict=True))


def as_dict(row: Record | AskedAhead) -> dict[str, Any]:
    """A row by the names of its columns, to be changed."""
    return row.as_dict() if isinstance(row, AskedAhead) else dict(row)


class Known(dict[Ask, list[Any]]):
    """The rows that a read has of what it asked once, by the question; `along` waits to be asked."""

    def __init__(self) -> None:
        super().__init__()
        self.along: list[Ask] = []


def along(conn: AsyncConnection, *asks: Ask) -> None:
    """Have these asked together with what a read asks `ahead` next, whoever does: it will want them later, and the way
    to the server is made once. `ahead` without a question asks for those that nobody has taken along.
    """
    known: Known | None = conn.info.get(KNOWN)
    if known is not None:
        known.along += asks


async def ahead(conn: AsyncConnection, *asks: Ask) -> None:
    """Ask by one statement what a read is about to ask one after the other. Each of them finds its rows there when it
    is asked for; so it is only known here which they are, and everything else where it always is.

    Nothing depends on it but time: what is asked with other values than here is asked as ever. A transaction that
    writes asks for itself every time.
    """
    known: Known | None = conn.info.get(KNOWN)
    if known is None:
        return
    asks, known.along = (*asks, *known.along), []
    for ask in asks:
        if not (ask.query.once and ask.query.places):
            raise ValueError(f"it is not asked `once`, or its columns have no names: {ask.query.sql}")
        if ask.query.arrays:
            raise ValueError(f"{_NOT_READ}: {', '.join(ask.query.arrays)}")
    new = {ask: None for ask in asks if ask not in known}  # each once, in their order
    if not new:
        return
    sql, kinds = _as_one(tuple(ask.query for ask in new))
    (found,) = await _fetch(conn, sql, [arg for ask in new for arg in ask.args])
    for ask, kind, rows in zip(new, kinds, found, strict=True):
        known[ask] = [kind(row) for row in rows]


@lru_cache(maxsize=256)
def _as_one(queries: tuple[Prepared, ...]) -> tuple[str, list[type[AskedAhead]]]:
    """One statement whose columns are the rows of each query; and the kind of each one's rows."""
    lists: list[str] = []
    before = 0
    for at, query in enumerate(queries):
        words, own = query.numbered_from(before)
        lists.append(f"ARRAY(SELECT asked_{at} FROM ({words}) AS asked_{at})")  # noqa: S608  prepared words alone
        before += own
    kinds = [type("AskedAhead", (AskedAhead,), {"__slots__": (), "places": query.places}) for query in queries]
    return f"SELECT {', '.join(lists)}", kinds


async def _fetch(conn: AsyncConnection, sql: str, args: Sequence[Any]) -> list[Record]:
    driver = await driver_of(conn)
    for heard in conn.info["hearers"]:
        heard(sql, args)
    try:
        found: list[Record] = await driver.fetch(sql, *args)
    except FAILURES as error:
        raise failed(driver, sql, error) from error
    return found


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
        driver.terminate()
    is_away = driver.is_closed() or isinstance(error, OSError) or state.startswith(("08", "57P"))
    kind = InterfaceError if is_away else DBAPIError
    return kind(statement, None, error, hide_parameters=True)

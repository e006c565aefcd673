"""Rows as they were read: knows what has changed in them since, and writes that."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Table, and_, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

type Row = dict[str, Any]

_BY_THE_DATABASE = "recorded_at"


class Changes:
    """Of rows of several tables, which are plain dicts under their columns' names."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, ...], Row] = {}

    def remember(self, table: Table, rows: Iterable[Row]) -> None:
        """These rows are in the database as they are now."""
        for row in rows:
            # A JSON document is a mapping that its owner changes in place.
            self._before[_key(table, row)] = {
                name: dict(value) if isinstance(value, dict) else value for name, value in row.items()
            }

    async def write(self, conn: AsyncConnection, table: Table, rows: Iterable[Row]) -> None:
        """Insert the rows that are not remembered, update those that have changed.

        A number that the database gives is put into its row. A row that is not among `rows` any more stays.
        """
        for row in rows:
            if any(row.get(column.name) is None for column in table.primary_key):
                made = await conn.execute(insert(table).values(**row).returning(*table.primary_key))
                row |= dict(made.mappings().one())
            elif (before := self._before.get(_key(table, row))) is None:
                await conn.execute(insert(table).values(**row))
            elif row != before:
                this = and_(*(column == row[column.name] for column in table.primary_key))
                await conn.execute(update(table).where(this).values(**_writable(table, row)))
            else:
                continue
            self.remember(table, (row,))


def _key(table: Table, row: Mapping[str, Any]) -> tuple[str, ...]:
    return (table.name, *(str(row[column.name]) for column in table.primary_key))


def _writable(table: Table, row: Row) -> Row:
    """Every column but the key: one statement for each table, however little of a row has changed."""
    kept = {_BY_THE_DATABASE, *(column.name for column in table.primary_key)}
    return {name: value for name, value in row.items() if name not in kept}

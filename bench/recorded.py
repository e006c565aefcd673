"""The product's own statements as a pgbench script: recorded while it takes orders, with their arguments, and then
sent by pgbench with other keys.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from ledger.engine import Database

KEY, SKU, UID = "ZKEYZ", "ZSKUZ", "ZUIDZ"
_CUSTOMER = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?=[0-9a-f]{24}(?![0-9a-f]))")
_PARAMETER = re.compile(r"\$(\d+)")
_SETTING = re.compile(r"^\s*(BEGIN|COMMIT|SET|NOTIFY)\b")
_READS = re.compile(r"^\s*(BEGIN|COMMIT|SELECT|WITH)\b")
_COLON = "\\x3a"  # pgbench takes every colon before a word for a variable, in strings too


class Recording:
    """What one connection sends while `work` runs on it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[Any, ...]]] = []

    async def of(self, conn: asyncpg.Connection, work: Callable[[], Awaitable[object]]) -> "Recording":
        def heard(query: asyncpg.connection.LoggedQuery) -> None:
            self.sent.append((query.query, tuple(query.args or ())))

        with conn.query_logger(heard):
            await work()
            await asyncio.sleep(0)  # asyncpg tells its listeners a turn later
        return self

    async def of_database(self, database: Database, work: Callable[[], Awaitable[object]]) -> "Recording":
        """The same for work on a database's own connections, within one transaction; COPY is not heard."""
        self.sent.append(("BEGIN", ()))
        with database.heard(lambda statement, values: self.sent.append((statement, tuple(values)))):
            await work()
        self.sent.append(("COMMIT", ()))
        return self

    async def script(self, conn: asyncpg.Connection, variables: str, *, sku: str | None = None) -> str:
        """A pgbench script; `variables` are its first lines and must set `n`, the number that makes a key new.

        `sku` is the SQL expression that takes the place of the recorded SKU.
        """
        lines = [variables]
        journals: list[int] = []
        for query, args in self.sent:
            if _SETTING.match(query):
                lines.append(query.strip().rstrip(";") + ";")
                continue
            types = (await conn.prepare(query)).get_parameters()
            values = [await self._text(conn, kind.name, arg) for kind, arg in zip(types, args, strict=True)]
            named = [
                f"({self._expression(value, sku)})::{kind.name}" if value is not None else f"NULL::{kind.name}"
                for kind, value in zip(types, values, strict=True)
            ]
            if query.startswith("INSERT INTO journal_line") and journals:
                named[0] = _entries(journals, args[0])
            parts = _PARAMETER.split(query)  # text, number, text, number, …
            parts[1::2] = [named[int(number) - 1] for number in parts[1::2]]
            statement = "".join(parts).strip().rstrip(";")
            if query.startswith("INSERT INTO journal ("):
                journals = self.journals
                statement = f"WITH made AS ({statement}) SELECT array_agg(id ORDER BY id)::text AS ids FROM made \\gset"
            lines.append(statement if statement.endswith("gset") else statement + ";")
        return "\n".join(lines) + "\n"

    def reading(self) -> "Recording":
        """The same without what writes: that a session is in use is noted now and then, and is part of no page."""
        made = Recording()
        made.sent = [(query, args) for query, args in self.sent if _READS.match(query)]
        return made

    @property
    def statements(self) -> list[tuple[str, tuple[Any, ...]]]:
        """What was sent with its values, without what only begins, ends or sets."""
        return [(query, args) for query, args in self.sent if not _SETTING.match(query)]

    @property
    def journals(self) -> list[int]:
        """Ids of the journal entries whose lines were written by a statement of their own, in their order."""
        return sorted(
            {number for query, args in self.sent if query.startswith("INSERT INTO journal_line") for number in args[0]}
        )

    @staticmethod
    async def _text(conn: asyncpg.Connection, kind: str, arg: Any) -> str | None:
        found: str | None = await conn.fetchval(f"SELECT ($1::{kind})::text", arg)
        return found

    @staticmethod
    def _expression(value: str, sku: str | None) -> str:
        value = _CUSTOMER.sub(UID, value)
        quoted = value.replace("\\", "\\\\").replace("'", "''").replace(":", _COLON)
        expression = f"E'{quoted}'::text"
        if KEY in value:
            expression = f"replace({expression}, '{KEY}', :n::text)"
        if UID in value:
            expression = f"replace({expression}, '{UID}', lpad(to_hex(:n::bigint), 8, '0'))"
        if sku is not None and SKU in value:
            expression = f"replace({expression}, '{SKU}', {sku})"
        return expression


def _entries(journals: list[int], recorded: list[int]) -> str:
    """SQL for the ids of entries that the script has just written (`:ids`), where others were recorded."""
    place = {number: at for at, number in enumerate(journals, start=1)}
    places = ",".join(str(place[number]) for number in recorded)
    return (
        f"(SELECT array_agg(i.id ORDER BY w.no) FROM unnest('{{{places}}}'::int[]) WITH ORDINALITY AS w(at, no)"
        " JOIN unnest(:ids::bigint[]) WITH ORDINALITY AS i(id, at) ON i.at = w.at)"
    )


async def counts(conn: asyncpg.Connection, tables: Sequence[str]) -> dict[str, int]:
    """Rows of each table, to see that a script writes what the product writes."""
    return {table: await conn.fetchval(f"SELECT count(*) FROM {table}") for table in tables}

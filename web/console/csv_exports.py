"""Lists as CSV files for a spreadsheet: read page after page while they are sent, cut off with a word where they have
no end, and only so many at once. Each may be fifty thousand rows, and whoever asked a thousand times would have a
thousand of them read.
"""

import csv
import io
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.types import Receive, Scope, Send

from domain.cells import defused
from domain.errors import Busy
from domain.people import Person
from ledger.engine import Database
from ledger.reads.paging import Page
from web.downloads import saved_as
from web.sessions import database_of

MOST_OF_ONE = 2
MOST_AT_ONCE = 6
MOST_ROWS = 50_000
CHUNK_ROWS = 500

type ReadPage[T] = Callable[[AsyncConnection, str | None, int], Awaitable[Page[T]]]
type ValueOf[T] = Callable[[T, str], object]


class Exports:
    """How many files a process is sending, and to whom."""

    def __init__(self) -> None:
        self.sending: Counter[str] = Counter()

    def check(self, person_id: str) -> None:
        """Raises `Busy` where one more would be too many."""
        if self.sending[person_id] >= MOST_OF_ONE:
            raise Busy(f"{MOST_OF_ONE} tables are on their way to you already. Ask again when one of them is there.")
        if self.sending.total() >= MOST_AT_ONCE:
            raise Busy("Many tables are on their way to others just now. Ask again in a moment.")


class Export(StreamingResponse):
    """A file on its way, counted until it has been sent or nobody takes it any more."""

    def __init__(self, exports: Exports, person_id: str, name: str, chunks: AsyncIterator[str]) -> None:
        headers = {**saved_as(f"{name}-{datetime.now(UTC):%Y%m%d-%H%M}Z.csv"), "Cache-Control": "no-store"}
        super().__init__(chunks, media_type="text/csv; charset=utf-8", headers=headers)
        self._exports = exports
        self._person_id = person_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = self._exports.sending
        sending[self._person_id] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            sending[self._person_id] -= 1
            if not sending[self._person_id]:
                del sending[self._person_id]


def _cell(value: object) -> str:
    """A value as a spreadsheet may hold it: instants in UTC, and nothing that it would take for a formula."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return str(value) if isinstance(value, int) else defused(str(value))


async def _lines[T: BaseModel](
    database: Database, columns: Sequence[str], read: ReadPage[T], value_of: ValueOf[T]
) -> AsyncIterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    cursor, written = None, 0
    while True:
        async with database.read() as conn:
            found = await read(conn, cursor, CHUNK_ROWS)
        writer.writerows([_cell(value_of(row, name)) for name in columns] for row in found.items)
        written, cursor = written + len(found.items), found.next
        if cursor is not None and written >= MOST_ROWS:
            writer.writerow([f"Cut off after {MOST_ROWS} rows: narrow the filters for the rest."])
            cursor = None
        yield text.getvalue()
        text.seek(0)
        text.truncate()
        if cursor is None:
            return


def _field(row: BaseModel, name: str) -> object:
    return getattr(row, name)


def csv_export[T: BaseModel](
    request: Request,
    person: Person,
    name: str,
    columns: Sequence[str],
    read: ReadPage[T],
    value_of: ValueOf[T] = _field,
) -> Export:
    """The list that `read` gives page by page, as the file `name`; `columns` are fields of its rows, unless `value_of`
    says what a row has under a column. Raises `Busy`.
    """
    state = request.app.state
    if not hasattr(state, "csv_exports"):
        state.csv_exports = Exports()
    exports: Exports = state.csv_exports
    exports.check(person.id)
    return Export(exports, person.id, name, _lines(database_of(request), columns, read, value_of))

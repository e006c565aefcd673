"""A list as a table for a spreadsheet: sent page after page as it is read, cut off with a word where it has no end."""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from fastapi import Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.engine import Database
from ledger.reads.paging import Page
from web.console.sheets import Sheet, sheet
from web.console.views import CHUNK_ROWS, MOST_ROWS, cell
from web.sessions import database_of

type ReadPage[T] = Callable[[AsyncConnection, str | None, int], Awaitable[Page[T]]]


async def _lines[T: BaseModel](database: Database, columns: Sequence[str], read: ReadPage[T]) -> AsyncIterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    cursor, written = None, 0
    while True:
        async with database.read() as conn:
            found = await read(conn, cursor, CHUNK_ROWS)
        writer.writerows([cell(getattr(row, name)) for name in columns] for row in found.items)
        written, cursor = written + len(found.items), found.next
        if cursor is not None and written >= MOST_ROWS:
            writer.writerow([f"Cut off after {MOST_ROWS} rows: narrow the filters for the rest."])
            cursor = None
        yield text.getvalue()
        text.seek(0)
        text.truncate()
        if cursor is None:
            return


def spreadsheet[T: BaseModel](
    request: Request, person: Person, name: str, columns: Sequence[str], read: ReadPage[T]
) -> Sheet:
    """The list that `read` gives page by page, as CSV; `columns` are fields of its rows. Raises `Busy`."""
    return sheet(request, person, name, _lines(database_of(request), columns, read))

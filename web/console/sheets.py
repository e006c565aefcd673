"""Tables as files: sent while they are read, and only so many at once. Each reads page after page of what may be fifty
thousand rows, and whoever asked a thousand times would have them all.
"""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from domain.errors import Busy
from domain.people import Person
from web.downloads import saved_as

MOST_OF_ONE = 2
MOST_AT_ONCE = 6


class Sheets:
    """How many tables a process is sending, and to whom."""

    def __init__(self) -> None:
        self.sending: Counter[str] = Counter()

    def check(self, person_id: str) -> None:
        """Raises `Busy` where one more would be too many."""
        if self.sending[person_id] >= MOST_OF_ONE:
            raise Busy(f"{MOST_OF_ONE} tables are on their way to you already. Ask again when one of them is there.")
        if self.sending.total() >= MOST_AT_ONCE:
            raise Busy("Many tables are on their way to others just now. Ask again in a moment.")


class Sheet(StreamingResponse):
    """A table on its way, counted until it has been sent or nobody takes it any more."""

    def __init__(self, sheets: Sheets, person_id: str, name: str, chunks: AsyncIterator[str]) -> None:
        headers = {**saved_as(f"{name}-{datetime.now(UTC):%Y%m%d-%H%M}Z.csv"), "Cache-Control": "no-store"}
        super().__init__(chunks, media_type="text/csv; charset=utf-8", headers=headers)
        self._sheets = sheets
        self._person_id = person_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = self._sheets.sending
        sending[self._person_id] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            sending[self._person_id] -= 1
            if not sending[self._person_id]:
                del sending[self._person_id]


def sheet(request: Request, person: Person, name: str, chunks: AsyncIterator[str]) -> Sheet:
    """The table `name`, whose text comes in chunks. Raises `Busy`."""
    state = request.app.state
    if not hasattr(state, "sheets"):
        state.sheets = Sheets()
    sheets: Sheets = state.sheets
    sheets.check(person.id)
    return Sheet(sheets, person.id, name, chunks)

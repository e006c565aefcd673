"""What people make of the queue: views they keep under a name, and its rows as a table for a spreadsheet."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from domain.cells import defused
from domain.errors import Malformed
from domain.people import Person
from ledger.engine import Database
from ledger.reads.case_filter import CaseFilter
from ledger.reads.case_lists import list_cases
from ledger.reads.case_shapes import CaseSummary
from ledger.reads.places import zone_of
from ledger.views import delete_view, save_view
from web.console.queue_address import filter_of, read_address
from web.console.sheets import sheet
from web.pages import ConsoleRoute
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
MOST_ROWS = 50_000
CHUNK_ROWS = 500
# A spreadsheet takes a cell that begins so for a formula.
COLUMNS = (
    *("id", "kind", "state", "severity", "subject", "journey_id", "sku", "location", "region", "entity", "channel"),
    *("owner", "claimed_by", "value_at_risk_minor", "currency", "promised_at", "opened_at", "next_due_at", "closed_at"),
    *("resolution", "repeat_count", "priority"),
)


def cell(value: object) -> str:
    """A value as a spreadsheet may hold it: instants in UTC, and nothing that it would take for a formula."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return str(value) if isinstance(value, int) else defused(str(value))


def row_of(case: CaseSummary) -> list[str]:
    """The cells of a case, in the order of `COLUMNS`; of the priority its score."""
    return [cell(case.priority.score if name == "priority" else getattr(case, name)) for name in COLUMNS]


async def lines(database: Database, person: Person, filters: CaseFilter) -> AsyncIterator[str]:
    """The table in chunks, page after page of the list that the queue shows."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    cursor, written = None, 0
    while True:
        async with database.read() as conn:
            found = await list_cases(conn, person, filters, cursor=cursor, limit=CHUNK_ROWS)
        writer.writerows(row_of(case) for case in found.items)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
        written += len(found.items)
        cursor = found.next
        if cursor is None:
            return
        if written >= MOST_ROWS:
            writer.writerow([f"Cut off after {MOST_ROWS} rows: narrow the filters for the rest."])
            yield text.getvalue()
            return


@router.get("/console/queue.csv")
async def as_table(request: Request, person: SignedIn) -> Response:
    """The queue's query as CSV. What the address says in vain is refused here: nobody would see it in a file."""
    wanted = read_address(request.query_params)
    if wanted.not_understood:
        raise Malformed(f"Not understood: {', '.join(wanted.not_understood)}. Correct the address or leave it out.")
    now = datetime.now(UTC)
    database = database_of(request)
    async with database.read() as conn:
        filters = await filter_of(conn, wanted, person, now, await zone_of(conn, person))
    return sheet(request, person, "cases", lines(database, person, filters))


def understood(query: str) -> str:
    """A query of the queue without the page it was on. Raises `Malformed` for one that the queue does not know."""
    pairs = [(name, value) for name, value in parse_qsl(query) if name not in ("cursor", "shown")]
    wanted = read_address(dict(pairs))
    if wanted.not_understood:
        raise Malformed(f"Not understood: {', '.join(wanted.not_understood)}. Choose the filters on the page of cases.")
    return urlencode({"tab": wanted.tab, **wanted.given})


@router.post("/console/views")
async def save(
    request: Request,
    person: SignedIn,
    name: Annotated[str, Form(max_length=500)] = "",
    query: Annotated[str, Form(max_length=4000)] = "",
    shared: Annotated[str, Form()] = "",
) -> Response:
    """Keep the filters under a name, then show the queue with them."""
    kept = understood(query)
    await save_view(database_of(request), person, name=name, query=kept, shared=bool(shared))
    return RedirectResponse(f"/console/queue?{kept}", status_code=303)


@router.post("/console/views/{view_id}/delete")
async def forget(
    request: Request, person: SignedIn, view_id: int, back: Annotated[str, Form(max_length=4000)] = ""
) -> Response:
    """Forget a view of one's own, then show the queue as it was."""
    await delete_view(database_of(request), person, view_id)
    return RedirectResponse(f"/console/queue?{understood(back)}", status_code=303)

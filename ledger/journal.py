"""Journal entries written set-based, all lines of an entry by one statement, so that the database can check that they
balance.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.postings import RULE_VERSION, Line
from ledger import rows


class Entry(NamedTuple):
    """A balanced entry. `cause` with `event` and `entity` is unique: posting the same thing twice is refused."""

    entity: str
    event: str
    currency: str
    cause: str
    lines: Sequence[Line]
    at: datetime
    journey_id: str | None = None
    authority: str = "books"


_JOURNAL = text(
    "INSERT INTO journal (entity, period, event, currency, journey_id, cause, rule_version, authority, effective_at)"
    " SELECT entity, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM'), event, currency, journey_id, cause, :rules, authority,"
    " at"
    " FROM unnest(CAST(:entity AS text[]), CAST(:event AS text[]), CAST(:currency AS text[]),"
    " CAST(:journey_id AS text[]), CAST(:cause AS text[]), CAST(:authority AS text[]), CAST(:at AS timestamptz[]))"
    " WITH ORDINALITY AS e(entity, event, currency, journey_id, cause, authority, at, no) ORDER BY no"
    " RETURNING id, entity, event, cause"
)
_LINES = text(
    "INSERT INTO journal_line (journal_id, line_no, account, debit_minor, credit_minor, location, sku)"
    " SELECT * FROM unnest(CAST(:journal_id AS bigint[]), CAST(:line_no AS int[]), CAST(:account AS text[]),"
    " CAST(:debit_minor AS bigint[]), CAST(:credit_minor AS bigint[]), CAST(:location AS text[]), CAST(:sku AS text[]))"
)

_LINE_COLUMNS = ("journal_id", "line_no", "account", "debit_minor", "credit_minor", "location", "sku")


async def write(conn: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Insert entries and their lines by two statements, however many there are."""
    made = await conn.execute(
        _JOURNAL,
        {
            "rules": RULE_VERSION,
            **{
                name: [getattr(entry, name) for entry in entries]
                for name in ("entity", "event", "currency", "journey_id", "cause", "authority", "at")
            },
        },
    )
    ids = {(row.cause, row.event, row.entity): row.id for row in made}
    lines = [
        (ids[entry.cause, entry.event, entry.entity], number, *line)
        for entry in entries
        for number, line in enumerate(entry.lines, start=1)
    ]
    if len(lines) >= rows.FROM_ROWS:
        await rows.copy(conn, "journal_line", _LINE_COLUMNS, lines)
    else:
        await conn.execute(_LINES, dict(zip(_LINE_COLUMNS, map(list, zip(*lines, strict=True)), strict=True)))

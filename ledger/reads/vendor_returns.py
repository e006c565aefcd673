"""Reads of one vendor return: its lines and credits, what was posted for it, and what was done to it."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from domain.vendor_returns import Balance, CreditView, VendorReturnLineView, VendorReturnView
from ledger.people import names
from ledger.reads.access import of_sources, visible
from ledger.reads.records import POSTING, PostingRow
from ledger.tables import audit, journal, journal_line, vendor_return, vendor_return_line
from ledger.vendor_return.document import document_id


async def vendor_return_view(
    conn: AsyncConnection, viewer: Person | None, named: str, *, sources: Collection[str] | None = None
) -> VendorReturnView:
    """One by its whole id, or by its own in one of the sources. Raises `NotFound`."""
    wanted = [named, *(document_id(source, named) for source in sorted(sources or ()))]
    rows = await conn.execute(
        select(vendor_return).where(
            vendor_return.c.id.in_(wanted),
            visible(vendor_return.c, viewer),
            of_sources(vendor_return.c.source, sources),
        )
    )
    found = sorted(rows.mappings(), key=lambda row: wanted.index(row["id"]))
    if not found:
        raise NotFound(f"There is no vendor return {named} that you may see.")
    lines = await conn.execute(
        select(vendor_return_line)
        .where(vendor_return_line.c.vendor_return_id == found[0]["id"])
        .order_by(vendor_return_line.c.line_id)
    )
    return _view(found[0], [VendorReturnLineView.model_validate(dict(line)) for line in lines.mappings()])


def _view(row: RowMapping, lines: list[VendorReturnLineView]) -> VendorReturnView:
    own: dict[str, Any] = {name: row[name] for name in VendorReturnView.model_fields if name in row}
    own |= {"vendor_return_id": row["key"], "lines": lines, "balance": Balance.model_validate(dict(row))}
    own["credits"] = [CreditView.model_validate(one) for one in row["credits"]]
    return VendorReturnView.model_validate(own)


async def postings_of_document(conn: AsyncConnection, found: VendorReturnView) -> list[PostingRow]:
    """What was posted for it, by its causes: shipped, each credit note, given up at once or by a verdict."""
    causes = [f"{found.id}:shipped", f"{found.id}:written_off"]
    causes += [f"{found.id}:credit:{one.reference}" for one in found.credits]
    if found.approval_id is not None:
        causes.append(f"approval:{found.approval_id}")
    query = (
        select(*POSTING)
        .join(journal, journal.c.id == journal_line.c.journal_id)
        .where(journal.c.cause.in_(causes), journal.c.event.startswith("vendor_return."))
        .order_by(journal_line.c.journal_id, journal_line.c.line_no)
    )
    return [PostingRow.model_validate(dict(row)) for row in (await conn.execute(query)).mappings()]


class Told(NamedTuple):
    """Something that was done to it, by whom and how."""

    what: str
    who: str
    via: str
    at: datetime
    after: dict[str, Any]
    reason: str


async def told_of(conn: AsyncConnection, own: str) -> list[Told]:
    """All that was done to it, in its order; at most 500 entries."""
    table = audit.c
    query = select(audit).where(table.on_what == own).order_by(table.id).limit(500)
    rows = (await conn.execute(query)).mappings().all()
    known = await names(conn, [row["who"] for row in rows])
    return [
        Told(row["what"], known.get(row["who"], row["who"]), row["via"], row["at"], row["after"] or {}, row["reason"])
        for row in rows
    ]

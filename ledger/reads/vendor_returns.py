"""Reads of vendor returns: one with its lines and credits, and those of a place."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.people import Person
from domain.vendor_returns import Balance, CreditView, VendorReturnLineView, VendorReturnView
from ledger.reads.access import of_sources, visible
from ledger.tables import vendor_return, vendor_return_line
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

"""Recognises a till receipt that was taken before: sent again under another event id, or by a second system."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import ReceiptMismatch
from domain.events import PosSale
from domain.ids import receipt_document
from ledger.goods.fact import GoodsFact


class _Line(NamedTuple):
    """What makes two reports of a line the same."""

    sku: str
    quantity: int
    unit_price_minor: int
    discount_minor: int
    coupon_minor: int
    tax_minor: int


_LINES = text(
    "SELECT document, line_id, sku, quantity, unit_price_minor, discount_minor, coupon_minor, tax_minor"
    " FROM sale_line WHERE document = ANY(CAST(:documents AS text[]))"
)
# The receipt's own movement says when it happened.
_SAME_INSTANT = text(
    "SELECT EXISTS (SELECT 1 FROM movement WHERE sku = :sku AND to_location = :location AND kind = 'sold'"
    " AND at = :at AND starts_with(cause, 'event:' || CAST(:source AS text) || ':'))"
)


@dataclass
class Receipts:
    """Receipts that were taken, those of this batch included. Read after the stock rows are locked: two reports of one
    receipt wait for each other there.
    """

    conn: AsyncConnection
    sources: Sequence[str]
    _lines: dict[str, dict[str, _Line]] = field(default_factory=dict)

    @classmethod
    async def read(cls, conn: AsyncConnection, facts: Iterable[GoodsFact], sources: Sequence[str]) -> "Receipts":
        """`sources` are the systems that may report sales, beside the one that does now."""
        known = cls(conn, sources)
        documents = {
            receipt_document(source, fact.place.code, fact.data.receipt)
            for fact in facts
            if isinstance(fact.data, PosSale)
            for source in {*sources, fact.source}
        }
        if documents:
            for document, line_id, *rest in await conn.execute(_LINES, {"documents": sorted(documents)}):
                known._lines.setdefault(document, {})[line_id] = _Line(*rest)
        return known

    async def was_taken(self, fact: GoodsFact, data: PosSale) -> bool:
        """Whether this receipt was taken before; one that was not is remembered as taken.

        Raises `ReceiptMismatch` where a line of it was reported before by the same system and says something else.
        """
        lines = {
            line.line: _Line(
                line.sku,
                line.quantity,
                line.unit_price_minor,
                line.discount_minor,
                line.coupon_minor,
                line.tax_minor,
            )
            for line in data.lines
        }
        document = receipt_document(fact.source, fact.place.code, data.receipt)
        before = self._lines.get(document, {})
        again = lines.keys() & before.keys()
        if again:
            if len(again) == len(lines) and all(before[number] == line for number, line in lines.items()):
                return True
            raise ReceiptMismatch(
                f"Receipt {data.receipt} of {fact.place.code} was reported before with other lines; send a correction"
                " as a receipt of its own.",
                pointer="/data/receipt",
            )
        for source in self.sources:
            other = self._lines.get(receipt_document(source, fact.place.code, data.receipt))
            if source != fact.source and other == lines and await self._same_instant(source, fact, data, fact.at):
                return True
        self._lines.setdefault(document, {}).update(lines)
        return False

    async def _same_instant(self, source: str, fact: GoodsFact, data: PosSale, at: datetime) -> bool:
        """Tills count their receipts anew and each on its own: only the same sale happened at the same moment."""
        found = await self.conn.execute(
            _SAME_INSTANT, {"sku": data.lines[0].sku, "location": fact.place.code, "at": at, "source": source}
        )
        return bool(found.scalar_one())

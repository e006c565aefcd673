"""A count, loaded under its journey's lock: its lines and what was entered for them, changed together and saved."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import Table, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain import count
from domain.count import CountState, Difference
from domain.messages import Message
from ledger import reference
from ledger.changes import Row
from ledger.document import Document, Rules
from ledger.tables import count_entry, count_line
from ledger.transaction import Transaction

LineKey = tuple[str, str]  # (SKU, bucket); the bucket "" is the shelf


class Entered(NamedTuple):
    """What was entered for a line in one round."""

    quantity: int
    counted_at: datetime
    counter: str


@dataclass(kw_only=True)
class Sheet(Document):
    """The whole count: its lines, and what was entered for them in each round."""

    lines: dict[LineKey, Row] = field(default_factory=dict)
    entries: dict[int, dict[LineKey, Entered]] = field(default_factory=dict)

    rules: ClassVar[Rules] = count

    @classmethod
    async def load(cls, tx: Transaction, row: Mapping[Any, Any]) -> "Sheet":
        sheet = await cls.begin(tx, row)
        sheet.lines = {(line["sku"], line["bucket"]): line for line in await sheet.read(count_line)}
        for one in await sheet.read(count_entry):
            sheet.entries.setdefault(one["round"], {})[one["sku"], one["bucket"]] = Entered(
                one["quantity"], one["counted_at"], one["counter"]
            )
        return sheet

    @property
    def state(self) -> CountState:
        return CountState(self.row["state"])

    @property
    def round(self) -> int:
        """Which time it is counted: 1 at first, 2 for the recount."""
        return int(self.row["detail"]["round"])

    def lines_of_round(self) -> dict[LineKey, dict[str, Any]]:
        """The lines that are counted in the present round."""
        return {key: line for key, line in self.lines.items() if line["round"] == self.round}

    def places(self, keys: Iterable[LineKey]) -> set[tuple[str, str]]:
        return {(self.location, sku) for sku, _ in keys}

    async def differences(self, chosen: Mapping[LineKey, int]) -> dict[LineKey, Difference]:
        """What each line's entry of the chosen round says against the book as of the instant it was counted at.

        The book is read now: what happened before a line was counted and was reported since is in it.
        """
        wanted = {
            key: self.entries[number][key] for key, number in chosen.items() if key in self.entries.get(number, {})
        }
        books = await books_at(self.tx, self.location, {key: one.counted_at for key, one in wanted.items()})
        costs = await reference.unit_costs(self.tx.conn, self.row["entity"], {sku for sku, _ in wanted})
        return {
            key: Difference(
                books[key].quantity,
                one.quantity,
                # Damaged goods were written down to nothing when they were found damaged.
                0 if key[1] == "damaged" else costs.get(key[0], 0),
            )
            for key, one in wanted.items()
        }

    def rows(self) -> Iterable[tuple[Table, Iterable[Row]]]:
        yield count_line, self.lines.values()

    async def save(self, at: datetime) -> None:
        await super().save(at)
        if self.row["closed_at"]:
            self._tell_who_waits()

    def _tell_who_waits(self) -> None:
        """A transfer that does not add up has asked for this count, and asks again now that it is over."""
        if self.row["requested_by"].startswith("transfer:"):
            self.tx.tell(self.row["requested_by"], Message.COUNT_ENDED)


class Book(NamedTuple):
    """A book quantity as of an instant, and how many units began to wait for a count only after it."""

    quantity: int
    suspected_since: int


# What was recorded after an instant may have happened before it; what happened after it was recorded after it, too.
_SINCE = text(
    """
    SELECT w.sku, w.bucket,
        coalesce(sum(m.quantity * (
            (m.to_location = :location AND m.to_account = ANY(a.accounts))::int
            - (m.from_location = :location AND m.from_account = ANY(a.accounts))::int)), 0)::int AS change,
        coalesce(sum(m.quantity) FILTER (WHERE w.bucket = '' AND m.to_location = :location
            AND m.to_account = 'count_pending'), 0)::int AS suspected
    FROM unnest(CAST(:skus AS text[]), CAST(:buckets AS text[]), CAST(:ats AS timestamptz[])) AS w(sku, bucket, at)
    CROSS JOIN LATERAL (SELECT CASE WHEN w.bucket = '' THEN ARRAY['available', 'reserved', 'count_pending']
                                    ELSE ARRAY[w.bucket] END AS accounts) a
    JOIN movement m ON m.sku = w.sku AND (m.to_location = :location OR m.from_location = :location)
        AND m.recorded_at > w.at AND m.at > w.at
    GROUP BY w.sku, w.bucket
    """
)
_NOW = text(
    "SELECT sku, available + reserved + count_pending AS shelf, damaged, quarantined FROM stock"
    " WHERE location = :location AND sku = ANY(CAST(:skus AS text[]))"
)


async def books_at(tx: Transaction, location: str, wanted: Mapping[LineKey, datetime]) -> dict[LineKey, Book]:
    """The book of lines as of their instants: what it is now, less every movement that happened since.

    A caller that posts by it holds the stock rows; one that only compares may read without.
    """
    keys = sorted(wanted)
    skus = [key[0] for key in keys]
    now = {
        row["sku"]: row
        for row in (await tx.conn.execute(_NOW, {"location": location, "skus": sorted(set(skus))})).mappings()
    }
    rows = await tx.conn.execute(
        _SINCE,
        {
            "location": location,
            "skus": skus,
            "buckets": [key[1] for key in keys],
            "ats": [wanted[key] for key in keys],
        },
    )
    since = {(row.sku, row.bucket): row for row in rows}
    found = {}
    for sku, bucket in keys:
        held = now[sku][bucket or "shelf"] if sku in now else 0
        change = since.get((sku, bucket))
        found[sku, bucket] = Book(held - (change.change if change else 0), change.suspected if change else 0)
    return found


async def posted_shelves(conn: AsyncConnection, counts: Sequence[str]) -> list[Row]:
    """The shelves that these counts have posted, in the order in which they were counted."""
    line = count_line.c
    rows = await conn.execute(
        select(line.journey_id, line.location, line.sku, line.book, line.counted, line.counted_at)
        .where(line.journey_id.in_(counts), line.bucket == "", line.state == "posted")
        .order_by(line.counted_at, line.journey_id, line.sku)
    )
    return [dict(row) for row in rows.mappings()]

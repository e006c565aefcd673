"""A count, loaded under its journey's lock: its lines and what was entered for them, changed together and saved."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, select, text, update

from domain import count
from domain.case import CaseOption
from domain.count import FINAL, CountState, Difference
from domain.messages import Message
from domain.policy import Policy
from ledger import approval, case, policies, reference
from ledger.shelf import Cause
from ledger.tables import count_entry, count_line, journey
from ledger.transaction import Transaction

LineKey = tuple[str, str]  # (SKU, bucket); the bucket "" is the shelf
_LINE_VALUES = (
    "state", "round", "first_book", "book", "counted", "value_minor", "root_cause", "counted_at", "posted_at",
)  # fmt: skip
_SAVED = ("state", "dues", "asks", "detail", "closed_at", "version", "suspended_from")


class Entered(NamedTuple):
    """What was entered for a line in one round."""

    quantity: int
    counted_at: datetime
    counter: str


@dataclass
class Sheet:
    """The whole count. Rows are plain dicts; `save` writes those that changed."""

    tx: Transaction
    row: dict[str, Any]
    lines: dict[LineKey, dict[str, Any]]
    entries: dict[int, dict[LineKey, Entered]]
    policy: Policy
    place: reference.Place
    _before: dict[LineKey, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    async def load(cls, tx: Transaction, row: RowMapping) -> "Sheet":
        """From the journey row, locked, or read in a reader's transaction."""
        lines = await tx.conn.execute(
            select(count_line)
            .where(count_line.c.journey_id == row["id"])
            .order_by(count_line.c.sku, count_line.c.bucket)
        )
        entered = await tx.conn.execute(select(count_entry).where(count_entry.c.journey_id == row["id"]))
        entries: dict[int, dict[LineKey, Entered]] = {}
        for one in entered.mappings():
            entries.setdefault(one["round"], {})[one["sku"], one["bucket"]] = Entered(
                one["quantity"], one["counted_at"], one["counter"]
            )
        sheet = cls(
            tx,
            dict(row),
            {(line["sku"], line["bucket"]): dict(line) for line in lines.mappings()},
            entries,
            await policies.of_journey(tx.conn, row),
            await reference.place(tx.conn, row["location"]),
        )
        sheet.row |= {name: dict(row[name]) for name in ("dues", "asks", "detail")}
        sheet._before = {key: dict(line) for key, line in sheet.lines.items()}
        return sheet

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def location(self) -> str:
        return str(self.row["location"])

    @property
    def state(self) -> CountState:
        return CountState(self.row["state"])

    @property
    def round(self) -> int:
        """Which time it is counted: 1 at first, 2 for the recount."""
        return int(self.row["detail"]["round"])

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    def lines_of_round(self) -> dict[LineKey, dict[str, Any]]:
        """The lines that are counted in the present round."""
        return {key: line for key, line in self.lines.items() if line["round"] == self.round}

    def cause(self, cause: str, at: datetime) -> Cause:
        return Cause(cause, self.tx.actor, at, self.row["entity"], self.id)

    def go(self, state: CountState) -> None:
        """Change state. Raises `StateConflict` where the transition table has no such way."""
        count.check_transition(self.row["state"], state)
        self.row["state"] = state.value

    def due(self, name: str, at: datetime) -> None:
        self.row["dues"][name] = at.isoformat()

    def drop_due(self, *names: str) -> None:
        for name in names:
            self.row["dues"].pop(name, None)

    def places(self, keys: Iterable[LineKey]) -> set[tuple[str, str]]:
        return {(self.location, sku) for sku, _ in keys}

    async def open_case(
        self,
        kind: str,
        at: datetime,
        *,
        text: str,
        facts: Mapping[str, Any],
        options: Sequence[CaseOption],
        sku: str = "",
        value_at_risk_minor: int = 0,
    ) -> case.CaseRef:
        """Open the case of this kind about this count, or say anew what is true of it now."""
        return await case.open_case(
            self.tx,
            case.Opening(
                kind=kind,
                subject=self.id,
                place=self.place,
                policy=self.policy,
                at=at,
                journey_id=self.id,
                channel="store",
                sku=sku,
                facts=facts,
                options=options,
                value_at_risk_minor=value_at_risk_minor,
                clock_offset_s=self.row["clock_offset_s"],
                text=text,
            ),
        )

    async def lock_cases(self) -> None:
        await self.tx.lock_asks(self.row)

    async def answer_asks(self, because: str, at: datetime) -> None:
        """What was asked has answered itself: the case heals, an approval is superseded."""
        asks = self.row["asks"]
        if asks.get("approval_id"):
            await approval.supersede(self.tx, asks["approval_id"], at)
        if asks.get("case_id"):
            await case.heal(self.tx, asks["case_id"], because, at)
        self.row["asks"] = {}

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

    async def save(self, at: datetime) -> None:
        """Write the rows that changed; a count that was posted or called off is closed."""
        for key, line in self.lines.items():
            if line != self._before.get(key):
                await self.tx.conn.execute(
                    update(count_line)
                    .where(
                        count_line.c.journey_id == self.id, count_line.c.sku == key[0], count_line.c.bucket == key[1]
                    )
                    .values(**{name: line[name] for name in _LINE_VALUES})
                )
        if self.is_final:
            self.row["dues"] = {}
            if not self.row["asks"]:
                self.row["closed_at"] = at
                self._tell_who_waits()
        self.row["version"] += 1
        await self.tx.conn.execute(
            update(journey).where(journey.c.id == self.id).values(**{name: self.row[name] for name in _SAVED})
        )

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

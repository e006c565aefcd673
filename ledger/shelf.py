"""Stock rows locked by a transaction, changed only by movements; quantities and movements are written together."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.stock import BUCKETS, OUTSIDE_ACCOUNTS, check_move
from ledger import rows

# Nearly always none is missing: looking is cheaper than to try, and be refused by, every row.
_INSERT_MISSING = text(
    "INSERT INTO stock (location, sku)"
    " SELECT * FROM unnest(CAST(:locations AS text[]), CAST(:skus AS text[])) AS w(location, sku)"
    " WHERE NOT EXISTS (SELECT 1 FROM stock s WHERE s.location = w.location AND s.sku = w.sku)"
    " ORDER BY w.location, w.sku ON CONFLICT DO NOTHING"
)
_LOCK = text(
    "SELECT s.* FROM stock s JOIN unnest(CAST(:locations AS text[]), CAST(:skus AS text[])) AS w(location, sku)"
    " USING (location, sku) ORDER BY s.location, s.sku FOR UPDATE OF s"
)


@cache
def _change(buckets: tuple[str, ...]) -> TextClause:
    """The statement that changes some buckets: most transactions change one or two, and each is an array to send."""
    return text(
        "UPDATE stock s SET "
        + ", ".join(f"{bucket} = s.{bucket} + d.{bucket}" for bucket in buckets)
        + " FROM unnest(CAST(:locations AS text[]), CAST(:skus AS text[]), "
        + ", ".join(f"CAST(:{bucket} AS int[])" for bucket in buckets)
        + f") AS d(location, sku, {', '.join(buckets)}) WHERE s.location = d.location AND s.sku = d.sku"
    )


_MOVEMENTS = rows.Columns(
    "movement",
    {
        "kind": "text",
        "reason": "text",
        "sku": "text",
        "quantity": "int",
        "from_location": "text",
        "from_account": "text",
        "to_location": "text",
        "to_account": "text",
        "unit_cost_e4": "bigint",
        "cost_minor": "bigint",
        "entity": "text",
        "journey_id": "text",
        "hold_id": "text",
        "cause": "text",
        "actor": "text",
        "at": "timestamptz",
    },
)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a quantity changes: the event, step or intake, who did it, when it happened, and for which journey."""

    cause: str
    actor: str
    at: datetime
    entity: str
    journey_id: str | None = None


@dataclass
class Shelf:
    """The (location, sku) rows that this transaction has locked, and the movements that it makes."""

    conn: AsyncConnection
    rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    _changes: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    _moves: list[dict[str, Any]] = field(default_factory=list)
    _checked: int = 0  # of the moves, those that were compared with the checkpoints

    async def lock(self, places: Iterable[tuple[str, str]]) -> None:
        """Lock the rows in sorted order; missing ones are made first, so that a lock always finds its row."""
        wanted = sorted(set(places) - self.rows.keys())
        if not wanted:
            return
        arrays = {"locations": [place[0] for place in wanted], "skus": [place[1] for place in wanted]}
        await self.conn.execute(_INSERT_MISSING, arrays)
        for row in (await self.conn.execute(_LOCK, arrays)).mappings():
            self.rows[row["location"], row["sku"]] = dict(row)

    def quantity(self, location: str, sku: str, bucket: str) -> int:
        """What is in a bucket now, with this transaction's movements."""
        return int(self.rows[location, sku][bucket])

    def move(
        self,
        kind: str,
        sku: str,
        quantity: int,
        source: tuple[str, str],
        target: tuple[str, str],
        cause: Cause,
        *,
        reason: str = "",
        unit_cost_e4: int = 0,
        cost_minor: int = 0,
        hold_id: str | None = None,
    ) -> None:
        """Take `quantity` (> 0, base units) from one (location, account) to another; nothing else changes a bucket.

        Accounts are buckets or outside accounts; rows of buckets must be locked. Raises `IllegalMove` for a movement
        that the state model does not know; the database refuses a bucket below zero, except `available`.
        """
        check_move(kind, source[1], target[1])
        for (location, account), sign in ((source, -1), (target, 1)):
            if account in OUTSIDE_ACCOUNTS:
                continue
            self.rows[location, sku][account] += sign * quantity
            change = self._changes.setdefault((location, sku), {})
            change[account] = change.get(account, 0) + sign * quantity
        self._moves.append(
            {
                "kind": kind,
                "reason": reason,
                "sku": sku,
                "quantity": quantity,
                "from_location": source[0],
                "from_account": source[1],
                "to_location": target[0],
                "to_account": target[1],
                "unit_cost_e4": unit_cost_e4,
                "cost_minor": cost_minor,
                "entity": cause.entity,
                "journey_id": cause.journey_id,
                "hold_id": hold_id,
                "cause": cause.cause,
                "actor": cause.actor,
                "at": cause.at,
            }
        )

    def has_unchecked(self) -> bool:
        """Whether there are movements that were not compared with the checkpoints."""
        return self._checked < len(self._moves)

    def unchecked(self) -> list[dict[str, Any]]:
        """The movements made since the last call."""
        fresh = self._moves[self._checked :]
        self._checked = len(self._moves)
        return fresh

    async def write(self) -> None:
        """Change the buckets and insert the movements, each by one statement."""
        if self._changes:
            places = sorted(self._changes)
            touched = set[str]().union(*self._changes.values())
            buckets = tuple(str(bucket) for bucket in BUCKETS if bucket in touched)
            await self.conn.execute(
                _change(buckets),
                {
                    "locations": [place[0] for place in places],
                    "skus": [place[1] for place in places],
                    **{bucket: [self._changes[place].get(bucket, 0) for place in places] for bucket in buckets},
                },
            )
        await _MOVEMENTS.write(self.conn, self._moves)
        self._changes, self._moves, self._checked = {}, [], 0

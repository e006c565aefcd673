"""Stock that turns up goes to whoever waits for it, in the order of promise, in the transaction that finds it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, text

from domain.ids import hold_id
from domain.messages import Message
from ledger.shelf import Cause
from ledger.tables import journey, waiting_demand
from ledger.transaction import Transaction

_HOLD_COLUMNS = {
    "id": "text",
    "source": "text",
    "channel": "text",
    "journey_id": "text",
    "line_id": "text",
    "location": "text",
    "sku": "text",
    "quantity": "int",
    "promised_at": "timestamptz",
    "at": "timestamptz",
}
_HOLD = text(
    f"INSERT INTO hold ({', '.join(_HOLD_COLUMNS)}, reserved)"
    f" SELECT {', '.join(_HOLD_COLUMNS)}, quantity FROM unnest("
    + ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _HOLD_COLUMNS.items())
    + f") AS w({', '.join(_HOLD_COLUMNS)}) ORDER BY id ON CONFLICT (id) DO UPDATE"
    " SET quantity = hold.quantity + excluded.quantity, reserved = hold.reserved + excluded.reserved"
)
_SERVED = text(
    "UPDATE waiting_demand d SET quantity = d.quantity - w.units, found = d.found + w.units"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:units AS int[])) AS w(id, units) WHERE d.id = w.id"
)


@dataclass
class Demand:
    """Orders that wait for goods at some places, locked and in the order of promise, and what they were given."""

    tx: Transaction
    rows: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    _holds: dict[str, dict[str, Any]] = field(default_factory=dict)
    _given: dict[int, int] = field(default_factory=dict)

    @classmethod
    async def lock(cls, tx: Transaction, places: Iterable[tuple[str, str]]) -> "Demand":
        """Lock what waits at these (location, SKU)."""
        demand, wanted = cls(tx), sorted(set(places))
        if not wanted:
            return demand
        # Demand and holds are covered by the stock rows, so this may come after money has been locked.
        rows = await tx.conn.execute(
            select(waiting_demand, journey.c.channel, journey.c.source, journey.c.entity)
            .join(journey, journey.c.id == waiting_demand.c.journey_id)
            .where(
                waiting_demand.c.ended_at.is_(None),
                waiting_demand.c.quantity > 0,
                text(
                    "(waiting_demand.location, waiting_demand.sku) IN"
                    " (SELECT * FROM unnest(CAST(:locations AS text[]), CAST(:skus AS text[])))"
                ).bindparams(locations=[place[0] for place in wanted], skus=[place[1] for place in wanted]),
            )
            .order_by(waiting_demand.c.promised_at.nulls_last(), waiting_demand.c.id)
            .with_for_update(of=waiting_demand)
        )
        for row in rows.mappings():
            demand.rows.setdefault((row["location"], row["sku"]), []).append(dict(row))
        return demand

    def serve(self, places: Sequence[tuple[str, str]], cause: Cause) -> None:
        """Hold what is available now for those who wait, the earliest promise first, over all of these places."""
        waiting = [row for place in dict.fromkeys(places) for row in self.rows.get(place, ())]
        for row in sorted(waiting, key=_by_promise) if len(waiting) > 1 else waiting:
            grant = min(row["quantity"], self.tx.shelf.quantity(row["location"], row["sku"], "available"))
            if grant > 0:
                self._give(row, grant, cause)

    def _give(self, row: dict[str, Any], grant: int, cause: Cause) -> None:
        key = hold_id(row["journey_id"], row["line_id"], row["location"])
        row["quantity"] -= grant
        self._given[row["id"]] = self._given.get(row["id"], 0) + grant
        self.tx.shelf.move(
            "reserved",
            row["sku"],
            grant,
            (row["location"], "available"),
            (row["location"], "reserved"),
            Cause(cause.cause, cause.actor, cause.at, row["entity"], row["journey_id"]),
            reason="found",
            hold_id=key,
        )
        held = self._holds.setdefault(key, {**row, "id": key, "quantity": 0, "at": cause.at})
        held["quantity"] += grant
        self.tx.tell(row["journey_id"], Message.STOCK_FOUND)

    async def write(self) -> None:
        """Write the holds and what is still wanted, by two statements."""
        if not self._given:
            return
        holds = list(self._holds.values())
        await self.tx.conn.execute(_HOLD, {name: [row[name] for row in holds] for name in _HOLD_COLUMNS})
        await self.tx.conn.execute(_SERVED, {"ids": list(self._given), "units": list(self._given.values())})
        self._holds, self._given = {}, {}


def _by_promise(row: dict[str, Any]) -> tuple[bool, float, int]:
    promised = row["promised_at"]
    return promised is None, promised.timestamp() if promised else 0.0, row["id"]


async def assign(tx: Transaction, places: Iterable[tuple[str, str]], cause: Cause) -> None:
    """Hold what is available at these (location, sku) for waiting journeys, the earliest promise first.

    Their lines are theirs to change: each is told, and takes the units up under its own lock.
    """
    wanted = sorted(place for place in set(places) if tx.shelf.quantity(*place, "available") > 0)
    demand = await Demand.lock(tx, wanted)
    demand.serve(wanted, cause)
    await demand.write()

"""A transfer, loaded under its journey's lock: lines, holds at its source, what came unexpected, changed together and
saved together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, insert, select, update

from domain import transfer as rules
from domain.case import CaseOption
from domain.errors import UnknownLine
from domain.policy import Policy
from domain.postings import Line
from domain.transfer import FINAL, Quantities, TransferState
from ledger import approval, case, found, policies, reference, tables
from ledger.doubt import Taken, doubt
from ledger.journal import Entry
from ledger.shelf import Cause
from ledger.tables import hold, journey
from ledger.transaction import Rank, Transaction

type Place = tuple[str, str]  # (location, SKU)

_SAVED = ("state", "dues", "asks", "detail", "closed_at", "version", "suspended_from")


@dataclass
class Transfer:
    """The whole transfer. Rows are plain dicts; `save` writes those that changed.

    `place` is its source, whose people agree to it and send it; `target` its destination.
    """

    tx: Transaction
    row: dict[str, Any]
    head: dict[str, Any]
    lines: dict[str, dict[str, Any]]
    extras: list[dict[str, Any]]
    policy: Policy
    place: reference.Place
    target: reference.Place
    holds: dict[str, dict[str, Any]] = field(default_factory=dict)  # by line
    costs: dict[tuple[str, str], int] = field(default_factory=dict)  # average unit costs by (entity, SKU)
    parcels: list[dict[str, Any]] = field(default_factory=list)  # new ones
    claims: list[dict[str, Any]] = field(default_factory=list)  # new ones
    posted: dict[tuple[str, str, str], list[Line]] = field(default_factory=dict)  # by entity, event and cause
    freed: set[Place] = field(default_factory=set)
    taken: set[Place] = field(default_factory=set)
    _before: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    async def load(cls, tx: Transaction, row: RowMapping) -> "Transfer":
        """From the journey row, locked, or read in a reader's transaction."""
        key = row["id"]
        head = await tx.conn.execute(select(tables.transfer).where(tables.transfer.c.journey_id == key))
        lines = await tx.conn.execute(
            select(tables.transfer_line)
            .where(tables.transfer_line.c.journey_id == key)
            .order_by(tables.transfer_line.c.line_id)
        )
        extras = await tx.conn.execute(
            select(tables.transfer_extra)
            .where(tables.transfer_extra.c.journey_id == key)
            .order_by(tables.transfer_extra.c.id)
        )
        one = dict(head.mappings().one())
        it = cls(
            tx,
            dict(row),
            one,
            {line["line_id"]: dict(line) for line in lines.mappings()},
            [dict(extra) for extra in extras.mappings()],
            await policies.of_journey(tx.conn, row),
            await reference.place(tx.conn, one["from_location"]),
            await reference.place(tx.conn, one["to_location"]),
        )
        it.row |= {name: dict(row[name]) for name in ("dues", "asks", "detail")}
        it._before = {
            "head": dict(it.head),
            **{f"line {name}": dict(line) for name, line in it.lines.items()},
            **{f"extra {extra['id']}": dict(extra) for extra in it.extras},
        }
        return it

    # ------------------------------------------------------------------ what is true
    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def state(self) -> TransferState:
        return TransferState(self.row["state"])

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def crosses(self) -> bool:
        """Whether goods pass from one legal entity to another."""
        return self.place.entity != self.target.entity

    def line(self, line_id: str) -> dict[str, Any]:
        """A line. Raises `UnknownLine`, naming those that there are."""
        if line_id not in self.lines:
            raise UnknownLine(
                f"The transfer has no line {line_id}; its lines are {', '.join(self.lines)}.", pointer="/data/lines"
            )
        return self.lines[line_id]

    async def entity_of(self, code: str) -> str:
        """The entity of a place at which goods of this transfer are."""
        if code in (self.place.code, self.target.code):
            return self.place.entity if code == self.place.code else self.target.entity
        return (await reference.entities_of(self.tx.conn, [code]))[code]

    @staticmethod
    def to_ship(line: Mapping[str, Any]) -> int:
        """Units of a line that are still to leave the source."""
        return max(int(line["ordered"] - line["cancelled"] - line["shipped"]), 0)

    def open_extras(self) -> list[dict[str, Any]]:
        """What came unexpected and is not settled."""
        return [extra for extra in self.extras if extra["settled"] < extra["quantity"]]

    def quantities(self) -> Quantities:
        lines = self.lines.values()
        return Quantities(
            sum(map(self.to_ship, lines)),
            sum(line["in_transit"] for line in lines),
            sum(line["received"] + line["damaged"] for line in lines) + sum(extra["quantity"] for extra in self.extras),
        )

    def clock(self, at: datetime) -> datetime:
        """An instant on this transfer's clock, which a demo may have moved on."""
        return at + timedelta(seconds=self.row["clock_offset_s"])

    def cause(self, cause: str, at: datetime, *, entity: str = "") -> Cause:
        return Cause(cause, self.tx.actor, at, entity or self.place.entity, self.id)

    # ------------------------------------------------------------------ changing it
    def go(self, state: TransferState) -> None:
        """Change state. Raises `StateConflict` where the transition table has no such way."""
        rules.check_transition(self.row["state"], state)
        self.row["state"] = state.value

    def due(self, name: str, at: datetime) -> None:
        self.row["dues"][name] = at.isoformat()

    def drop_due(self, *names: str) -> None:
        for name in names:
            self.row["dues"].pop(name, None)

    def bar(self, people: Iterable[str]) -> None:
        """These people have asked for it, sent or received it: they approve nothing about it."""
        self.row["detail"]["barred"] = sorted({*self.row["detail"].get("barred", ()), *people})

    async def lock_cases(self) -> None:
        await self.tx.lock_asks(self.row)

    def shelves(self) -> set[Place]:
        """The (location, SKU) that it concerns, at both ends and wherever something came."""
        skus = {str(line["sku"]) for line in self.lines.values()} | {str(one["sku"]) for one in self.extras}
        places = {(code, sku) for code in (self.place.code, self.target.code) for sku in skus}
        return places | {(str(one["location"]), str(one["sku"])) for one in self.extras}

    async def lock_goods(self, extra: Iterable[Place] = ()) -> None:
        """Lock the stock rows of its lines at both ends, and of `extra`, then its holds; read what the goods cost."""
        places = self.shelves() | set(extra)
        skus = {sku for _, sku in places}
        await self.tx.lock_stock(places)
        self.holds = {row["line_id"]: dict(row) for row in await self.tx.lock_holds(self.id)}
        self._before |= {f"hold {row['line_id']}": dict(row) for row in self.holds.values()}
        for entity in sorted({self.place.entity, self.target.entity}):
            await self.know_costs(entity, skus)

    async def know_costs(self, entity: str, skus: Iterable[str]) -> None:
        """Read what these items cost an entity on average."""
        found_costs = await reference.unit_costs(self.tx.conn, entity, skus)
        self.costs |= {(entity, sku): cost for sku, cost in found_costs.items()}

    def cost_of(self, entity: str, sku: str, quantity: int) -> int:
        return reference.cost_of(self.costs.get((entity, sku), 0), quantity)

    def post(self, event: str, cause: str, lines: Mapping[str, Sequence[Line]]) -> None:
        """Gather lines by entity; one entry for each entity, event and cause is posted when the transfer is saved."""
        for entity, some in lines.items():
            self.posted.setdefault((entity, event, cause), []).extend(some)

    # ------------------------------------------------------------------ asking
    async def open_case(
        self,
        kind: str,
        at: datetime,
        *,
        text: str,
        facts: Mapping[str, Any],
        options: Sequence[CaseOption],
        place: reference.Place | None = None,
        value_at_risk_minor: int = 0,
        sku: str = "",
    ) -> case.CaseRef:
        """Open the case of this kind about this transfer, or say anew what is true of it now."""
        return await case.open_case(
            self.tx,
            case.Opening(
                kind=kind,
                subject=self.id,
                place=place or self.target,
                policy=self.policy,
                at=at,
                journey_id=self.id,
                channel="transfer",
                sku=sku,
                facts={
                    "transfer": self.row["key"],
                    "source": self.place.name,
                    "destination": self.target.name,
                    **facts,
                },
                options=options,
                value_at_risk_minor=value_at_risk_minor,
                clock_offset_s=self.row["clock_offset_s"],
                text=text,
            ),
        )

    async def answer_asks(self, because: str, at: datetime) -> None:
        """What was asked has answered itself: the case heals, an approval is superseded."""
        asks = self.row["asks"]
        if asks.get("approval_id"):
            await approval.supersede(self.tx, asks["approval_id"], at)
        if asks.get("case_id"):
            await case.heal(self.tx, asks["case_id"], because, at)
        self.row["asks"] = {}

    # ------------------------------------------------------------------ saving
    async def save(self, at: datetime) -> None:
        """Write the rows that changed; close the journey when its state is final and nobody is asked.

        Last, what it let go or brought is given to those who wait for it, and promises are doubted where it took more
        than the book had.
        """
        conn = self.tx.conn
        await self._write_rows()
        if self.is_final:
            self.row["dues"] = {}
        self.row["closed_at"] = at if self.is_final and not self.row["asks"] else None
        self.row["version"] += 1
        await conn.execute(
            update(journey).where(journey.c.id == self.id).values(**{name: self.row[name] for name in _SAVED})
        )
        currencies = {self.place.entity: self.place.currency, self.target.entity: self.target.currency}
        for (entity, event, cause), lines in self.posted.items():
            authority = self.policy.authority.of_posting(event)
            currency = currencies.get(entity, self.place.currency)
            self.tx.post(Entry(entity, event, currency, cause, lines, at, self.id, authority))
        self.posted = {}
        why = self.cause(f"moved:{self.id}:{self.row['version']}", at)
        await found.assign(self.tx, self.freed, why)
        await doubt(self.tx, dict.fromkeys(sorted(self.taken), Taken(why, self.policy.stock.doubt_first)))
        self.freed, self.taken = set(), set()

    async def _write_rows(self) -> None:
        conn = self.tx.conn
        if self.head != self._before["head"]:
            await conn.execute(
                update(tables.transfer).where(tables.transfer.c.journey_id == self.id).values(**_changed(self.head))
            )
        for name, line in self.lines.items():
            if line != self._before.get(f"line {name}"):
                await conn.execute(
                    update(tables.transfer_line)
                    .where(tables.transfer_line.c.journey_id == self.id, tables.transfer_line.c.line_id == name)
                    .values(**_changed(line))
                )
        for name, row in self.holds.items():
            if row != self._before.get(f"hold {name}"):
                await conn.execute(update(hold).where(hold.c.id == row["id"]).values(**_changed(row)))
        for extra in self.extras:
            if "id" not in extra:
                made = await conn.execute(
                    insert(tables.transfer_extra).values(**extra).returning(tables.transfer_extra.c.id)
                )
                extra["id"] = made.scalar_one()
            elif extra != self._before.get(f"extra {extra['id']}"):
                await conn.execute(
                    update(tables.transfer_extra)
                    .where(tables.transfer_extra.c.id == extra["id"])
                    .values(**_changed(extra))
                )
        for table, rows in ((tables.transfer_parcel, self.parcels), (tables.carrier_claim, self.claims)):
            if rows:
                await conn.execute(insert(table), rows)
        self.parcels, self.claims = [], []

    def lock_money(self) -> None:
        """Say that money rows are locked next."""
        self.tx.enter(Rank.MONEY)


def _changed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("id", "journey_id", "line_id", "recorded_at")}

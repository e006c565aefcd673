"""A transfer, loaded under its journey's lock: lines, holds at its source, what came unexpected, changed together and
saved together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, override

from sqlalchemy import RowMapping, Table

from domain import transfer
from domain.errors import UnknownLine
from domain.postings import Line
from domain.transfer import Quantities, TransferState
from ledger import reference, tables
from ledger.changes import Row
from ledger.count.sheet import posted_shelves
from ledger.document import Document, Rules
from ledger.journal import Entry
from ledger.tables import hold
from ledger.transaction import Rank, Transaction
from ledger.transfer.awaited import Awaited

type Place = tuple[str, str]  # (location, SKU)


@dataclass(kw_only=True)
class Transfer(Document):
    """The whole transfer. `place` is its source, whose people agree to it and send it; `target` its destination."""

    head: Row = field(init=False)
    target: reference.Place = field(init=False)
    lines: dict[str, Row] = field(default_factory=dict)
    extras: list[Row] = field(default_factory=list)
    holds: dict[str, Row] = field(default_factory=dict)  # by line
    costs: dict[tuple[str, str], int] = field(default_factory=dict)  # average unit costs by (entity, SKU)
    parcels: list[Row] = field(default_factory=list)  # new ones
    claims: list[Row] = field(default_factory=list)  # new ones
    counted: list[Row] = field(default_factory=list)  # what the counts that were opened because of it have posted
    claimed_before: set[str] = field(default_factory=set)  # lines of which a carrier was held liable before
    awaited: Awaited = field(default_factory=Awaited)  # by the order that it was sent for
    beside: set[Place] = field(default_factory=set)  # what the same fact moves besides
    posted: dict[tuple[str, str, str], list[Line]] = field(default_factory=dict)  # by entity, event and cause

    rules: ClassVar[Rules] = transfer

    @classmethod
    async def load(cls, tx: Transaction, row: RowMapping | Mapping[str, Any]) -> "Transfer":
        it = await cls.begin(tx, row)
        (it.head,) = await it.read(tables.transfer)
        it.target = await reference.place(tx.conn, it.head["to_location"])
        it.lines = {line["line_id"]: line for line in await it.read(tables.transfer_line)}
        it.extras = await it.read(tables.transfer_extra)
        if any(line["settled"] for line in it.lines.values()):
            it.claimed_before = {claim["line_id"] for claim in await it.read(tables.carrier_claim)}
        if it.row["detail"].get("recounts"):
            it.counted = await posted_shelves(tx.conn, it.row["detail"]["recounts"])
        return it

    # ------------------------------------------------------------------ what is true
    @property
    def state(self) -> TransferState:
        return TransferState(self.row["state"])

    @property
    def asked_at(self) -> reference.Place:
        """Where goods are missed."""
        return self.target

    @property
    def crosses(self) -> bool:
        """Whether goods pass from one legal entity to another."""
        return self.place.entity != self.target.entity

    def line(self, line_id: str) -> dict[str, Any]:
        """A line. Raises `UnknownLine`, naming the lines of the transfer."""
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

    def still_to_come(self, line: Mapping[str, Any]) -> int:
        """Units of a line that may still come; "complete" says that what is on its way does not."""
        if self.is_final:
            return 0
        on_the_way = 0 if self.row["detail"].get("complete") else int(line["in_transit"])
        return on_the_way + self.to_ship(line)

    def claimed(self) -> set[str]:
        """The lines of which a carrier is held liable."""
        return self.claimed_before | {claim["line_id"] for claim in self.claims}

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

    # ------------------------------------------------------------------ changing it
    def bar(self, people: Iterable[str]) -> None:
        """These people have asked for it, sent or received it: they approve nothing about it."""
        self.row["detail"]["barred"] = sorted({*self.row["detail"].get("barred", ()), *people})

    def shelves(self) -> set[Place]:
        """The (location, SKU) that it concerns, at both ends and wherever something came."""
        skus = {str(line["sku"]) for line in self.lines.values()} | {str(one["sku"]) for one in self.extras}
        places = {(code, sku) for code in (self.place.code, self.target.code) for sku in skus}
        return places | {(str(one["location"]), str(one["sku"])) for one in self.extras}

    async def lock_goods(self, extra: Iterable[Place] = ()) -> None:
        """Lock the stock rows of its lines at both ends, and of `extra`, then its holds; read what the goods cost."""
        places = self.shelves() | set(extra)
        skus = {sku for _, sku in places}
        await self.tx.lock_stock(places | self.beside)
        self.holds = {row["line_id"]: dict(row) for row in await self.tx.lock_holds(self.id)}
        self.remember(hold, self.holds.values())
        for entity in sorted({self.place.entity, self.target.entity}):
            await self.know_costs(entity, skus)
        if self.row["detail"].get("for_order"):
            self.awaited = Awaited(await self.read(tables.awaited, by="transfer_id"))

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

    @override
    def about(self, kind: str) -> dict[str, Any]:
        return {"transfer": self.row["key"], "source": self.place.name, "destination": self.target.name}

    # ------------------------------------------------------------------ saving
    def rows(self) -> Iterable[tuple[Table, Iterable[Row]]]:
        yield tables.transfer, (self.head,)
        yield tables.transfer_line, self.lines.values()
        yield hold, self.holds.values()
        yield tables.transfer_extra, self.extras
        yield tables.transfer_parcel, self.parcels
        yield tables.carrier_claim, self.claims
        yield tables.awaited, self.awaited.rows

    async def save(self, at: datetime) -> None:
        """Write what changed and post what was gathered."""
        currencies = {self.place.entity: self.place.currency, self.target.entity: self.target.currency}
        for (entity, event, cause), lines in self.posted.items():
            authority = self.policy.authority.of_posting(event)
            currency = currencies.get(entity, self.place.currency)
            self.tx.post(Entry(entity, event, currency, cause, lines, at, self.id, authority))
        self.posted = {}
        await self.awaited.tell(
            self.tx, at, {line_id: self.still_to_come(line) for line_id, line in self.lines.items()}
        )
        if self.is_final:
            self.awaited.forget_what_was_given_up()
        await super().save(at)

    def lock_money(self) -> None:
        """Say that money rows are locked next."""
        self.tx.enter(Rank.MONEY)

"""A small retailer for tests: two stores that never close, a warehouse, one item, and the people who decide."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.events import EventOutcome
from domain.messages import Message
from domain.orders import BopisOrder
from domain.people import Grant, Person
from ledger import facts, intake
from ledger.engine import Database
from ledger.people import Caller
from ledger.tables import entity, item, location, outbox, person, person_role, policy_document, region, stock
from ledger.transaction import Transaction

TEA = "TEA-1"
PRICE_MINOR = 1_500
COST_MINOR = 600
WEB = Caller("key-web", "web", frozenset({"orders:write", "events:write"}), frozenset(), None, frozenset())
ANA = Person("ana", "Ana Ruiz", "ana@shop.example", (Grant("regional_ops", "", "R1", ""),))
MAX = Person("max", "Max Weber", "max@shop.example", (Grant("store_manager", "", "R1", ""),))
FIN = Person("fin", "Fin Olsen", "fin@shop.example", (Grant("finance"),))
ADA = Person("ada", "Ada Lang", "ada@shop.example", (Grant("admin"),))
PEOPLE = (ANA, MAX, FIN, ADA)
_NUMBERED = ("case_file", "approval", "bulk")
_NUMBERS = text(
    "SELECT " + ", ".join(f"setval(pg_get_serial_sequence('{table}', 'id'), :{table}, false)" for table in _NUMBERED)
)


@dataclass
class Shop:
    """What a test does with the retailer."""

    database: Database

    async def order(self, quantity: int = 1, *, at: str = "S1", **more: Any) -> str:
        """Place an order for tea, paid by card; returns the journey's id."""
        key = f"W-{uuid.uuid4().hex[:8]}"
        total = quantity * PRICE_MINOR
        body = {
            "order_id": key,
            "channel": "web",
            "pickup_location": at,
            "currency": "EUR",
            "prices_include_tax": True,
            "customer": {"name": "Kim Lee", "email": "kim@customer.example"},
            "lines": [{"line_id": "1", "sku": TEA, "quantity": quantity, "unit_price_minor": PRICE_MINOR}],
            "payments": [{"reference": "card-1", "tender": "card", "amount_minor": total, "state": "captured"}],
        }
        order = BopisOrder.model_validate(body | more)
        _, answer = await intake.place_order(
            self.database, WEB, order, idempotency_key=None, received_at=datetime.now(UTC)
        )
        return str(answer["journey_id"])

    async def report(self, kind: str, **data: Any) -> EventOutcome:
        """Send an event as the web shop's key; returns what became of it."""
        event = {"id": uuid.uuid4().hex, "type": kind, "occurred_at": datetime.now(UTC).isoformat(), "data": data}
        (outcome,) = await facts.receive(self.database, WEB, [event], received_at=datetime.now(UTC))
        return outcome

    async def put(self, location: str, available: int) -> None:
        """Have so many packs of tea on the shelf, with a movement that explains them."""
        before = await self.value("SELECT available FROM stock WHERE location = :at", at=location)
        change = available - before
        sides = ("supplier", "available") if change > 0 else ("available", "shrink")
        await self.change("UPDATE stock SET available = :n WHERE location = :at", n=available, at=location)
        await self.change(
            "INSERT INTO movement (kind, sku, quantity, from_location, from_account, to_location, to_account, entity,"
            " cause, actor, at) VALUES ('received', :sku, :n, :at, :a, :at, :b, 'DE01', 'opening', 'test', now())",
            sku=TEA, n=abs(change), at=location, a=sides[0], b=sides[1],
        )  # fmt: skip

    async def tell(self, target: str, message: Message = Message.TIME_SKIPPED) -> None:
        """Have the relay tell a workflow something, without changing anything."""

        async def work(tx: Transaction) -> None:
            tx.tell(target, message)

        await self.database.write(work, actor="test", via="test")

    async def outbox(self, target: str) -> list[tuple[int, str | None]]:
        """(seq, outcome) of each message of a target; the outcome of an open one is None."""
        async with self.database.read() as conn:
            rows = await conn.execute(
                select(outbox.c.seq, outbox.c.outcome).where(outbox.c.target == target).order_by(outbox.c.seq)
            )
            return [(row.seq, row.outcome) for row in rows]

    async def value(self, statement: str, **values: Any) -> Any:
        """One value of an SQL query."""
        async with self.database.read() as conn:
            return (await conn.execute(text(statement), values)).scalar()

    async def change(self, statement: str, **values: Any) -> None:
        """Change rows behind the back of the ledger, as damage or a restore would."""
        async with self.database.engine.begin() as conn:
            await conn.execute(text(statement), values)


async def open_shop(url: str, *, tea: dict[str, int] | None = None, policy: dict[str, Any] | None = None) -> Shop:
    """Fill an empty database. `tea` is the opening stock by location; `policy` is laid over the shipped one."""
    database = _database(url)
    async with database.engine.begin() as conn:
        await _number_apart(conn)
        await conn.execute(insert(entity).values(code="DE01", name="Shop GmbH", currency="EUR", country="DE"))
        await conn.execute(insert(region).values(code="R1", name="South", entity="DE01"))
        places = [
            ("S1", "Mainz", "store", 50.00),
            ("S2", "Wiesbaden", "store", 50.08),
            ("DC", "Warehouse", "dc", 50.10),
        ]
        for code, name, kind, latitude in places:
            await conn.execute(
                insert(location).values(
                    code=code, name=name, kind=kind, region="R1", entity="DE01", time_zone="UTC", latitude=latitude,
                    longitude=8.25, pickup=kind == "store",
                )
            )  # fmt: skip
        await conn.execute(
            insert(item).values(sku=TEA, name="Green tea", price_minor=PRICE_MINOR, cost_minor=COST_MINOR)
        )
        for code in tea or {"S1": 5, "S2": 5}:
            await conn.execute(insert(stock).values(location=code, sku=TEA))
        for who in PEOPLE:
            await conn.execute(insert(person).values(id=who.id, name=who.name, email=who.email))
            for grant in who.grants:
                await conn.execute(insert(person_role).values(person_id=who.id, **grant._asdict()))
        if policy is not None:
            await conn.execute(
                insert(policy_document).values(
                    version=uuid.uuid4().hex[:8], effective_from=datetime(2020, 1, 1, tzinfo=UTC), body=policy
                )
            )
    shop = Shop(database)
    for code, quantity in (tea or {"S1": 5, "S2": 5}).items():
        if quantity:
            await shop.put(code, quantity)
    return shop


async def reopen_shop(url: str) -> Shop:
    """The shop in a copy of a database in which it was opened."""
    database = _database(url)
    async with database.engine.begin() as conn:
        await _number_apart(conn)
    return Shop(database)


def _database(url: str) -> Database:
    return Database(url, pool_size=10, application="endcap-test", sealing_keys={"test": b"0" * 32})


async def _number_apart(conn: AsyncConnection) -> None:
    """Tests share a Temporal server, where `case:1:1` must mean one case."""
    await conn.execute(_NUMBERS, {table: uuid.uuid4().int % 10**12 + 1 for table in _NUMBERED})

"""A small retailer as rows: places, items, people, keys; and the orders, cases and approvals that tests begin with."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from domain.case import SEVERITIES, CaseOption
from ledger import access, reference, tables
from ledger.approval import Request, open_approval
from ledger.case import Opening, open_case
from ledger.engine import Database
from ledger.people import key_hash
from ledger.transaction import Transaction

NOW = datetime.now(UTC).replace(microsecond=0)
PEOPLE = {
    # by id: name, role and region
    "ana.ruiz": ("Ana Ruiz", "store_manager", "NORTH"),
    "sam.ortega": ("Sam Ortega", "regional_ops", "NORTH"),
    "sol.byrne": ("Sol Byrne", "regional_ops", "SOUTH"),
    "ida.noor": ("Ida Noor", "auditor", ""),
    "fin.weber": ("Fin Weber", "finance", ""),
}
EVERY_SCOPE = access.SCOPES
KEYS: dict[str, dict[str, Any]] = {
    # name of the key and its text: what it may do, for whom
    "web": {"source": "web", "scopes": EVERY_SCOPE, "sources": ["pos"], "act_as": ["sam.ortega"]},
    "pos": {"source": "pos", "scopes": ("events:write", "read"), "sources": ["web"]},
    "other": {"source": "other", "scopes": EVERY_SCOPE},
    "mute": {"source": "web", "scopes": ()},
    "gone": {"source": "web", "scopes": EVERY_SCOPE, "revoked_at": NOW},
    "ana": {"source": "ana.ruiz", "scopes": ("read", "decide", "approve"), "person_id": "ana.ruiz"},
    "ana-as-sam": {
        "source": "ana.ruiz",
        "scopes": ("read", "decide", "approve", "act_as"),
        "person_id": "ana.ruiz",
        "act_as": ["sam.ortega"],
    },
    "sam": {"source": "sam.ortega", "scopes": ("read", "decide", "approve"), "person_id": "sam.ortega"},
    "sam-adjusts": {"source": "sam.ortega", "scopes": ("read", "stock:adjust"), "person_id": "sam.ortega"},
    "sol": {"source": "sol.byrne", "scopes": ("read", "decide", "approve"), "person_id": "sol.byrne"},
    "ida": {"source": "ida.noor", "scopes": ("read", "decide", "approve"), "person_id": "ida.noor"},
}


async def master_data(tx: Transaction) -> None:
    async def add(table: Any, *rows: dict[str, Any]) -> None:
        for row in rows:
            await tx.conn.execute(insert(table).values(**row))

    await add(tables.entity, {"code": "US01", "name": "Endcap Stores", "currency": "USD"})
    await add(tables.region, *({"code": code, "name": code.title(), "entity": "US01"} for code in ("NORTH", "SOUTH")))
    places = (("S1", "NORTH", 40.0), ("S2", "NORTH", 40.2), ("S9", "SOUTH", 33.0))
    await add(
        tables.location,
        *(
            {
                "code": code,
                "name": f"Store {code}",
                "region": region,
                "entity": "US01",
                "latitude": lat,
                "longitude": -80.0,
            }
            for code, region, lat in places
        ),
    )
    await add(
        tables.item,
        *(
            {"sku": sku, "name": sku.title(), "price_minor": 129, "cost_minor": 70}
            for sku in ("APPLE", "BREAD", "RARE")
        ),
    )
    for person_id, (name, role, region) in PEOPLE.items():
        await add(tables.person, {"id": person_id, "name": name, "email": f"{person_id}@stores.example"})
        await add(tables.person_role, {"person_id": person_id, "role": role, "region": region})
    # What is decided is applied at once here; tests of the time to undo it say how long it is.
    body = {"cases": {"undo_s": dict.fromkeys(SEVERITIES, 0)}}
    await add(tables.policy_document, {"version": "at-once", "effective_from": NOW - timedelta(days=900), "body": body})
    for name, key in KEYS.items():
        row = {**key, "scopes": list(key["scopes"])}
        await add(tables.api_key, {"id": name, "key_hash": key_hash(key_text(name)), "created_at": NOW, **row})


def key_text(name: str) -> str:
    return f"endcap_{name}_0123456789"


def order(order_id: str, *, sku: str = "APPLE", quantity: int = 2, location: str = "S1", **more: Any) -> dict[str, Any]:
    """A body for `POST /bopis-orders` of one line at 1.29, 5 cents of tax each."""
    return {
        "order_id": order_id,
        "channel": "web",
        "pickup_location": location,
        "currency": "USD",
        "customer": {"name": "Noor Haddad", "email": "noor@example.com"},
        "lines": [
            {"line_id": "1", "sku": sku, "quantity": quantity, "unit_price_minor": 129, "tax_minor": 5 * quantity}
        ],
        "payments": [
            {"reference": "pay_1", "tender": "card", "amount_minor": 134 * quantity, "state": "captured"}
        ],
        **more,
    }  # fmt: skip


async def a_case(
    database: Database, subject: str, *, location: str = "S1", journey_id: str | None = None, sku: str = "APPLE"
) -> int:
    """A case opened by hand, with two options, one of which policy forbids."""

    async def work(tx: Transaction) -> int:
        place = await reference.place(tx.conn, location)
        opened = await open_case(
            tx,
            Opening(
                kind="negative_inventory" if journey_id is None else "reservation_failure",
                subject=subject,
                place=place,
                policy=await reference.policy_at(tx.conn, place, NOW),
                at=NOW - timedelta(minutes=5),
                journey_id=journey_id,
                sku=sku,
                facts={"available": -2},
                options=(
                    CaseOption(id="dismiss", label="Nothing to do"),
                    CaseOption(id="never", label="Forbidden", allowed=False, why_not="Policy forbids it."),
                ),
                value_at_risk_minor=258,
            ),
        )
        return opened.id

    return await database.write(work, actor="test", via="test")


async def an_approval(
    database: Database,
    *,
    location: str = "S1",
    requester: str = "sam.ortega",
    amount_minor: int = 3000,
    kind: str = "refund",
    facts: Mapping[str, Any] = {"why": "not on the shelf"},
) -> int:
    """A refund, or a request of another kind, that waits for a store manager, then finance."""

    async def work(tx: Transaction) -> int:
        place = await reference.place(tx.conn, location)
        return await open_approval(
            tx,
            Request(
                kind=kind,
                subject="Refund of W-1",
                place=place,
                policy=await reference.policy_at(tx.conn, place, NOW),
                at=NOW,
                requester=requester,
                barred=(),
                amount_minor=amount_minor,
                facts=dict(facts),
                journey_id=None,
                case_id=None,
                decision_id=None,
            ),
        )

    return await database.write(work, actor="test", via="test")


async def rows(database: Database, table: Any) -> list[dict[str, Any]]:
    """Everything in a table."""
    async with database.read() as conn:
        return [dict(row) for row in (await conn.execute(select(table))).mappings()]

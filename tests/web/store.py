"""The people of a store, and orders that are ready for their work."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, update

import ledger.engine
from ledger import tables
from ledger.transaction import Transaction
from tests.web.people import _HASH
from tests.web.retail import NOW, order, rows

STAFF = {
    # by id: name, role, region and location
    "pia.lund": ("Pia Lund", "store_associate", "", "S1"),
    "lea.marx": ("Lea Marx", "store_associate", "", "S2"),
}


@pytest.fixture
async def staff(retailer: ledger.engine.Database) -> None:
    """An associate of Store S1 and one of Store S2, who sign in as the others do."""

    async def work(tx: Transaction) -> None:
        for person_id, (name, role, region, location) in STAFF.items():
            row = {"id": person_id, "name": name, "email": f"{person_id}@stores.example", "home_location": location}
            await tx.conn.execute(insert(tables.person).values(**row))
            role_row = {"person_id": person_id, "role": role, "region": region, "location": location}
            await tx.conn.execute(insert(tables.person_role).values(**role_row))
            secret = {"person_id": person_id, "password_hash": _HASH, "changed_at": NOW - timedelta(days=365)}
            await tx.conn.execute(insert(tables.credential).values(**secret))
        await tx.conn.execute(
            update(tables.location).where(tables.location.c.code == "S1").values(time_zone="Europe/Berlin")
        )

    await retailer.write(work, actor="test", via="test")


def two_lines(order_id: str, *, apples: int = 2, bread: int = 1) -> dict[str, Any]:
    """An order of apples and bread at Store S1, every line 1.29 without tax."""
    lines = [
        {"line_id": line_id, "sku": sku, "quantity": quantity, "unit_price_minor": 129}
        for line_id, sku, quantity in (("1", "APPLE", apples), ("2", "BREAD", bread))
    ]
    paid = {"reference": "pay_1", "tender": "card", "amount_minor": 129 * (apples + bread), "state": "captured"}
    return order(order_id) | {"lines": lines, "payments": [paid]}


async def place(web: httpx2.AsyncClient, order_id: str, **more: Any) -> str:
    """Place an order of two lines; returns its journey."""
    answer = await web.post("/api/v1/bopis-orders", json=two_lines(order_id, **more))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["journey_id"])


async def event(web: httpx2.AsyncClient, kind: str, event_id: str, **data: Any) -> dict[str, Any]:
    """Report an event as the shop's system does; it must be accepted."""
    body = {"id": event_id, "type": kind, "occurred_at": datetime.now(UTC).isoformat(), "data": data}
    answer = await web.post("/api/v1/events", json={"events": [body]})
    (outcome,) = answer.json()["results"]
    assert outcome["outcome"] == "accepted", outcome
    return dict(outcome)


async def pick_all(web: httpx2.AsyncClient, journey_id: str, *, apples: int = 2, bread: int = 1) -> None:
    """Bring everything to the hold shelf; the order is ready then."""
    lines = [{"line_id": "1", "quantity": apples}, {"line_id": "2", "quantity": bread}]
    await event(web, "bopis.picked", f"pick-{journey_id}", journey_id=journey_id, picker="system", lines=lines)


async def code_of(database: ledger.engine.Database, journey_id: str) -> str:
    async with database.read() as conn:
        query = tables.journey.select().where(tables.journey.c.id == journey_id)
        row = (await conn.execute(query)).mappings().one()
    return str(row["detail"]["pickup_code"])


def form_of(page: str) -> dict[str, str]:
    """The fields of a page's form as a browser would send them untouched, less the button."""
    html = re.split(r'<form method="post"[^>]* action="/store/', page, maxsplit=1)[1].split("</form>", 1)[0]
    fields = dict.fromkeys(re.findall(r'<select name="([^"]+)"', html), "")
    for tag in re.findall(r"<input [^>]*>", html):
        name = re.search(r' name="([^"]*)"', tag)
        value = re.search(r' value="([^"]*)"', tag)
        if name and (("radio" not in tag and "checkbox" not in tag) or " checked" in tag):
            fields[name[1]] = value[1] if value else ""
    return fields


async def line(database: ledger.engine.Database, journey_id: str, line_id: str) -> dict[str, Any]:
    found = await rows(database, tables.journey_line)
    return next(row for row in found if (row["journey_id"], row["line_id"]) == (journey_id, line_id))


async def facts(database: ledger.engine.Database) -> list[dict[str, Any]]:
    """What was reported on pages."""
    return [row for row in await rows(database, tables.event_inbox) if row["source"] == "console"]

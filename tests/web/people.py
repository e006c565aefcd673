"""People who sign in: passwords for the retailer's people, and browsers that keep their cookies."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import insert

import ledger.engine
from domain.messages import Step
from ledger.bopis.steps import open_case
from ledger.tables import credential
from ledger.transaction import Transaction
from tests.web.retail import NOW, PEOPLE, order

PASSWORD = "long enough for a test"
_HASH = PasswordHasher(time_cost=1, memory_cost=1024).hash(PASSWORD)
SITE = "http://endcap.test"
SignIn = Callable[[str], Awaitable[httpx2.AsyncClient]]


def email_of(person_id: str) -> str:
    return f"{person_id}@stores.example"


@pytest.fixture
async def accounts(retailer: ledger.engine.Database) -> None:
    """A local account for each of the retailer's people."""

    async def work(tx: Transaction) -> None:
        for person_id in PEOPLE:
            row = {"person_id": person_id, "password_hash": _HASH, "changed_at": NOW - timedelta(days=365)}
            await tx.conn.execute(insert(credential).values(row))

    await retailer.write(work, actor="test", via="test")


@pytest.fixture
async def browse(app: FastAPI) -> AsyncIterator[Callable[[], httpx2.AsyncClient]]:
    """`browse()`: a browser of its own that sends forms as from the console's own pages."""
    clients: list[httpx2.AsyncClient] = []

    def made() -> httpx2.AsyncClient:
        headers = {"Accept": "text/html", "Origin": SITE, "Sec-Fetch-Site": "same-origin"}
        clients.append(httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=SITE, headers=headers))
        return clients[-1]

    yield made
    for client in clients:
        await client.aclose()


@pytest.fixture
def sign_in(accounts: None, browse: Callable[[], httpx2.AsyncClient]) -> SignIn:
    """`await sign_in("sam.ortega")`: a browser in which that person is signed in."""

    async def enter(person_id: str) -> httpx2.AsyncClient:
        client = browse()
        answer = await client.post("/sign-in", data={"email": email_of(person_id), "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client

    return enter


async def failed_order(
    web: httpx2.AsyncClient, database: ledger.engine.Database, order_id: str = "W-1", *, sku: str = "APPLE"
) -> int:
    """An order for more than its store has, and the case that its workflow opens; returns the case's number."""
    placed = await web.post("/api/v1/bopis-orders", json=order(order_id, sku=sku, quantity=12))
    assert placed.status_code == 201, placed.text
    assert placed.json()["state"] == "reservation_failed"
    step = Step(subject=placed.json()["journey_id"], occurrence="1", at=datetime.now(UTC))
    situation = await open_case(database, step)
    assert situation.case_id is not None
    return situation.case_id

"""An order whose goods a transfer brings: each of the two pages leads to the other, for whoever sees both."""

from datetime import UTC, datetime

import httpx2

import ledger.engine
from domain.messages import Step
from domain.people import Grant, Person
from ledger import decisions
from ledger.bopis import steps
from ledger.tables import location, stock
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in

__all__ = ["accounts", "browse", "sign_in"]
SAM = Person("sam.ortega", "Sam Ortega", "sam.ortega@stores.example", (Grant("regional_ops", "", "NORTH", ""),))
ORDER = "bopis:web:W-1"


async def sent_to_the_store(web: httpx2.AsyncClient, database: ledger.engine.Database) -> str:
    """An order that lacks some, which a warehouse of the south sends; returns the transfer."""
    async with database.engine.begin() as conn:
        await conn.execute(
            location.insert().values(code="DC", name="Warehouse", kind="dc", region="SOUTH", entity="US01")
        )
        await conn.execute(stock.insert().values(location="DC", sku="APPLE", available=50))
    number = await failed_order(web, database)
    agreed = {"agreed_by_phone": True}
    answer = await decisions.decide(database, number, SAM, option_id="ship_to_store:DC", parameters=agreed, via="test")
    step = Step(subject=ORDER, occurrence="d", at=datetime.now(UTC), decision_id=answer.decision_id)
    assert (await steps.apply_decision(database, step)).state == "ship_to_store"
    return f"transfer:endcap:W-1-decision-{answer.decision_id}"


async def test_each_page_leads_to_the_other(
    web: httpx2.AsyncClient, sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    moved = await sent_to_the_store(web, retailer)
    sam = await sign_in("sam.ortega")
    page = (await sam.get(f"/console/journeys/{ORDER}")).text
    assert "Still to come" in page
    assert f'href="/console/journeys/{moved}"' in page
    page = (await sam.get(f"/console/journeys/{moved}")).text
    assert f'href="/console/journeys/{ORDER}"' in page


async def test_the_warehouse_sees_its_transfer_and_not_the_order(
    web: httpx2.AsyncClient, sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    moved = await sent_to_the_store(web, retailer)
    sol = await sign_in("sol.byrne")
    page = await sol.get(f"/console/journeys/{moved}")
    assert page.status_code == 200
    assert f'href="/console/journeys/{ORDER}"' not in page.text
    assert (await sol.get(f"/console/journeys/{ORDER}")).status_code == 404

"""Events that were set aside, in the console: seen and taken again by those who decide at the place of their case."""

import httpx2

import ledger.engine
from ledger import facts, tables
from ledger.transaction import Transaction
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.test_api_events import event, send

__all__ = ["accounts", "browse", "sign_in"]


def unknown(number: str, sku: str = "NEW") -> dict[str, object]:
    lines = [{"line": "1", "sku": sku, "quantity": 1, "unit_price_minor": 100}]
    return event(number, "pos.sale", {"location": "S1", "receipt": f"R-{number}", "lines": lines})


async def mend(database: ledger.engine.Database, sku: str = "NEW") -> None:
    async def work(tx: Transaction) -> None:
        await tx.conn.execute(tables.item.insert().values(sku=sku, name=sku, price_minor=100, cost_minor=60))

    await database.write(work, actor="test", via="test")


async def test_the_case_leads_to_its_events_and_each_can_be_taken_again(
    sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database, app: object
) -> None:
    case_id = (await send(web, unknown("e-1"), unknown("e-2"), unknown("e-3", "OTHER")))[0]["case_id"]
    sam = await sign_in("sam.ortega")
    assert f'href="/console/events?case={case_id}"' in (await sam.get(f"/console/cases/{case_id}")).text
    listed = (await sam.get(f"/console/events?case={case_id}")).text
    assert ("e-1" in listed, "e-2" in listed, "e-3" in listed) == (True, True, False)
    form = {"source": "web", "event_id": "e-1", "case": str(case_id)}
    missed = await sam.post("/console/events/replay", data=form, follow_redirects=True)
    assert "The event was not taken" in missed.text
    await mend(retailer)
    taken = await sam.post("/console/events/replay", data=form, follow_redirects=True)
    assert "The event was taken." in taken.text
    assert "e-1" not in taken.text
    assert "e-2" in taken.text
    again = await sam.post("/console/events/replay", data=form)
    assert again.status_code == 404


async def test_the_option_of_the_case_takes_all_of_its_events(
    sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
) -> None:
    case_id = (await send(web, unknown("e-1"), unknown("e-2")))[0]["case_id"]
    await mend(retailer)
    sam = await sign_in("sam.ortega")
    decided = await sam.post(f"/console/cases/{case_id}/decide", data={"option": "replay"}, follow_redirects=True)
    assert "Applying" in decided.text
    assert await facts.finish(retailer_with_keys(retailer, web)) == 1
    assert "2 reports were taken." in (await sam.get(f"/console/cases/{case_id}")).text
    [first] = [row for row in await rows(retailer, tables.stock) if row["sku"] == "NEW"]
    assert first["available"] == -2


def retailer_with_keys(retailer: ledger.engine.Database, web: httpx2.AsyncClient) -> ledger.engine.Database:
    """The application's own database, which has the keys that the events were sealed with."""
    found: ledger.engine.Database = web._transport.app.state.database  # type: ignore[attr-defined]
    assert found.url == retailer.url
    return found


async def test_neither_another_region_nor_an_auditor_takes_them(
    sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
) -> None:
    await send(web, unknown("e-1"))
    await mend(retailer)
    form = {"source": "web", "event_id": "e-1"}
    sol, ida = await sign_in("sol.byrne"), await sign_in("ida.noor")
    assert "Nothing is set aside" in (await sol.get("/console/events")).text
    assert (await sol.post("/console/events/replay", data=form)).status_code == 404
    seen = (await ida.get("/console/events")).text
    assert "e-1" in seen
    assert "Take again" not in seen.split("<tbody>")[1]
    assert (await ida.post("/console/events/replay", data=form)).status_code == 403
    assert [row["outcome"] for row in await rows(retailer, tables.event_inbox)] == ["quarantined"]

"""Taking back what was refused, by pages: asked at the counter and at the console, agreed to by page and by link, and
counted on the figures and the codes.
"""

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert

import ledger.engine
from domain.messages import Step
from ledger import tables, verdicts
from ledger.people import person_by_id
from ledger.returns import steps
from ledger.transaction import Transaction
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.store import event, pick_all, place, staff

__all__ = ["accounts", "browse", "sign_in", "staff"]
pytestmark = pytest.mark.usefixtures("staff")
type Ledger = ledger.engine.Database
RETURN = "returns:web:RT-1"
CONSOLE = f"/console/returns/{RETURN}/override"
COUNTER = f"/store/S1/returns/{RETURN}"


@pytest.fixture
async def refused(web: httpx2.AsyncClient, retailer: Ledger) -> str:
    """Two apples and a bread were collected; policy does not take the bread back."""
    order = await place(web, "W-1")
    await pick_all(web, order)
    await event(web, "bopis.handed_over", "h-1", journey_id=order, lines=None, actor="p")

    async def work(tx: Transaction) -> None:
        row = {"version": "final", "effective_from": datetime(2020, 1, 2, tzinfo=UTC)}
        body = {"returns": {"final_sale_skus": ["BREAD"]}}
        await tx.conn.execute(insert(tables.policy_document).values(**row, body=body))

    await retailer.write(work, actor="test", via="test")
    lines = [
        {"line_id": "1", "sku": "APPLE", "quantity": 1, "reason": "changed_mind"},
        {"line_id": "2", "sku": "BREAD", "quantity": 1, "reason": "changed_mind"},
    ]
    wanted = {"return_id": "RT-1", "order_reference": "W-1", "returned_to": "S1", "currency": "USD", "lines": lines}
    assert (await web.post("/api/v1/returns", json=wanted)).status_code == 201
    return RETURN


async def overrides(retailer: Ledger) -> list[tuple[str, str, str]]:
    return [(row["asked_by"], row["reason"], row["state"]) for row in await rows(retailer, tables.return_override)]


async def agree(retailer: Ledger, verdict: str = "approve") -> None:
    """Somebody who may has answered, and the journey has heard of it."""
    (asked,) = await rows(retailer, tables.return_override)
    ana = await person(retailer, "ana.ruiz")
    await verdicts.record_verdict(retailer, asked["approval_id"], ana, verdict=verdict, note="ok", via="test")
    await steps.attend(retailer, Step(subject=RETURN, occurrence="1", at=datetime.now(UTC)))


async def person(retailer: Ledger, who: str) -> Any:
    async with retailer.read() as conn:
        found = await person_by_id(conn, who)
    assert found is not None
    return found


class TestConsole:
    async def test_asked_on_the_page_of_the_return_and_agreed_to_behind_a_link(
        self, sign_in: SignIn, retailer: Ledger, refused: str
    ) -> None:
        sam = await sign_in("sam.ortega")
        page = (await sam.get(f"/console/journeys/{refused}")).text
        assert "Override what was refused" in page
        assert 'value="2" checked' in page
        assert 'value="1"' not in page.split('id="override"', 1)[1].split("</section>", 1)[0]
        form = {"line": "2", "reason": "goodwill", "note": "She comes every week."}
        answer = await sam.post(CONSOLE, data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/journeys/returns:web:RT-1")
        assert await overrides(retailer) == [("sam.ortega", "goodwill", "pending")]
        page = (await sam.get(f"/console/journeys/{refused}")).text
        assert "asked by Sam Ortega" in page
        assert CONSOLE not in page
        (asked,) = await rows(retailer, tables.approval)
        seen = (await sam.get(f"/console/approvals/{asked['id']}")).text
        assert "She comes every week." in seen
        assert "What was refused stays refused, and the customer is told" in seen
        await agree(retailer)
        page = (await sam.get(f"/console/journeys/{refused}")).text
        assert "Allowed by an override (goodwill)" in page

    @pytest.mark.parametrize(
        ("form", "says"),
        [
            ({"reason": "goodwill"}, "Tick what is to be taken back."),
            ({"line": "2"}, "Choose why it is taken back"),
            ({"line": "1", "reason": "goodwill"}, "Nothing of line 1 was refused"),
            ({"line": "2", "reason": "because"}, "because is no reason of this policy"),
            ({"line": "2", "reason": "goodwill", "note": "x" * 4_001}, "4,000 characters at most"),
        ],
    )
    async def test_a_refusal_is_said_on_the_page(
        self, sign_in: SignIn, retailer: Ledger, refused: str, form: dict[str, str], says: str
    ) -> None:
        sam = await sign_in("sam.ortega")
        answer = await sam.post(CONSOLE, data=form)
        assert answer.status_code >= 400
        assert says in answer.text
        assert await overrides(retailer) == []

    async def test_who_may_only_look_and_who_is_of_another_region(
        self, sign_in: SignIn, retailer: Ledger, refused: str
    ) -> None:
        form = {"line": "2", "reason": "goodwill"}
        sol = await sign_in("sol.byrne")
        assert (await sol.post(CONSOLE, data=form)).status_code == 404
        ida = await sign_in("ida.noor")
        answer = await ida.post(CONSOLE, data=form)
        assert (answer.status_code, "may look at this return" in answer.text) == (403, True)
        assert "Ask to override" not in answer.text
        sam = await sign_in("sam.ortega")
        assert (await sam.post("/console/returns/bopis:web:W-1/override", data=form)).status_code == 404
        assert await overrides(retailer) == []


class TestCounter:
    async def test_an_associate_asks_and_the_page_says_that_somebody_is_asked(
        self, sign_in: SignIn, retailer: Ledger, refused: str
    ) -> None:
        pia = await sign_in("pia.lund")
        page = (await pia.get(COUNTER)).text
        assert "Take back what was refused all the same" in page
        answer = await pia.post(f"{COUNTER}/override", data={"line": "2", "reason": "our_mistake"})
        assert (answer.status_code, answer.headers["location"].split("/")[-1]) == (303, "returns:web:RT-1")
        assert await overrides(retailer) == [("pia.lund", "our_mistake", "pending")]
        page = (await pia.get(COUNTER)).text
        assert "Somebody is asked whether to take back what was refused." in page
        assert "all the same" not in page

    async def test_what_was_typed_is_kept(self, sign_in: SignIn, retailer: Ledger, refused: str) -> None:
        pia = await sign_in("pia.lund")
        answer = await pia.post(f"{COUNTER}/override", data={"line": "2", "note": "She was told so."})
        assert answer.status_code == 422
        assert "Choose why it is taken back" in answer.text
        assert "She was told so." in answer.text
        assert await overrides(retailer) == []

    async def test_an_associate_of_another_store(self, sign_in: SignIn, retailer: Ledger, refused: str) -> None:
        lea = await sign_in("lea.marx")
        answer = await lea.post(f"{COUNTER}/override", data={"line": "2", "reason": "goodwill"})
        assert answer.status_code == 404
        assert await overrides(retailer) == []


async def test_they_are_counted_on_the_figures_and_on_the_codes(
    sign_in: SignIn, retailer: Ledger, refused: str
) -> None:
    sam = await sign_in("sam.ortega")
    before = (await sam.get("/console/figures")).text
    assert "Who overrides what was refused" not in before
    await sam.post(CONSOLE, data={"line": "2", "reason": "goodwill"})
    await agree(retailer)
    page = (await sam.get("/console/figures")).text
    askers = page.split('id="askers"', 1)[1].split("</section>", 1)[0]
    assert ("Sam Ortega" in askers, "1.29 USD" in askers) == (True, True)
    figure = page.split('id="kpi-return_overrides"', 1)[1].split("</section>", 1)[0]
    assert ("100.0 %" in figure, "n = 1<" in figure) == (True, True)
    codes = (await sam.get("/console/codes")).text
    assert "Returns taken back although they were refused" in codes
    sol = await sign_in("sol.byrne")
    assert "Sam Ortega" not in (await sol.get("/console/figures")).text.split("<main", 1)[1]

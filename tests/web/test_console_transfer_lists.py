"""Lists of transfers in the console, asking for one, calling one off, and claims against carriers."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert

import ledger.engine
from ledger import tables
from ledger.people import person_by_id
from ledger.reads.claims import ClaimFilter, list_claims
from ledger.transaction import Transaction
from tests.ledger.support.books import accounts as books
from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.transfers import Moved
from tests.shop import Shop
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.test_api_transfers import event, wanted

__all__ = ["accounts", "browse", "sign_in"]
type Ledger = ledger.engine.Database
LIST, MOVING, NEW = "/console/transfers", "/console/transfers/moving", "/console/transfers/new"
PAGE = "/console/journeys/transfer:web:T-1"
CANCEL = "/console/transfers/transfer:web:T-1/cancel"


async def ask(web: httpx2.AsyncClient, key: str = "T-1", **more: Any) -> None:
    assert (await web.post("/api/v1/transfers", json=wanted(key, **more))).status_code == 201


async def shipped(web: httpx2.AsyncClient, **more: Any) -> None:
    await ask(web)
    assert (await event(web, 1, "shipped", lines=None, **more))["outcome"] == "accepted"


def table_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


class TestTheList:
    async def test_its_filters_live_in_the_address_and_in_the_table(
        self, sign_in: SignIn, web: httpx2.AsyncClient
    ) -> None:
        await shipped(web)
        await ask(web, "T-2", reason="recall")
        sam = await sign_in("sam.ortega")
        page = (await sam.get(f"{LIST}?reason=recall&place=S1")).text
        assert (">T-2</a>" in page, ">T-1</a>" in page) == (True, False)
        assert f'href="{LIST}.csv?reason=recall&amp;place=S1"' in page
        told = await sam.get(f"{LIST}.csv?reason=recall&place=S1")
        assert told.headers["content-type"] == "text/csv; charset=utf-8"
        assert [(row["key"], row["wanted"], row["in_transit"]) for row in table_of(told.text)] == [("T-2", "2", "0")]
        every = table_of((await sam.get(f"{LIST}.csv")).text)
        assert [(row["key"], row["state"], row["in_transit"]) for row in every] == [
            ("T-2", "ready_to_ship", "0"), ("T-1", "in_transit", "2"),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "query", ["colour=red", "state=lost", "reason=because", "late=maybe", "asked=1", "state=open,lost"]
    )
    async def test_what_means_nothing_is_named_and_a_file_refuses_it(
        self, sign_in: SignIn, web: httpx2.AsyncClient, query: str
    ) -> None:
        await ask(web)
        sam = await sign_in("sam.ortega")
        page = await sam.get(f"{LIST}?{query}")
        assert page.status_code == 200
        assert f"<code>{query}</code>" in page.text
        assert ">T-1</a>" in page.text
        told = await sam.get(f"{LIST}.csv?{query}")
        assert told.status_code == 422
        assert "Not understood" in told.text

    async def test_a_cursor_of_another_list_is_refused(self, sign_in: SignIn) -> None:
        answer = await (await sign_in("sam.ortega")).get(f"{LIST}?cursor=abc")
        assert (answer.status_code, "cursor" in answer.text) == (422, True)

    async def test_another_region_sees_neither_list_nor_file(self, sign_in: SignIn, web: httpx2.AsyncClient) -> None:
        await shipped(web)
        sol = await sign_in("sol.byrne")
        for address in (LIST, f"{LIST}.csv", MOVING, f"{MOVING}.csv"):
            answer = await sol.get(address)
            assert (answer.status_code, "T-1" in answer.text) == (200, False)


class TestOnTheWay:
    async def test_by_age_and_value_as_in_the_books(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        await shipped(web, carrier="Parcel Co", tracking="PC-1")
        sam = await sign_in("sam.ortega")
        page = (await sam.get(MOVING)).text
        worth = (await books(retailer))["goods_in_transit"]
        assert f"To US01: {worth / 100:.2f} USD" in page
        assert "Parcel Co" in page
        # What the event said of its instant decides, whenever the test runs.
        band = re.findall(rf'href="{MOVING}\?age=(\d)"', page)
        assert len(band) == 1
        assert ">T-1</a>" in (await sam.get(f"{MOVING}?age={band[0]}")).text
        other = (int(band[0]) + 1) % 5
        assert ">T-1</a>" not in (await sam.get(f"{MOVING}?age={other}")).text
        told = table_of((await sam.get(f"{MOVING}.csv?age={band[0]}")).text)
        assert [(row["key"], row["units"], row["value_minor"]) for row in told] == [("T-1", "2", str(worth))]
        assert table_of((await sam.get(f"{MOVING}.csv?age={other}")).text) == []

    @pytest.mark.parametrize("query", ["age=9", "age=old", "state=open", "age=%C2%B2"])
    async def test_what_means_nothing_is_named(self, sign_in: SignIn, query: str) -> None:
        sam = await sign_in("sam.ortega")
        assert "Not understood and left out" in (await sam.get(f"{MOVING}?{query}")).text
        assert (await sam.get(f"{MOVING}.csv?{query}")).status_code == 422


FORM = {"from": "S1", "to": "S2", "reason": "rebalance", "needed_by": "", "lines": "APPLE 2\nBREAD\t1\n"}


class TestAsking:
    async def test_looked_at_first_then_sent_once(self, sign_in: SignIn, retailer: Ledger) -> None:
        sam = await sign_in("sam.ortega")
        looked = (await sam.post(NEW, data=FORM | {"lines": "APPLE 99\nAPPLE 1"})).text
        assert "What would become of it now" in looked
        assert re.search(r"\d+ too few", looked)
        assert await rows(retailer, tables.transfer) == []
        (key,) = re.findall(r'name="transfer_id" value="([^"]+)"', looked)
        answers = [await sam.post(LIST, data=FORM | {"transfer_id": key}) for _ in range(2)]
        assert {answer.headers["location"] for answer in answers} == {f"/console/journeys/transfer:console:{key}"}
        assert [answer.status_code for answer in answers] == [303, 303]
        (made,) = await rows(retailer, tables.transfer)
        assert (made["from_location"], made["to_location"]) == ("S1", "S2")
        lines = await rows(retailer, tables.transfer_line)
        assert {(row["sku"], row["ordered"]) for row in lines} == {("APPLE", 2), ("BREAD", 1)}
        (journey,) = await rows(retailer, tables.journey)
        assert journey["requested_by"] == "sam.ortega"
        assert key in (await sam.get(answers[0].headers["location"])).text

    async def test_the_page_of_an_item_leads_to_it(self, sign_in: SignIn, web: httpx2.AsyncClient) -> None:
        page = (await (await sign_in("sam.ortega")).get("/console/stock?location=S1&sku=APPLE")).text
        assert f'href="{NEW}?from=S1&amp;lines=APPLE+1"' in page
        assert f'href="{NEW}?to=S1&amp;lines=APPLE+1"' in page

    async def test_an_address_fills_the_form(self, sign_in: SignIn) -> None:
        page = (await (await sign_in("sam.ortega")).get(f"{NEW}?from=S2&to=S1&lines=APPLE+1")).text
        assert '<option value="S2" selected>' in page
        assert "Nobody has to agree" in page

    async def test_who_asked_for_a_large_one_does_not_agree_to_it(self, sign_in: SignIn, retailer: Ledger) -> None:
        sam = await sign_in("sam.ortega")
        looked = (await sam.post(NEW, data=FORM | {"lines": "APPLE 800"})).text
        assert "A manager of Store S1 has to agree." in looked
        answer = await sam.post(LIST, data=FORM | {"transfer_id": "big", "lines": "APPLE 800"})
        assert answer.status_code == 303
        (approval,) = await rows(retailer, tables.approval)
        assert "sam.ortega" in approval["barred"]

    @pytest.mark.parametrize(
        ("typed", "says"),
        [
            ({"from": ""}, "Choose where the goods are."),
            ({"to": "S99"}, "Choose where they are to go."),
            ({"to": "S1"}, "goods go from one place to another"),
            ({"lines": "APPLE"}, "Line 1 is no SKU"),
            ({"lines": "APPLE 0"}, "Line 1 is no SKU"),
            ({"lines": "APPLE 2 3"}, "Line 1 is no SKU"),
            ({"lines": "APPLE -2"}, "Line 1 is no SKU"),
            ({"lines": " \n"}, "Enter what is to go"),
            ({"lines": "NONE 2"}, "SKU NONE"),
            ({"reason": "because"}, "reason"),
            ({"needed_by": "soon"}, "as a date and a time"),
            ({"needed_by": "2001-01-01T10:00"}, "needed before it is asked for"),
        ],
    )
    async def test_what_is_wrong_is_said_and_what_was_typed_stays(
        self, sign_in: SignIn, retailer: Ledger, typed: dict[str, str], says: str
    ) -> None:
        sam = await sign_in("sam.ortega")
        answer = await sam.post(LIST, data=FORM | {"transfer_id": "mine"} | typed)
        assert answer.status_code == 422
        assert says in answer.text
        assert 'value="mine"' in answer.text
        assert await rows(retailer, tables.transfer) == []

    @pytest.mark.parametrize(("person", "typed"), [("ida.noor", {}), ("sam.ortega", {"from": "S9", "to": "S9"})])
    async def test_who_decides_at_neither_end_is_refused(
        self, sign_in: SignIn, retailer: Ledger, person: str, typed: dict[str, str]
    ) -> None:
        async def another(tx: Transaction) -> None:
            (south,) = [row for row in await rows(retailer, tables.location) if row["code"] == "S9"]
            await tx.conn.execute(insert(tables.location).values(**{**south, "code": "S8", "name": "Store S8"}))

        await retailer.write(another, actor="test", via="test")
        answer = await (await sign_in(person)).post(LIST, data=FORM | {"to": "S8"} | typed)
        assert answer.status_code in (403, 422)
        assert await rows(retailer, tables.transfer) == []

    async def test_the_same_form_with_something_else_in_it_is_refused(self, sign_in: SignIn, retailer: Ledger) -> None:
        sam = await sign_in("sam.ortega")
        assert (await sam.post(LIST, data=FORM | {"transfer_id": "mine"})).status_code == 303
        answer = await sam.post(LIST, data=FORM | {"transfer_id": "mine", "lines": "APPLE 1"})
        assert (answer.status_code, "used before with another body" in answer.text) == (422, True)
        assert len(await rows(retailer, tables.transfer)) == 1


class TestCallingOff:
    async def test_before_it_has_left_what_is_reserved_is_free_again(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        await ask(web)
        sam = await sign_in("sam.ortega")
        assert f'action="{CANCEL}"' in (await sam.get(PAGE)).text
        answer = await sam.post(CANCEL, data={"reason": "not needed"})
        assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
        page = (await sam.get(PAGE)).text
        assert "may be promised again" in page
        assert f'action="{CANCEL}"' not in page
        again = await sam.post(CANCEL, data={"reason": "not needed"})
        assert (again.status_code, "is cancelled already" in again.text) == (409, True)
        await assert_books_agree(retailer)

    async def test_on_its_way_a_case_offers_to_bring_it_back(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        await shipped(web)
        sam = await sign_in("sam.ortega")
        assert "Call it off, bring it back" in (await sam.get(PAGE)).text
        assert (await sam.post(CANCEL, data={"reason": "wrong store"})).status_code == 303
        (case,) = await rows(retailer, tables.case_file)
        assert (case["kind"], [one["id"] for one in case["options"]]) == (
            "transfer_cancelled", ["bring_back", "carry_on", "accept"],
        )  # fmt: skip
        shown = (await sam.get(f"/console/cases/{case['id']}")).text
        assert "Store S1" in shown
        assert "Place(" not in shown

    async def test_a_reason_is_needed_and_an_auditor_only_looks(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        await ask(web)
        without = await (await sign_in("sam.ortega")).post(CANCEL, data={"reason": " "})
        assert (without.status_code, "Say why it is called off." in without.text) == (422, True)
        ida = await sign_in("ida.noor")
        assert f'action="{CANCEL}"' not in (await ida.get(PAGE)).text
        refused = await ida.post(CANCEL, data={"reason": "words"})
        assert (refused.status_code, "not call it off" in refused.text) == (403, True)
        assert (await rows(retailer, tables.journey))[0]["state"] == "ready_to_ship"


class TestChangingItsLines:
    LINES = "/console/transfers/transfer:web:T-1/lines"

    @pytest.fixture
    async def large(self, web: httpx2.AsyncClient) -> None:
        """One that a manager is asked about."""
        await ask(web, lines=[{"line_id": "1", "sku": "APPLE", "quantity": 800}])

    async def test_another_value_asks_whom_it_needs(self, sign_in: SignIn, retailer: Ledger, large: None) -> None:
        sam = await sign_in("sam.ortega")
        assert f'href="{self.LINES}"' in (await sam.get(PAGE)).text
        assert "APPLE 800</textarea>" in (await sam.get(self.LINES)).text
        answer = await sam.post(self.LINES, data={"lines": "APPLE 3\nBREAD 1"})
        assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
        (approval,) = await rows(retailer, tables.approval)
        assert approval["state"] == "superseded"
        lines = await rows(retailer, tables.transfer_line)
        assert {(row["sku"], row["ordered"], row["reserved"]) for row in lines} == {("APPLE", 3, 3), ("BREAD", 1, 1)}
        # Nobody had to agree any more: from now on it is as it is.
        assert f'href="{self.LINES}"' not in (await sam.get(PAGE)).text
        late = await sam.post(self.LINES, data={"lines": "APPLE 1"})
        assert (late.status_code, "call it off and ask for another one" in late.text) == (409, True)
        await assert_books_agree(retailer)

    @pytest.mark.parametrize(
        ("typed", "says"), [("APPLE", "Line 1 is no SKU"), ("", "Enter what is to go"), ("NONE 3", "NONE")]
    )
    async def test_what_is_wrong_is_said_and_stays(
        self, sign_in: SignIn, retailer: Ledger, large: None, typed: str, says: str
    ) -> None:
        answer = await (await sign_in("sam.ortega")).post(self.LINES, data={"lines": typed})
        assert (answer.status_code, says in answer.text) == (422, True)
        assert f"{typed}</textarea>" in answer.text
        assert (await rows(retailer, tables.approval))[0]["state"] == "pending"

    async def test_an_auditor_only_looks(self, sign_in: SignIn, retailer: Ledger, large: None) -> None:
        ida = await sign_in("ida.noor")
        assert "</textarea>" not in (await ida.get(self.LINES)).text
        assert (await ida.post(self.LINES, data={"lines": "APPLE 1"})).status_code == 403
        assert (await rows(retailer, tables.approval))[0]["state"] == "pending"


@pytest.fixture
async def claim_id(web: httpx2.AsyncClient, sign_in: SignIn, retailer: Ledger) -> int:
    """Two apples that a carrier has lost, claimed by a decision."""
    await shipped(web, carrier="Parcel Co", tracking="PC-1")
    assert (await event(web, 2, "received", lines=[{"line_id": "1", "quantity": 0}], complete=True))[
        "outcome"
    ] == "accepted"
    moved = Moved(Shop(retailer), "transfer:web:T-1", None)  # type: ignore[arg-type]  # its answer is not looked at
    await moved.compare()
    async with retailer.read() as conn:
        sam = await person_by_id(conn, "sam.ortega")
    assert sam is not None
    await moved.decide("carrier_claim", sam, root_cause="lost_by_carrier")
    async with retailer.read() as conn:
        (one,) = (await list_claims(conn, None, ClaimFilter())).items
    return one.id


class TestClaims:
    async def test_sent_answered_in_part_and_paid(self, sign_in: SignIn, retailer: Ledger, claim_id: int) -> None:
        sam, here = await sign_in("sam.ortega"), f"/console/claims/{claim_id}"
        assert "1.40 USD</b> may still come" in (await sam.get("/console/claims")).text
        assert "It was sent" in (await sam.get(here)).text
        assert (await sam.post(f"{here}/sent")).headers["location"] == here
        assert "Sent to the carrier" in (await sam.get(here)).text
        answered = await sam.post(f"{here}/answer", data={"accepted": "1,00", "reference": "PC-77"})
        assert answered.status_code == 303
        page = (await sam.get(here)).text
        assert "the rest, 0.40 USD, is a loss in transit" in page
        assert "PC-77" in page
        assert (await sam.post(f"{here}/paid")).status_code == 303
        assert "payment_clearing" in await books(retailer)
        (row,) = table_of((await sam.get("/console/claims.csv?state=paid")).text)
        assert (row["id"], row["accepted_minor"], row["carrier"]) == (str(claim_id), "100", "Parcel Co")
        again = await sam.post(f"{here}/paid")
        assert (again.status_code, "it cannot become paid" in again.text) == (409, True)
        await assert_books_agree(retailer)

    @pytest.mark.parametrize(
        ("accepted", "says"),
        [("", "Write an amount of USD"), ("-1", "Write an amount"), ("1.999", "Write an amount"),
         ("9", "Only 1.40 USD were claimed"), ("1.", "Write an amount"), ("one", "Write an amount")],
    )  # fmt: skip
    async def test_what_is_no_answer_is_said_and_stays_in_its_field(
        self, sign_in: SignIn, retailer: Ledger, claim_id: int, accepted: str, says: str
    ) -> None:
        sam = await sign_in("sam.ortega")
        answer = await sam.post(f"/console/claims/{claim_id}/answer", data={"accepted": accepted})
        assert answer.status_code == 422
        assert says in answer.text
        assert f'value="{accepted}"' in answer.text
        assert (await rows(retailer, tables.carrier_claim))[0]["state"] == "opened"

    async def test_an_auditor_looks_and_another_region_does_not(
        self, sign_in: SignIn, retailer: Ledger, claim_id: int
    ) -> None:
        here = f"/console/claims/{claim_id}"
        ida, sol = await sign_in("ida.noor"), await sign_in("sol.byrne")
        assert "It was sent" not in (await ida.get(here)).text
        assert (await ida.post(f"{here}/sent")).status_code == 403
        assert (await sol.get(here)).status_code == 404
        assert (await sol.post(f"{here}/sent")).status_code == 404
        assert "Parcel Co" not in (await sol.get("/console/claims")).text
        assert (await rows(retailer, tables.carrier_claim))[0]["state"] == "opened"

    async def test_what_means_nothing_is_named(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        for query in ("state=lost", "colour=red"):
            assert "Not understood" in (await sam.get(f"/console/claims?{query}")).text
            assert (await sam.get(f"/console/claims.csv?{query}")).status_code == 422

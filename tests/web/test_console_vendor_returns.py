"""Vendor returns at the console: found, looked at, and what is said of them, by forms that need no script."""

from __future__ import annotations

import csv
import io
import re

import httpx2
import pytest
from sqlalchemy import text

import ledger.engine
from ledger import tables
from tests.ledger.support.books import assert_books_agree
from tests.web.conftest import As
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.test_api_vendor_returns import claims, collected, wanted

__all__ = ["accounts", "browse", "claims", "collected", "sign_in"]  # fixtures
type Ledger = ledger.engine.Database
LIST = "/console/vendor-returns"
ONE = f"{LIST}/vendor_return:web:VR-1"


@pytest.fixture
async def sam(sign_in: SignIn, claims: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """Sam decides in the region where two loaves are gathered for their vendor."""
    assert (await claims.post("/api/v1/vendor-returns", json=wanted())).status_code == 201
    return await sign_in("sam.ortega")


async def change(retailer: Ledger, statement: str) -> None:
    async with retailer.engine.begin() as conn:
        await conn.execute(text(statement))


async def state(retailer: Ledger) -> str:
    (row,) = await rows(retailer, tables.vendor_return)
    return str(row["state"])


class TestItsPage:
    async def test_from_the_number_to_the_last_cent_with_its_books(
        self, sam: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        page = (await sam.get(ONE)).text
        assert "Return VR-1 to ACME" in page
        assert "not given" in page
        assert (await sam.post(f"{ONE}/authorize", data={"number": "RMA-9"})).status_code == 303
        done = await sam.post(f"{ONE}/ship", data={"quantity:1": "2", "carrier": "UPS", "tracking": "1Z"})
        assert (done.status_code, done.headers["location"]) == (303, ONE)
        cost = (await rows(retailer, tables.vendor_return))[0]["cost_minor"]
        page = (await sam.get(ONE)).text
        for said in ("RMA-9", "UPS", "1Z", "ACME has credited nothing yet", "then somebody is asked where it is"):
            assert said in page
        assert "every entry balances" in page
        amount = f"{(cost - 1) / 100:.2f}"
        assert (await sam.post(f"{ONE}/credit", data={"reference": "CN-1", "amount": amount})).status_code == 303
        assert await state(retailer) == "short_credited"
        assert (await sam.post(f"{ONE}/write-off", data={"reason": "a cent"})).status_code == 303
        assert await state(retailer) == "written_off"
        page = (await sam.get(ONE)).text
        assert [one in page for one in ("CN-1", "a cent", "Vendor receivable", "Sam Ortega")] == [True] * 4
        assert "Give it up" not in page
        assert page.count("rowgroup") == 3  # shipped, credited, given up
        await assert_books_agree(retailer)

    @pytest.mark.parametrize(
        ("act", "form", "says"),
        [
            ("authorize", {"number": ""}, "Enter the vendor&#39;s number"),
            ("ship", {"quantity:1": "two"}, "Enter how many of line 1 have left"),
            ("ship", {"quantity:1": "9"}, "Line 1 has 2 units."),
            ("ship", {"quantity:1": ""}, "cancel the document instead"),
            ("credit", {"reference": "CN-1", "amount": "1"}, "it cannot become"),
            ("credit", {"reference": "CN-1", "amount": "much"}, "Write an amount of USD"),
            ("write-off", {"reason": " "}, "Say why."),
            ("write-off", {"reason": "old"}, "it cannot become"),
            ("cancel", {"why": ""}, "Say why."),
        ],
    )
    async def test_a_refusal_says_what_to_do_and_changes_nothing(
        self, sam: httpx2.AsyncClient, retailer: Ledger, act: str, form: dict[str, str], says: str
    ) -> None:
        answer = await sam.post(f"{ONE}/{act}", data=form)
        assert answer.status_code in (409, 422), answer.status_code
        assert says in answer.text
        assert await state(retailer) == "open"

    async def test_what_was_typed_is_kept_and_the_same_note_counts_once(
        self, sam: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        await sam.post(f"{ONE}/ship", data={"quantity:1": "1"})
        (line,) = await rows(retailer, tables.vendor_return_line)
        assert line["shipped"] == 1
        answer = await sam.post(f"{ONE}/credit", data={"reference": "CN-7", "amount": "x"})
        assert 'value="CN-7"' in answer.text
        for _ in range(2):
            assert (await sam.post(f"{ONE}/credit", data={"reference": "CN-7", "amount": "0.10"})).status_code == 303
        assert (await rows(retailer, tables.vendor_return))[0]["credited_minor"] == 10
        answer = await sam.post(f"{ONE}/credit", data={"reference": "CN-7", "amount": "0.20"})
        assert (answer.status_code, "was 0.10 USD before" in answer.text) == (422, True)

    async def test_called_off_its_goods_wait_again(self, sam: httpx2.AsyncClient, retailer: Ledger) -> None:
        assert (await sam.post(f"{ONE}/cancel", data={"why": "wrong vendor"})).status_code == 303
        assert await state(retailer) == "cancelled"
        page = (await sam.get(ONE)).text
        assert ("It has left" in page, "Record the credit" in page) == (False, False)

    async def test_who_may_look_and_who_may_not(
        self, sam: httpx2.AsyncClient, sign_in: SignIn, retailer: Ledger
    ) -> None:
        ida = await sign_in("ida.noor")
        page = (await ida.get(ONE)).text
        assert "Your role may look at this vendor return" in page
        answer = await ida.post(f"{ONE}/ship", data={"quantity:1": "2"})
        assert answer.status_code == 403
        sol = await sign_in("sol.byrne")
        for answer in (await sol.get(ONE), await sol.post(f"{ONE}/ship", data={"quantity:1": "2"})):
            assert answer.status_code == 404
        assert await state(retailer) == "open"


class TestTheList:
    @pytest.fixture
    async def several(self, sam: httpx2.AsyncClient, retailer: Ledger) -> httpx2.AsyncClient:
        """Seven more: of three vendors, shipped 10, 20, … days ago, the one of Best for the most."""
        await change(
            retailer,
            "INSERT INTO vendor_return (id, source, key, vendor, location, region, entity, currency, state,"
            " requested_by, opened_at, shipped_at, cost_minor, credited_minor, credit_due_at)"
            " SELECT 'vendor_return:web:L-' || n, 'web', 'L-' || n, (ARRAY['ACME', 'Best', 'Corn'])[1 + n % 3],"
            " location, region, entity, currency, 'shipped', 'x', now() - n * interval '10 days',"
            " now() - n * interval '10 days',"
            " CASE WHEN n = 4 THEN 5000 ELSE 100 * n END, 0, now() + (30 - 10 * n) * interval '1 day'"
            " FROM vendor_return v, generate_series(1, 7) n WHERE v.key = 'VR-1'",
        )
        return sam

    def _shown(self, page: str) -> list[str]:
        return re.findall(r'href="/console/vendor-returns/vendor_return:web:([^"]+)"', page)

    async def test_by_state_vendor_age_and_in_three_orders(self, several: httpx2.AsyncClient) -> None:
        async def shown(query: str) -> list[str]:
            return self._shown((await several.get(f"{LIST}?{query}")).text)

        assert await shown("") == ["VR-1", *(f"L-{n}" for n in range(1, 8))]
        assert await shown("state=waiting") == ["VR-1"]
        assert await shown("state=owed&by=longest") == [f"L-{n}" for n in range(7, 0, -1)]
        assert await shown("state=owed&by=value") == ["L-4", "L-7", "L-6", "L-5", "L-3", "L-2", "L-1"]
        assert await shown("vendor=Corn") == ["L-2", "L-5"]
        assert await shown("older_d=50") == ["L-5", "L-6", "L-7"]
        assert await shown("location=S2") == []
        page = (await several.get(f"{LIST}?state=lost&nonsense=1")).text
        assert ("state=lost" in page, "nonsense=1" in page) == (True, True)
        assert len(self._shown(page)) == 8

    async def test_page_after_page_none_is_skipped_or_shown_twice(
        self, several: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("web.console.vendor_returns.PAGE_ROWS", 3)
        for by in ("newest", "longest", "value"):
            seen, href = [], f"{LIST}?by={by}"
            while href:
                page = (await several.get(href)).text
                seen += self._shown(page)
                found = re.search(r'href="([^"]+)" rel="next"', page)
                href = found[1].replace("&amp;", "&") if found else ""
            assert sorted(seen) == sorted({*seen})
            assert len(seen) == 8, by
        assert (await several.get(f"{LIST}?cursor=x")).status_code == 422

    async def test_what_each_vendor_owes_by_age(self, several: httpx2.AsyncClient) -> None:
        page = (await several.get(LIST)).text
        owing = page.split('id="owing"', 1)[1].split("</section>", 1)[0]
        found = [re.sub(r"<[^>]+>", " ", row).split() for row in owing.split("<tbody>", 1)[1].split("<tr>")[1:]]
        assert [row[0] for row in found] == ["Best", "ACME", "Corn"]
        assert " ".join(found[0]) == "Best 3 1.00 USD 50.00 USD 7.00 USD 58.00 USD"
        assert 'class="over"' in page  # its credit is overdue

    async def test_as_a_table(self, several: httpx2.AsyncClient) -> None:
        answer = await several.get(f"{LIST}.csv?state=owed&by=value")
        table = list(csv.DictReader(io.StringIO(answer.text)))
        assert [row["key"] for row in table][:2] == ["L-4", "L-7"]
        assert table[0]["open_minor"] == "5000"
        assert (await several.get(f"{LIST}.csv?nonsense=1")).status_code == 422

    async def test_of_another_region_nothing_is_shown(self, several: httpx2.AsyncClient, sign_in: SignIn) -> None:
        sol = await sign_in("sol.byrne")
        page = (await sol.get(LIST)).text
        assert "Nothing goes back to a vendor" in page
        assert 'id="owing"' not in page
        assert list(csv.DictReader(io.StringIO((await sol.get(f"{LIST}.csv")).text))) == []


async def test_it_is_found_on_the_page_more(sign_in: SignIn, as_key: As) -> None:
    page = (await (await sign_in("sam.ortega")).get("/console/more")).text
    assert 'href="/console/vendor-returns"' in page

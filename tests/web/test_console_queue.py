"""The queue: what it lists and for whom, filters that live in the address, claiming with conflicts."""

import re

import httpx2
import pytest

import ledger.engine
from ledger import tables
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from tests.web.retail import a_case, rows
from web.console.queue_address import FILTERS, read_address

__all__ = ["accounts", "browse", "sign_in"]
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}


def listed(page: str) -> list[int]:
    """The numbers of the cases on a page, in their order."""
    return [int(number) for number in re.findall(r'<li class="case-row" id="case-(\d+)"', page)]


def kept(page: str, name: str) -> str | None:
    """What the form of filters has of one: typed, chosen, or carried along."""
    if field := re.search(rf'<input[^>]* name="{name}"[^>]* value="([^"]*)"', page):
        return field[1]
    choices = re.search(rf'<select name="{name}">(.*?)</select>', page, re.DOTALL)
    chosen = choices and re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', choices[1])
    return (chosen[1] or chosen[2]) if chosen else None


class TestList:
    async def test_a_person_sees_the_cases_of_her_region_only(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        north, south = await a_case(retailer, "north"), await a_case(retailer, "south", location="S9")
        sam, sol, ida = [await sign_in(name) for name in ("sam.ortega", "sol.byrne", "ida.noor")]
        assert listed((await sam.get("/console/queue")).text) == [north]
        assert listed((await sol.get("/console/queue")).text) == [south]
        assert sorted(listed((await ida.get("/console/queue")).text)) == [north, south]

    async def test_a_row_shows_kind_place_money_owner_and_every_clock(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        await a_case(retailer, "S1/APPLE")
        page = (await (await sign_in("sam.ortega")).get("/console/queue")).text
        for words in ("Negative stock", "Store S1", "2.58 USD", "Regional ops, unclaimed", "Claim:", "Resolve:", "UTC"):
            assert words in page

    async def test_a_refresh_is_the_list_alone_and_the_page_is_whole(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam = await sign_in("sam.ortega")
        part, whole = await sam.get("/console/queue", headers=PARTIAL), await sam.get("/console/queue")
        assert listed(part.text) == listed(whole.text) == [case_id]
        assert "<html" not in part.text
        assert "<html" in whole.text
        assert "HX-Request-Type" in whole.headers["vary"]
        assert whole.headers["cache-control"] == "no-store"

    async def test_the_back_button_gets_the_whole_page(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        sam = await sign_in("sam.ortega")
        headers = {"HX-Request": "true", "HX-History-Restore-Request": "true", "HX-Request-Type": "full"}
        assert "<html" in (await sam.get("/console/queue", headers=headers)).text

    async def test_an_empty_queue_says_that_this_is_good(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        assert "All caught up" in (await sam.get("/console/queue")).text
        assert "Nothing matches these filters" in (await sam.get("/console/queue?sku=NOTHING")).text

    async def test_more_than_a_page_goes_on_without_gap_or_repeat(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        made = [await a_case(retailer, f"case {number}") for number in range(53)]
        sam = await sign_in("sam.ortega")
        first = (await sam.get("/console/queue")).text
        onward = re.search(r'href="([^"]+)" rel="next"', first)
        assert onward is not None
        second = (await sam.get(onward[1].replace("&amp;", "&"))).text
        assert sorted(listed(first) + listed(second)) == made
        assert 'rel="next"' not in second
        for page in (first, second, (await sam.get("/console/queue?text=case%205")).text):  # 5, 50, 51, 52
            number = 4 if page is not first and page is not second else 53
            assert f"{number} cases<span data-refreshes" in page


class TestFilters:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("kind=negative_inventory", True),
            ("kind=pick_short", False),
            ("severity=medium", True),
            ("severity=critical", False),
            ("region=NORTH", True),
            ("region=SOUTH", False),
            ("location=S1", True),
            ("location=S2", False),
            ("entity=US01", True),
            ("entity=FR01", False),
            ("channel=web", False),
            ("journey=transfer", False),
            ("sku=APPLE", True),
            ("sku=BREAD", False),
            ("text=shelf", True),
            ("text=apple", True),  # the item's name
            ("text=%25", False),  # a percent sign is a character, not a wildcard
            ("state=open", True),
            ("state=resolved", False),
            ("age=4h", False),
            ("order=W-404", False),
            ("tab=unassigned", True),
            ("tab=mine", False),
            ("tab=approval", False),
            ("tab=done", False),
        ],
    )
    async def test_each_filter_narrows(
        self, sign_in: SignIn, retailer: ledger.engine.Database, query: str, found: bool
    ) -> None:
        case_id = await a_case(retailer, "an empty shelf")
        page = await (await sign_in("sam.ortega")).get(f"/console/queue?{query}")
        assert (page.status_code, listed(page.text)) == (200, [case_id] if found else [])

    async def test_an_order_number_finds_its_cases(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        case_id = await failed_order(web, retailer, "W-7")
        await a_case(retailer, "another")
        sam = await sign_in("sam.ortega")
        for query in ("order=W-7", "journey=bopis", "journey=bopis&channel=web"):
            assert listed((await sam.get(f"/console/queue?{query}")).text) == [case_id], query
        for query in ("journey=returns", "journey=bopis&channel=pos"):
            assert listed((await sam.get(f"/console/queue?{query}")).text) == [], query

    @pytest.mark.parametrize(
        "query", [
            "colour=red", "kind=nonsense", "tab=nonsense", "age=9000h", "severity=loud", "state=' OR 1=1 --",
            "journey=nonsense", "journey=bopis,transfer",
        ],
    )  # fmt: skip
    async def test_what_is_not_understood_is_said(self, sign_in: SignIn, query: str) -> None:
        page = await (await sign_in("sam.ortega")).get(f"/console/queue?{query}")
        assert page.status_code == 200
        assert "Not understood and left out" in page.text

    async def test_a_script_in_a_filter_stays_text(self, sign_in: SignIn) -> None:
        page = await (await sign_in("sam.ortega")).get("/console/queue?text=<script>alert(1)</script>&<b>=<i>")
        assert "<script>alert" not in page.text
        assert "<i>" not in page.text

    async def test_a_foreign_cursor_is_refused_in_words(self, sign_in: SignIn) -> None:
        page = await (await sign_in("sam.ortega")).get("/console/queue?cursor=AAAA")
        assert page.status_code == 422
        assert "cursor" in page.text

    async def test_the_form_keeps_every_filter_of_the_address(self, sign_in: SignIn) -> None:
        """Whoever narrows a list that a figure led to still has that list."""
        given = dict.fromkeys(FILTERS, "x") | {
            "kind": "pick_short", "severity": "high", "region": "NORTH", "location": "S1", "entity": "US01",
            "journey": "bopis", "owner": "finance", "state": "resolved", "age": "4h", "opened": "today",
            "closed": "today", "due": "over", "ended": "alone", "mentions": "me",
        }  # fmt: skip
        several = {"kind": "pick_short,pick_overdue", "severity": "high,critical", "state": "resolved,cancelled"}
        sam = await sign_in("sam.ortega")
        for wanted in (given, given | several):
            page = (await sam.get("/console/queue", params=wanted)).text
            assert "Not understood" not in page
            assert {name: kept(page, name) for name in FILTERS} == wanted

    def test_filters_in_the_address_are_what_the_page_keeps(self) -> None:
        wanted = read_address({"tab": "mine", "kind": "pick_short", "text": " x ", "sku": "", "evil": "1"})
        assert (wanted.tab, wanted.given, wanted.not_understood) == (
            "mine", {"kind": "pick_short", "text": "x"}, ["evil=1"],
        )  # fmt: skip


class TestClaim:
    async def test_claiming_opens_the_case_and_writes_who_has_it(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam = await sign_in("sam.ortega")
        answer = await sam.post(f"/console/cases/{case_id}/claim", data={"version": "1", "from": "queue"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/console/cases/{case_id}")
        assert listed((await sam.get("/console/queue?tab=mine")).text) == [case_id]
        [row] = await rows(retailer, tables.case_file)
        assert (row["state"], row["claimed_by"]) == ("claimed", "sam.ortega")

    async def test_the_second_comer_is_told_who_has_it_and_may_take_over_with_a_reason(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam, ana = await sign_in("sam.ortega"), await sign_in("ana.ruiz")
        await sam.post(f"/console/cases/{case_id}/claim")
        from_queue = await ana.post(f"/console/cases/{case_id}/claim", data={"from": "queue"}, headers=PARTIAL)
        assert from_queue.status_code == 409
        assert "Sam Ortega" in from_queue.text
        assert "<html" not in from_queue.text
        page = await ana.post(f"/console/cases/{case_id}/claim")
        assert (page.status_code, "Take over, because" in page.text) == (409, True)
        silent = await ana.post(f"/console/cases/{case_id}/claim", data={"take_over": "true", "reason": " "})
        assert silent.status_code == 422
        taken = await ana.post(f"/console/cases/{case_id}/claim", data={"take_over": "true", "reason": "Sam is off"})
        assert taken.status_code == 303
        [row] = await rows(retailer, tables.case_file)
        assert row["claimed_by"] == "ana.ruiz"

    async def test_several_at_once_are_answered_one_by_one(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        first, second = await a_case(retailer, "one"), await a_case(retailer, "two")
        foreign = await a_case(retailer, "south", location="S9")
        sam, ana = await sign_in("sam.ortega"), await sign_in("ana.ruiz")
        await ana.post(f"/console/cases/{first}/claim")
        page = await sam.post("/console/queue/claim", data={"case": [str(first), str(second), str(foreign)]})
        assert page.status_code == 200
        assert "1 of 3 claimed" in page.text
        assert "Ana Ruiz" in page.text
        assert f"There is no case {foreign}" in page.text
        claimed = {row["id"]: row["claimed_by"] for row in await rows(retailer, tables.case_file)}
        assert claimed == {first: "ana.ruiz", second: "sam.ortega", foreign: None}

    async def test_who_may_only_look_cannot_claim(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        ida = await sign_in("ida.noor")
        assert "<button data-key" not in (await ida.get("/console/queue")).text
        assert (await ida.post(f"/console/cases/{case_id}/claim")).status_code == 403

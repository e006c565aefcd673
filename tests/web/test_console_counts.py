"""The pages of counts: the list, the blind sheet for a phone, one count, and the case that it asks."""

import re
from datetime import UTC, datetime

import httpx2
import pytest

import ledger.engine
from domain.messages import Step
from ledger import tables
from ledger.count import steps
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows

__all__ = ["accounts", "browse", "sign_in"]


async def opened(client: httpx2.AsyncClient, *, location: str = "S1", skus: str = "APPLE BREAD") -> str:
    """Open a count by the form; returns the path of its page."""
    answer = await client.post("/console/counts", data={"count_id": "N-1", "location": location, "skus": skus})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def save(client: httpx2.AsyncClient, count: str, sku: str, quantity: str, **more: str) -> httpx2.Response:
    return await client.post(f"{count}/sheet", data={"sku": sku, "bucket": "", "quantity": quantity, **more})


async def step(database: ledger.engine.Database, count: str, what: object = steps.compare_counts) -> str:
    taken = Step(subject=count.rsplit("/", 1)[1], occurrence=str(datetime.now(UTC)), at=datetime.now(UTC))
    return str((await what(database, taken)).state)  # type: ignore[operator]


class TestTheSheet:
    async def test_it_says_nothing_of_the_book(self, sign_in: SignIn) -> None:
        ana = await sign_in("ana.ruiz")
        count = await opened(ana)
        page = await ana.get(f"{count}/sheet")
        assert page.status_code == 200
        told = re.sub(r"<script.*?</script>|<svg.*?</svg>|<footer.*?</footer>", "", page.text, flags=re.DOTALL)
        assert "Apple" in told
        assert not re.search(r"\b10\b", told)  # what the book has of it
        assert "book" not in told.lower().replace("bookmark", "")

    async def test_each_line_is_answered_with_the_time_and_may_be_sent_twice(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        ana = await sign_in("ana.ruiz")
        count = await opened(ana)
        for _ in range(2):
            answer = await save(ana, count, "APPLE", "10")
            assert answer.status_code == 303
            assert answer.headers["location"].endswith("/sheet#line-APPLE-")
        page = (await ana.get(f"{count}/sheet")).text
        assert page.count("saved <time") == 1
        assert "1 left" in page
        assert len(await rows(retailer, tables.count_entry)) == 1

    @pytest.mark.parametrize("typed", ["", "ten", "-1", "1.5", "٣"])
    async def test_what_is_no_number_is_refused_and_stays_in_its_field(
        self, sign_in: SignIn, retailer: ledger.engine.Database, typed: str
    ) -> None:
        ana = await sign_in("ana.ruiz")
        count = await opened(ana)
        answer = await save(ana, count, "APPLE", typed)
        assert answer.status_code == 422
        assert "whole number" in answer.text
        assert f'value="{typed}"' in answer.text
        assert await rows(retailer, tables.count_entry) == []

    async def test_a_second_device_is_told_who_counts_and_may_take_over(self, sign_in: SignIn) -> None:
        ana, sam = await sign_in("ana.ruiz"), await sign_in("sam.ortega")
        count = await opened(ana)
        await save(ana, count, "APPLE", "10")
        refused = await save(sam, count, "BREAD", "3")
        assert refused.status_code == 409
        assert "ana.ruiz counts this on another device" in refused.text
        assert "Count on this device from here on" in refused.text
        assert 'value="3"' in refused.text
        taken = await sam.post(f"{count}/sheet", data={"take_over": "yes"})
        assert taken.status_code == 303
        assert (await save(sam, count, "BREAD", "3")).status_code == 303
        assert (await save(ana, count, "APPLE", "9")).status_code == 409

    async def test_handed_in_it_shows_what_became_of_it(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        ana = await sign_in("ana.ruiz")
        count = await opened(ana, skus="APPLE")
        await save(ana, count, "APPLE", "10")
        answer = await ana.post(f"{count}/sheet", data={"submit": "yes"})
        assert (answer.status_code, answer.headers["location"]) == (303, count)
        assert "nothing to enter any more" in (await ana.get(f"{count}/sheet")).text
        assert await step(retailer, count) == "approved"
        assert await step(retailer, count, steps.post) == "posted"
        page = (await ana.get(count)).text
        assert "Posted: 1 line." in page

    async def test_an_empty_sheet_is_not_handed_in(self, sign_in: SignIn) -> None:
        ana = await sign_in("ana.ruiz")
        count = await opened(ana)
        answer = await ana.post(f"{count}/sheet", data={"submit": "yes"})
        assert answer.status_code == 409
        assert "Nothing was counted yet" in answer.text

    async def test_who_may_only_look_does_not_count(self, sign_in: SignIn) -> None:
        ana, ida = await sign_in("ana.ruiz"), await sign_in("ida.noor")
        count = await opened(ana)
        assert "not take part" in (await ida.get(f"{count}/sheet")).text
        assert (await save(ida, count, "APPLE", "1")).status_code == 403

    async def test_of_another_region_it_does_not_exist(self, sign_in: SignIn) -> None:
        ana, sol = await sign_in("ana.ruiz"), await sign_in("sol.byrne")
        count = await opened(ana)
        for address in (count, f"{count}/sheet"):
            assert (await sol.get(address)).status_code == 404
        assert (await save(sol, count, "APPLE", "1")).status_code == 404


class TestTheList:
    async def test_open_counts_with_the_way_to_the_sheet(self, sign_in: SignIn) -> None:
        ana = await sign_in("ana.ruiz")
        count = await opened(ana)
        page = (await ana.get("/console/counts?location=S1")).text
        assert f'href="{count}/sheet"' in page
        assert "0 of 2" in page
        assert count not in (await ana.get("/console/counts?location=S2")).text

    async def test_the_form_sent_twice_opens_one_count(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        ana = await sign_in("ana.ruiz")
        assert await opened(ana) == await opened(ana)
        assert len(await rows(retailer, tables.journey)) == 1

    @pytest.mark.parametrize(
        ("form", "said"),
        [({"location": ""}, "Choose a place"), ({"skus": "NOPE"}, "NOPE"), ({"location": "S9"}, "Choose a place")],
    )
    async def test_what_cannot_be_counted_is_said(self, sign_in: SignIn, form: dict[str, str], said: str) -> None:
        ana = await sign_in("ana.ruiz")
        data = {"count_id": "N-2", "location": "S1", "skus": "APPLE", **form}
        answer = await ana.post("/console/counts", data=data)
        assert answer.status_code == 422
        assert said in answer.text

    async def test_it_is_called_off_with_a_reason(self, sign_in: SignIn) -> None:
        ana = await sign_in("ana.ruiz")
        count = await opened(ana)
        assert (await ana.post(f"{count}/cancel", data={"reason": " "})).status_code == 422
        assert (await ana.post(f"{count}/cancel", data={"reason": "stocktaking"})).status_code == 303
        assert "Called off: stocktaking." in (await ana.get(count)).text
        assert "N-1" in (await ana.get("/console/counts?closed=on")).text

    async def test_the_address_of_a_journey_leads_to_the_count(self, sign_in: SignIn) -> None:
        ana = await sign_in("ana.ruiz")
        count = await opened(ana)
        answer = await ana.get(f"/console/journeys/{count.rsplit('/', 1)[1]}")
        assert (answer.status_code, answer.headers["location"]) == (303, count)


class TestTheCase:
    async def test_the_cause_is_chosen_with_the_way_out(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        ana, sam = await sign_in("ana.ruiz"), await sign_in("sam.ortega")
        count = await opened(ana, skus="APPLE")
        await save(ana, count, "APPLE", "7")
        await ana.post(f"{count}/sheet", data={"submit": "yes"})
        assert await step(retailer, count) == "recount"
        same = await save(ana, count, "APPLE", "7")
        assert (same.status_code, "somebody else counts it again" in same.text) == (403, True)
        await save(sam, count, "APPLE", "8")
        await sam.post(f"{count}/sheet", data={"submit": "yes"})
        assert await step(retailer, count) == "submitted"
        (case,) = await rows(retailer, tables.case_file)
        fin = await sign_in("fin.weber")
        address = f"/console/cases/{case['id']}"
        page = (await fin.get(address)).text
        assert f'href="{count}">Count N-1' in page
        assert 'value="post_second#root_cause#misplaced"' in page
        form = {"option": "post_second", "version": str(case["version"]), "confirmed": "post_second#final"}
        refused = await fin.post(f"{address}/decide", data=form)
        assert refused.status_code == 422
        assert "needs the root cause as well" in refused.text
        decided = await fin.post(f"{address}/decide", data={**form, "choice": "post_second#root_cause#misplaced"})
        assert decided.status_code == 303, decided.text
        (decision,) = await rows(retailer, tables.case_decision)
        assert decision["parameters"]["root_cause"] == "misplaced"


async def test_the_list_of_orders_has_no_counts(sign_in: SignIn) -> None:
    ana = await sign_in("ana.ruiz")
    count = await opened(ana)
    assert count.rsplit("/", 1)[1] not in (await ana.get("/console/journeys")).text

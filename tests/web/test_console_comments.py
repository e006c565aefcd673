"""Comments on the page of a case: who is told, canned replies with and without a script, the page of the replies."""

from __future__ import annotations

import re

import httpx2
import pytest

import ledger.engine
from ledger import tables
from tests.web.conftest import As
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from tests.web.retail import a_case, rows

__all__ = ["accounts", "browse", "sign_in"]


async def reply_id(sam: httpx2.AsyncClient, case_id: int, title: str) -> str:
    """The value of a canned reply in the list of a case."""
    page = (await sam.get(f"/console/cases/{case_id}")).text
    found = re.search(rf'<option value="(\d+)">{title}</option>', page)
    assert found is not None, title
    return found[1]


def typed(page: str) -> str:
    """What stands in the field of the comment."""
    found = re.search(r'<textarea name="text"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    assert found is not None
    return found[1]


class TestMentions:
    async def test_who_is_told_reads_it_on_the_first_page_in_the_queue_and_on_the_case(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id, other = await a_case(retailer, "S1/APPLE"), await a_case(retailer, "S1/BREAD")
        sam, ana = await sign_in("sam.ortega"), await sign_in("ana.ruiz")
        said = {"text": "<b>Look</b>, please", "tell": ["ana.ruiz"]}
        assert (await sam.post(f"/console/cases/{case_id}/comment", data=said)).status_code == 303
        assert "Told: Ana Ruiz" in (await sam.get(f"/console/cases/{case_id}")).text
        first = (await ana.get("/")).text
        assert "“&lt;b&gt;Look&lt;/b&gt;, please”" in first
        assert 'href="/console/queue?mentions=me&amp;tab=all">1 comment waits for you</a>' in first
        queue = (await ana.get("/console/queue?mentions=me")).text
        assert f'id="case-{case_id}"' in queue
        assert f'id="case-{other}"' not in queue
        page = f"/console/cases/{case_id}"
        assert "You are mentioned" in (await ana.get(page)).text
        assert (await ana.post(f"{page}/seen")).status_code == 303
        assert "You are mentioned" not in (await ana.get(page)).text
        assert "You are mentioned" not in (await ana.get("/")).text

    async def test_a_name_that_nobody_has_is_said_and_the_comment_stays(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam = await sign_in("sam.ortega")
        await sam.post(f"/console/cases/{case_id}/comment", data={"text": "Ask @anna.ruiz or kim@customer.example"})
        page = (await sam.get(f"/console/cases/{case_id}")).text
        assert "Nobody who sees this case is called <b>@anna.ruiz</b>: nobody was told by that." in page
        assert "Told:" not in page

    async def test_somebody_who_does_not_see_the_case_cannot_be_chosen(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam = await sign_in("sam.ortega")
        assert 'value="sol.byrne"' not in (await sam.get(f"/console/cases/{case_id}")).text
        answer = await sam.post(f"/console/cases/{case_id}/comment", data={"text": "Hello", "tell": "sol.byrne"})
        assert answer.status_code == 422
        assert "sol.byrne does not see this case" in answer.text
        assert typed(answer.text) == "Hello"
        assert await rows(retailer, tables.mention) == []

    async def test_a_filter_that_is_not_understood_is_named(self, sign_in: SignIn) -> None:
        page = (await (await sign_in("sam.ortega")).get("/console/queue?mentions=ana.ruiz")).text
        assert "<code>mentions=ana.ruiz</code>" in page


class TestCannedReplies:
    async def test_one_is_put_below_what_is_written_and_nothing_is_saved(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        case_id = await failed_order(web, retailer)
        sam = await sign_in("sam.ortega")
        number = await reply_id(sam, case_id, "Other store agreed")
        form = {"text": "Rang at nine.", "reply": number, "tell": ["ana.ruiz"]}
        answer = await sam.post(f"/console/cases/{case_id}/draft", data=form)
        assert answer.status_code == 200
        assert typed(answer.text) == "Rang at nine.\nThe customer agrees to collect order W-1 elsewhere."
        assert '<input type="checkbox" name="tell" value="ana.ruiz" checked>' in answer.text
        assert [row for row in await rows(retailer, tables.case_event) if row["kind"] == "comment"] == []

    @pytest.mark.parametrize("number", ["", "999999", "x"])
    async def test_without_a_reply_what_is_written_stays(
        self, sign_in: SignIn, retailer: ledger.engine.Database, number: str
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam = await sign_in("sam.ortega")
        answer = await sam.post(f"/console/cases/{case_id}/draft", data={"text": "Mine", "reply": number})
        assert answer.status_code == 422
        assert "Choose a reply first" in answer.text
        assert typed(answer.text) == "Mine"

    async def test_the_page_keeps_changes_and_retires_them(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        sam = await sign_in("sam.ortega")
        form = {"kind": "negative_inventory", "title": "Ours <i>", "text": "{place} counts {item} now."}
        assert (await sam.post("/console/replies", data=form)).status_code == 303
        assert "Ours &lt;i&gt;" in (await sam.get("/console/replies")).text
        kept = next(row for row in await rows(retailer, tables.canned_reply) if row["title"] == "Ours <i>")
        again = form | {"reply": str(kept["id"]), "text": "Dear {customer}"}
        answer = await sam.post("/console/replies", data=again)
        assert answer.status_code == 422
        assert "{customer} stands for nothing" in answer.text
        assert ">Dear {customer}</textarea>" in answer.text
        assert (await sam.post(f"/console/replies/{kept['id']}/retire")).status_code == 303
        assert "Ours &lt;i&gt;" not in (await sam.get("/console/replies")).text
        assert (await sam.post(f"/console/replies/{kept['id']}/retire")).status_code == 404

    async def test_who_may_not_change_them_reads_them(self, sign_in: SignIn) -> None:
        ida = await sign_in("ida.noor")
        page = (await ida.get("/console/replies")).text
        assert "Called the store" in page
        assert "<textarea" not in page
        answer = await ida.post("/console/replies", data={"title": "Mine", "text": "x"})
        assert answer.status_code == 403


class TestApi:
    async def test_a_person_comments_by_their_token(self, as_key: As, retailer: ledger.engine.Database) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        made = await as_key("sam").post(f"/api/v1/cases/{case_id}/comments", json={"text": "See this, @ana.ruiz"})
        assert made.status_code == 201, made.text
        assert made.json() | {"event_id": 0} == {
            "event_id": 0, "case_id": case_id, "by": "sam.ortega", "told": ["ana.ruiz"],
        }  # fmt: skip
        events = (await as_key("sam").get(f"/api/v1/cases/{case_id}")).json()["events"]
        assert [event["note"] for event in events if event["id"] == made.json()["event_id"]] == ["See this, @ana.ruiz"]

    async def test_what_is_refused_says_what_to_change(self, as_key: As, retailer: ledger.engine.Database) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        path = f"/api/v1/cases/{case_id}/comments"
        sam = as_key("sam")
        assert (await sam.post(path, json={"text": " "})).status_code == 422
        told = await sam.post(path, json={"text": "x", "tell": ["sol.byrne"]})
        assert told.status_code == 422
        assert "sol.byrne does not see this case" in told.text
        assert (await sam.post(path, json={"text": "x", "html": "<b>"})).status_code == 422
        assert (await sam.post("/api/v1/cases/999999/comments", json={"text": "x"})).status_code == 404

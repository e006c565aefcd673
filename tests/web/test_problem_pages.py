"""What a person reads where something cannot be done: what happened and how to go on, in the frame of where one is."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html import unescape

import httpx2
import pytest
from sqlalchemy import text

import ledger.engine
from ledger import tables
from ledger.transaction import Transaction
from tests.web.conftest import MAX_BODY_BYTES, As
from tests.web.people import PASSWORD, SignIn, accounts, browse, email_of, sign_in
from tests.web.retail import a_case, an_approval, rows

__all__ = ["accounts", "browse", "sign_in"]
Browse = Callable[[], httpx2.AsyncClient]
NOTE = 'Twelve <b>were</b> "counted" & found\r\nthis morning.'


def said(answer: httpx2.Response) -> str:
    """What stands in the notice; the answer being a page."""
    assert answer.headers["content-type"].startswith("text/html"), answer.text
    [found] = re.findall(r'<div class="notice bad" role="alert">(.*?)</div>', answer.text, re.DOTALL)
    return unescape(found)


class TestNothingHere:
    @pytest.mark.parametrize("path", ["/console/nowhere", "/store/S1/nowhere", "/nowhere", "/console/cases/abc"])
    async def test_a_person_reads_it_in_words_with_the_menu_they_know(self, sign_in: SignIn, path: str) -> None:
        answer = await (await sign_in("sam.ortega")).get(path)
        assert answer.status_code in (404, 422)
        assert said(answer).startswith("There is no page at this address.")
        assert 'href="/console/queue"' in answer.text, "the menu"
        assert "openapi" not in answer.text

    async def test_a_program_is_told_where_the_api_is_described(self, as_key: As) -> None:
        assert "/api/v1/openapi.json" in (await as_key("web").get("/api/v1/nowhere")).json()["detail"]

    async def test_a_stranger_is_led_to_the_first_page(self, browse: Browse) -> None:
        answer = await browse().get("/nowhere")
        assert (answer.status_code, 'href="/console/queue"' in answer.text) == (404, False)
        assert '<a href="/">' in answer.text

    @pytest.mark.parametrize("path", ["/a/cut/off", "/c/cut/off"])
    async def test_behind_a_link_of_a_mail_nothing_leads_into_the_console(
        self, sign_in: SignIn, browse: Browse, path: str
    ) -> None:
        for client in (browse(), await sign_in("sam.ortega")):
            answer = await client.get(path)
            assert answer.status_code == 404
            assert "Open the link in your mail again" in answer.text
            assert ('href="/"' in answer.text, "<script" in answer.text) == (False, False)


class TestNotForThem:
    async def test_a_case_that_is_none_is_said_in_the_frame_of_the_console(self, sign_in: SignIn) -> None:
        answer = await (await sign_in("sam.ortega")).get("/console/cases/999999")
        assert answer.status_code == 404
        assert said(answer) == "There is no case 999999 that you may see."
        assert 'href="/console/queue"' in answer.text

    async def test_a_form_that_is_opened_as_a_page(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        answer = await (await sign_in("sam.ortega")).get(f"/console/cases/{case_id}/comment")
        assert answer.status_code == 405
        assert "takes what a form sends" in said(answer)

    async def test_what_was_written_is_there_to_be_copied(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        answer = await sam.post("/console/cases/999999/comment", data={"text": NOTE})
        assert answer.status_code == 404
        assert "This is what you had written" in answer.text
        assert "Twelve &lt;b&gt;were&lt;/b&gt; &#34;counted&#34; &amp; found" in answer.text

    async def test_what_is_too_large_is_said_in_words(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        answer = await sam.post("/console/cases/1/comment", data={"text": "x" * (MAX_BODY_BYTES + 1)})
        assert answer.status_code == 413
        assert "larger than this page takes" in said(answer)

    async def test_a_part_of_a_page_is_told_on_top_and_keeps_what_was_typed(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        part = {"HX-Request": "true", "HX-Request-Type": "partial"}
        for size, status in ((1, 404), (MAX_BODY_BYTES + 1, 413)):
            answer = await sam.post("/console/cases/999999/comment", data={"text": "x" * size}, headers=part)
            assert answer.status_code == status
            assert (answer.headers["hx-retarget"], answer.headers["hx-reswap"]) == ("#flash", "innerHTML")
            assert answer.text.startswith('<div class="notice bad" role="alert">')

    async def test_what_failed_inside_is_said_without_a_word_of_it_and_the_menu_stays(
        self, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fails(*asked: object, **more: object) -> None:
            raise RuntimeError("the secret is Aurelia")

        sam = await sign_in("sam.ortega")
        monkeypatch.setattr("web.console.approvals.list_approvals", fails)
        answer = await sam.get("/console/approvals")
        assert (answer.status_code, "Aurelia" in answer.text) == (500, False)
        assert said(answer).startswith("Something failed here that should not have.")
        assert 'href="/console/queue"' in answer.text

    async def test_what_was_written_outlives_what_failed_inside_and_is_not_offered_to_be_sent_again(
        self, sign_in: SignIn, retailer: ledger.engine.Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fails(*asked: object, **more: object) -> None:
            raise RuntimeError("the secret is Aurelia")

        case_id = await a_case(retailer, "S1/APPLE")
        sam = await sign_in("sam.ortega")
        monkeypatch.setattr("web.console.commenting.cases.comment", fails)
        answer = await sam.post(f"/console/cases/{case_id}/comment", data={"text": NOTE})
        assert (answer.status_code, "Aurelia" in answer.text) == (500, False)
        assert "look at its page: it shows what was recorded" in said(answer)
        assert "This is what you had written" in answer.text
        assert "Twelve &lt;b&gt;were&lt;/b&gt; &#34;counted&#34; &amp; found" in answer.text
        assert "Send it again" not in answer.text  # some of it may be recorded

    async def test_of_a_password_nothing_stands_on_any_page(
        self, browse: Browse, accounts: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fails(*asked: object, **more: object) -> None:
            raise RuntimeError

        monkeypatch.setattr("web.console.sign_in.sign_in", fails)
        form = {"email": email_of("sam.ortega"), "password": "a phrase of several words"}
        answer = await browse().post("/sign-in", data=form)
        assert (answer.status_code, "several words" in answer.text) == (500, False)

    async def test_what_was_written_beside_a_field_that_cannot_be_read_is_there_to_be_copied(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        sam = await sign_in("sam.ortega")
        form = {"note": NOTE, "verdict": "reject", "version": "three"}
        answer = await sam.post(f"/console/approvals/{await an_approval(retailer)}/verdict", data=form)
        assert answer.status_code == 422
        assert said(answer).startswith("Something in the form or the address cannot be read: version.")
        assert "Twelve &lt;b&gt;were&lt;/b&gt;" in answer.text

    async def test_a_form_of_another_site_is_refused_and_not_offered_to_be_sent_from_here(
        self, sign_in: SignIn
    ) -> None:
        sam = await sign_in("sam.ortega")
        headers = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
        answer = await sam.post("/console/cases/1/comment", data={"text": NOTE}, headers=headers)
        assert answer.status_code == 403
        assert ("<form" in answer.text, "Twelve" in answer.text) == (False, False)


@asynccontextmanager
async def stopping(database: ledger.engine.Database, table: str) -> AsyncIterator[None]:
    """PostgreSQL says of whatever is written into a table that it is being shut down."""

    async def run(*statements: str) -> None:
        async def work(tx: Transaction) -> None:
            for statement in statements:
                await tx.conn.execute(text(statement))

        await database.write(work, actor="test", via="test")

    await run(
        "CREATE FUNCTION stopping() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'shutting down' USING ERRCODE = '57P01'; END $$",
        f"CREATE TRIGGER stopping BEFORE INSERT ON {table} EXECUTE FUNCTION stopping()",
    )
    yield
    await run(f"DROP TRIGGER stopping ON {table}")


class TestTheDatabaseIsAway:
    async def test_what_was_sent_is_kept_and_sent_again_from_the_page_that_says_so(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam = await sign_in("sam.ortega")
        where = f"/console/cases/{case_id}/comment"
        async with stopping(retailer, "case_event"):
            answer = await sam.post(where, data={"text": NOTE, "seen": "1"})
            assert answer.status_code == 503
            assert "nothing was recorded" in said(answer)
            assert "database" not in answer.text  # nobody who answers a mail knows of one
        [form] = re.findall(rf'<form method="post"[^>]* action="{where}"[^>]*>(.*?)</form>', answer.text, re.DOTALL)
        fields = {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form)}
        assert fields == {"text": NOTE, "seen": "1"}
        assert (await sam.post(where, data=fields)).status_code == 303
        [written] = [row for row in await rows(retailer, tables.case_event) if row["kind"] == "comment"]
        assert written["case_id"] == case_id

    async def test_of_a_sign_in_nothing_is_kept(
        self, accounts: None, browse: Browse, retailer: ledger.engine.Database
    ) -> None:
        client = browse()
        async with stopping(retailer, "session"):
            answer = await client.post("/sign-in", data={"email": email_of("sam.ortega"), "password": PASSWORD})
        assert answer.status_code == 503
        assert ("<form" in answer.text, PASSWORD in answer.text) == (False, False)

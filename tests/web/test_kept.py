"""A session that ends while somebody types: the form comes back filled in, and nothing is done twice."""

import re
from collections.abc import Callable
from html import unescape

import httpx2
import pytest

import ledger.engine
from domain.errors import Malformed
from ledger import tables
from tests.web.people import PASSWORD, accounts, browse, email_of, sign_in
from tests.web.retail import a_case, rows
from web.kept import Kept, fill, read_kept

__all__ = ["accounts", "browse", "sign_in"]
Browse = Callable[[], httpx2.AsyncClient]
NOTE = 'twelve <b>were</b> "counted" & found\nthis morning'
REFERER = {"Referer": "http://endcap.test/console/cases/1?tab=mine"}


def kept_in(page: str) -> str:
    found = re.search(r'name="kept" value="([^"]*)"', page)
    assert found is not None, page
    return unescape(found[1])


async def enter(client: httpx2.AsyncClient, page: str, password: str = PASSWORD) -> httpx2.Response:
    """Fill in the sign-in page that was got, and send it."""
    back = re.search(r'name="next" value="([^"]*)"', page)
    assert back is not None
    form = {"email": email_of("sam.ortega"), "password": password, "next": unescape(back[1]), "kept": kept_in(page)}
    return await client.post("/sign-in", data=form)


class TestForms:
    async def test_a_comment_comes_back_in_its_form_and_is_written_only_when_it_is_sent_again(
        self, accounts: None, browse: Browse, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        client = browse()
        where = f"/console/cases/{case_id}"
        sent = await client.post(
            f"{where}/comment", data={"text": NOTE}, headers={"Referer": f"http://endcap.test{where}"}
        )
        assert sent.status_code == 401
        assert "nothing of it was done" in sent.text
        wrong = await enter(client, sent.text, "wrong")
        assert wrong.status_code == 401
        page = await enter(client, wrong.text)
        assert page.status_code == 200
        assert "set-cookie" in page.headers
        [written] = re.findall(r'<textarea name="text"[^>]*>(.*?)</textarea>', page.text, re.DOTALL)
        assert unescape(written) == NOTE
        assert page.text.count("You were signed out before this was sent") == 1
        events = [row for row in await rows(retailer, tables.case_event) if row["kind"] == "comment"]
        assert events == []
        again = await client.post(f"{where}/comment", data={"text": unescape(written)})
        assert again.status_code == 303
        assert [row["kind"] for row in await rows(retailer, tables.case_event)].count("comment") == 1

    async def test_the_page_comes_back_with_its_filters(
        self, accounts: None, browse: Browse, retailer: ledger.engine.Database
    ) -> None:
        first, second = await a_case(retailer, "first"), await a_case(retailer, "second")
        client = browse()
        where = "http://endcap.test/console/queue?tab=unassigned"
        sent = await client.post("/console/bulk/preview", data={"case": str(second)}, headers={"Referer": where})
        page = (await enter(client, sent.text)).text
        boxes = {
            int(found[1]): "checked" in found[0]
            for found in re.finditer(r'<input type="checkbox" name="case" value="(\d+)"[^>]*>', page)
        }
        assert boxes == {first: False, second: True}
        assert 'href="/console/queue?tab=unassigned" aria-current="page"' in page

    async def test_choices_and_amounts_come_back(
        self, accounts: None, browse: Browse, retailer: ledger.engine.Database
    ) -> None:
        client = browse()
        where = "http://endcap.test/console/stock?location=S1&sku=APPLE"
        form = {"adjustment_id": "A-1", "location": "S1", "sku": "APPLE", "quantity": "-3", "reason": "stolen"}
        sent = await client.post("/console/stock/adjustments", data=form, headers={"Referer": where})
        page = (await enter(client, sent.text)).text
        assert re.search(r'<input[^>]* name="quantity"[^>]* value="-3"', page)
        assert re.search(r'<option value="stolen" selected>', page)
        assert await rows(retailer, tables.adjustment) == []

    async def test_a_form_that_is_gone_shows_what_was_written(self, accounts: None, browse: Browse) -> None:
        client = browse()
        sent = await client.post("/console/cases/999/comment", data={"text": NOTE}, headers=REFERER)
        page = (await enter(client, sent.text)).text
        assert "The form is not here any more" in page
        assert "twelve &lt;b&gt;were&lt;/b&gt;" in page
        assert "<b>were</b>" not in page

    async def test_htmx_is_sent_to_the_sign_in_page_and_keeps_the_form_itself(self, browse: Browse) -> None:
        headers = {"HX-Request": "true", "HX-Request-Type": "partial", **REFERER}
        answer = await browse().post("/console/cases/1/comment", data={"text": "x"}, headers=headers)
        assert (answer.status_code, answer.text) == (401, "")
        assert answer.headers["hx-redirect"] == "/sign-in?next=/console/cases/1%3Ftab%3Dmine"


class TestRefusals:
    async def test_without_a_form_the_way_leads_to_the_sign_in_page(self, browse: Browse) -> None:
        for sent in ({}, {"content": b"{}", "headers": {"content-type": "application/json"}}):
            answer = await browse().post("/console/cases/1/release", **sent)  # type: ignore[arg-type]
            assert (answer.status_code, answer.text) == (303, "")

    async def test_more_than_any_form_has_is_not_carried_along(
        self, browse: Browse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("web.kept.MAX_CHARACTERS", 100)
        answer = await browse().post("/console/views", data={"name": "x" * 100})
        assert (answer.status_code, answer.text) == (303, "")

    async def test_a_page_of_another_site_is_never_looked_at(self, accounts: None, browse: Browse) -> None:
        client = browse()
        form = {"email": email_of("sam.ortega"), "password": PASSWORD, "next": "//evil.example/x"}
        answer = await client.post("/sign-in", data={**form, "kept": Kept("/x", (("text", "words"),)).written()})
        assert answer.status_code == 200
        assert "evil.example" not in answer.text

    @pytest.mark.parametrize(
        "text", ["{", "[]", '["/x", 3]', '["/x", [[1, 2]]]', '[3, [["a", "b"]]]', '["/x", [["a"]]]']
    )
    def test_what_cannot_be_read_is_refused(self, text: str) -> None:
        with pytest.raises(Malformed, match="cannot be read"):
            read_kept(text)

    async def test_what_cannot_be_read_is_a_page_in_words(self, accounts: None, browse: Browse) -> None:
        answer = await browse().post("/sign-in", data={"email": "a", "password": "b", "kept": "{"})
        assert answer.status_code == 422
        assert "cannot be read" in answer.text


class TestFill:
    def test_hidden_fields_and_other_forms_stay_as_the_page_has_them(self) -> None:
        page = (
            '<p>&amp; &#8211;</p><form action="/other"><input name="a" value="1"></form>'
            '<form method="post" action="/x?v=1">'
            '<input type="hidden" name="version" value="7"><input name="a" value=""><input name="a"><br/>'
            '<input type="password" name="password"><textarea name="t">old</textarea><!-- c --></form>'
        )
        typed = (("version", "3"), ("a", '1"2'), ("a", "<3>"), ("t", "</textarea><script>"), ("password", "secret"))
        filled = fill(page, Kept("/x", typed))
        assert filled == (
            '<p>&amp; &#8211;</p><form action="/other"><input name="a" value="1"></form>'
            '<form method="post" action="/x?v=1">'
            '<input type="hidden" name="version" value="7"><input name="a" value="1&quot;2"><input name="a" '
            'value="&lt;3&gt;"><br/><input type="password" name="password">'
            '<textarea name="t">&lt;/textarea&gt;&lt;script&gt;</textarea><!-- c --></form>'
        )

    def test_a_page_without_the_form_is_said_to_be_one(self) -> None:
        assert fill('<form action="/y"></form>', Kept("/x", (("a", "1"),))) is None

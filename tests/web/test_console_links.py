"""Approval by a link in a mail: looking decides nothing, a verdict is given once, every end has its own page."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import httpx2
import pytest
from sqlalchemy import update

import ledger.engine
from ledger import tables
from ledger.approval import supersede
from ledger.transaction import Transaction
from tests.web.links import form_of, mailed, state_of
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import a_case, an_approval, rows

__all__ = ["accounts", "browse", "sign_in"]
Browse = Callable[[], httpx2.AsyncClient]


class TestLooking:
    async def test_get_and_head_show_and_never_decide(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        for client in (browse(), browse()):
            for method in ("GET", "HEAD", "GET"):
                answer = await client.request(method, path)
                assert answer.status_code == 200
                assert answer.headers["cache-control"] == "no-store"
        assert await state_of(retailer, approval_id) == "pending"
        assert await rows(retailer, tables.approval_verdict) == []

    async def test_the_page_says_what_each_way_leads_to_and_preselects_none(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        path = await mailed(retailer, await an_approval(retailer))
        page = (await browse().get(path)).text
        for words in (
            "For Ana Ruiz", "Sam Ortega", "30.00 USD", "If you approve", "If you reject", "If you do nothing",
            "it goes to finance as well", "Cannot be undone",
        ):  # fmt: skip
            assert words in page
        assert " checked" not in page

    async def test_the_page_has_no_script_and_nothing_from_elsewhere(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        answer = await browse().get(await mailed(retailer, await an_approval(retailer)))
        assert "<script" not in answer.text
        assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "noindex" in answer.headers["x-robots-tag"]


class TestVerdict:
    async def test_approving_is_recorded_once_and_the_second_comer_is_told_who(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        ana = browse()
        form = form_of((await ana.get(path)).text) | {"verdict": "approve"}
        first = await ana.post(path, data=form)
        assert (first.status_code, first.headers["location"]) == (303, path)
        assert await state_of(retailer, approval_id) == "approved"
        second = await ana.post(path, data=form)
        assert second.status_code == 409
        assert "Approved by Ana Ruiz" in second.text
        assert "Approved by Ana Ruiz" in (await browse().get(path)).text
        assert len(await rows(retailer, tables.approval_verdict)) == 1

    async def test_what_comes_too_late_is_said_not_to_be_recorded_and_is_there_to_be_copied(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        path = await mailed(retailer, await an_approval(retailer))
        ana = browse()
        form = form_of((await ana.get(path)).text)
        await ana.post(path, data=form | {"verdict": "approve"})
        other = await ana.post(path, data=form | {"verdict": "reject", "note": "Not <i>so</i> much."})
        assert other.status_code == 409
        assert "What you sent just now was not recorded" in other.text
        assert "Not &lt;i&gt;so&lt;/i&gt; much." in other.text
        again = await ana.post(path, data=form | {"verdict": "approve"})
        assert (again.status_code, "not recorded" in again.text) == (409, False), "a second click said it already"

    async def test_afterwards_the_page_says_what_follows_and_no_more_what_might(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        for verdict, follows in (("approve", "The money goes back"), ("reject", "Nothing is paid yet")):
            path = await mailed(retailer, await an_approval(retailer))
            ana = browse()
            form = form_of((await ana.get(path)).text) | {"verdict": verdict, "note": "So be it."}
            await ana.post(path, data=form)
            page = (await ana.get(path)).text
            assert re.search(rf"<dt>What follows</dt><dd>[^<]*{follows}", page), page
            assert not any(might in page for might in ("If you approve", "If you reject", "If you do nothing"))

    async def test_rejecting_needs_a_reason_that_is_kept_when_it_is_missing_elsewhere(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        ana = browse()
        form = form_of((await ana.get(path)).text)
        silent = await ana.post(path, data=form | {"verdict": "reject", "note": " "})
        assert (silent.status_code, await state_of(retailer, approval_id)) == (422, "pending")
        assert (await ana.post(path, data=form | {"verdict": "reject", "note": "too much"})).status_code == 303
        assert await state_of(retailer, approval_id) == "rejected"

    async def test_a_long_reason_is_counted_as_the_browser_counts_it(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        client = browse()
        form = form_of((await client.get(path)).text)
        lines = "a line\r\n" * 800  # 5,600 characters in the field, 6,400 on the wire
        refused = await client.post(path, data={**form, "verdict": "reject", "note": lines})
        assert refused.status_code == 422
        assert "4,000 characters at most; this one has 5,599" in refused.text
        assert "a line\na line" in refused.text.replace("\r", "")
        form = form_of(refused.text)
        taken = await client.post(path, data={**form, "verdict": "reject", "note": "a line\r\n" * 571})
        assert taken.status_code == 303  # 3,997 characters in the field, 4,568 on the wire
        assert await state_of(retailer, approval_id) == "rejected"

    async def test_a_question_leaves_it_open(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        ana = browse()
        form = form_of((await ana.get(path)).text)
        assert (await ana.post(path, data=form | {"verdict": "ask", "note": "why?"})).status_code == 303
        assert await state_of(retailer, approval_id) == "pending"
        page = (await ana.get(path)).text
        assert "asked: why?" in page
        assert re.search(r"Ana Ruiz has asked Sam Ortega, .*?</b> why\?", page), "on top, beside what becomes of it"
        assert page.index("has asked Sam Ortega") < page.index("Who asks")

    async def test_a_question_is_found_where_work_waits_by_whoever_it_was_put_to(
        self, retailer: ledger.engine.Database, browse: Browse, sign_in: SignIn
    ) -> None:
        path = await mailed(retailer, await an_approval(retailer))
        ana, sam = browse(), await sign_in("sam.ortega")
        form = form_of((await ana.get(path)).text) | {"verdict": "ask", "note": "why?"}
        await ana.post(path, data=form)
        assert "Waits for your answer" in (await sam.get("/console/approvals?view=mine")).text
        assert "Answer the question" in (await sam.get(path)).text, "a link that was passed on leads there, too"

    async def test_a_form_sent_as_it_was_shown_decides_nothing(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        robot = browse()
        answer = await robot.post(path, data=form_of((await robot.get(path)).text))
        assert answer.status_code == 422
        assert "nothing is chosen for you" in answer.text
        assert await state_of(retailer, approval_id) == "pending"

    async def test_a_form_from_another_browser_or_for_another_link_is_refused(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id, other_id = await an_approval(retailer), await an_approval(retailer)
        path, other = await mailed(retailer, approval_id), await mailed(retailer, other_id)
        ana = browse()
        form = form_of((await ana.get(path)).text) | {"verdict": "approve"}
        await ana.get(other)
        assert (await browse().post(path, data=form)).status_code == 403
        assert (await ana.post(other, data=form)).status_code == 403
        assert (await ana.post(path, data=form | {"proof": "0" * 64})).status_code == 403
        assert [await state_of(retailer, number) for number in (approval_id, other_id)] == ["pending", "pending"]

    async def test_another_site_cannot_send_it(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        ana = browse()
        form = form_of((await ana.get(path)).text) | {"verdict": "approve"}
        for headers in (
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "http://sub.endcap.test", "Sec-Fetch-Site": "same-site"},
        ):
            assert (await ana.post(path, data=form, headers=headers)).status_code == 403
        assert await state_of(retailer, approval_id) == "pending"

    async def test_two_devices_make_one_verdict(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        phone, desk = browse(), browse()
        forms = [form_of((await client.get(path)).text) for client in (phone, desk)]
        assert (await phone.post(path, data=forms[0] | {"verdict": "approve"})).status_code == 303
        late = await desk.post(path, data=forms[1] | {"verdict": "reject", "note": "no"})
        assert late.status_code == 409
        assert await state_of(retailer, approval_id) == "approved"


class TestEnds:
    @pytest.mark.parametrize("path", ["/a/nonsense", "/a/" + "A" * 43, "/a/..%2f..%2fetc"])
    async def test_a_link_that_never_was_tells_nothing(
        self, retailer: ledger.engine.Database, browse: Browse, path: str
    ) -> None:
        for answer in (await browse().get(path), await browse().post(path, data={"verdict": "approve"})):
            assert answer.status_code == 404

    async def test_a_truncated_or_changed_token_opens_nothing(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        path = await mailed(retailer, await an_approval(retailer))
        for wrong in (path[:-1], path + "A", path[:-1] + ("A" if path[-1] != "A" else "B")):
            assert (await browse().get(wrong)).status_code == 404

    async def test_guessing_is_slowed_down(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        client = browse()
        answers = [(await client.get(f"/a/guess-{number}")).status_code for number in range(31)]
        assert (answers[0], answers[-1]) == (404, 503)

    async def test_an_expired_link_says_so_and_a_new_one_can_be_asked_for_once_an_hour(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        before = len(await rows(retailer, tables.mail))
        path = await mailed(retailer, approval_id, hours=-1)
        ana = browse()
        shown = await ana.get(path)
        assert shown.status_code == 410
        assert "This link has expired" in shown.text
        assert (await ana.post(path, data={"verdict": "approve"})).status_code == 409
        untold = await ana.post(f"{path}/again", data=form_of(shown.text))
        assert (untold.status_code, "Tick that a new link" in untold.text) == (422, True)
        assert len(await rows(retailer, tables.mail)) == before
        asked = await ana.post(f"{path}/again", data={"send": "yes"})
        assert "A new link is on its way" in asked.text
        assert f'action="{path}/again"' not in asked.text, "it has been asked for"
        again = await ana.post(f"{path}/again", data={"send": "yes"})
        assert "on its way" not in again.text, "no second one goes out"
        assert "A new link was asked for" in again.text
        assert len(await rows(retailer, tables.mail)) == before + 1
        assert await state_of(retailer, approval_id) == "pending"

    async def test_a_revoked_link_says_so(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)

        async def revoke(tx: Transaction) -> None:
            await tx.conn.execute(update(tables.link).values(revoked_at=datetime.now(UTC)))

        await retailer.write(revoke, actor="test", via="test")
        shown = await browse().get(path)
        assert (shown.status_code, "was withdrawn" in shown.text) == (410, True)

    async def test_a_superseded_request_says_so(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)

        async def change(tx: Transaction) -> None:
            await tx.lock_approval(approval_id)
            await supersede(tx, approval_id, datetime.now(UTC))

        await retailer.write(change, actor="test", via="test")
        shown = await browse().get(path)
        assert (shown.status_code, "<b>Superseded, <time" in shown.text) == (410, True)
        assert "What has changed stands in" not in shown.text  # nothing of the console is about it
        assert (await browse().post(path, data={"verdict": "approve"})).status_code == 409

    async def test_a_superseded_request_leads_to_what_has_changed(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        case_id, approval_id = await a_case(retailer, "W-1"), await an_approval(retailer)

        async def change(tx: Transaction) -> None:
            mine = update(tables.approval).where(tables.approval.c.id == approval_id)
            await tx.conn.execute(mine.values(case_id=case_id))
            await tx.lock_approval(approval_id)
            await supersede(tx, approval_id, datetime.now(UTC))

        await retailer.write(change, actor="test", via="test")
        shown = (await browse().get(await mailed(retailer, approval_id))).text
        assert f'What has changed stands in <a href="/console/cases/{case_id}">case {case_id}</a>' in shown

    async def test_a_working_link_needs_no_new_one(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        path = await mailed(retailer, await an_approval(retailer))
        before = len(await rows(retailer, tables.mail))
        assert (await browse().post(f"{path}/again", data={"send": "yes"})).status_code == 422
        assert len(await rows(retailer, tables.mail)) == before
